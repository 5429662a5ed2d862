// The first convolution of a path of which only some output channels are wanted.
//
// Weights lie in rows, one per output channel, and each product runs along the input channels: no
// weight is copied or read for a channel that is off.
//
// A tile is TILE_CHANNELS wanted channels times TILE_PIXELS pixels, LANES sums in all, each a vector along
// the inputs. Loops: channels, rows, pixels of a tile; then taps, vectors of inputs, pixels, channels. At
// the end the LANES vectors are added up across in log2(LANES) steps (sums_of), which gives one number per
// channel and pixel in one vector.
#pragma once

#include <algorithm>
#include <utility>

#include "tile.h"

constexpr int TILE_CHANNELS = LANES < 4 ? LANES : 4;  // output channels of a tile
constexpr int TILE_PIXELS = LANES / TILE_CHANNELS;         // so that its sums fill one vector

// Lane `lane` of what joins two vectors of blocks of `size` lanes: the first or second halves of the
// blocks of one, then those of the other.
constexpr int joined_lane(int lane, int size, bool second) {
  const int half = size / 2, block = lane / half;
  return block * size + lane % half + (second ? half : 0);
}

template <int SIZE, bool SECOND, int... LANE>
INLINE vec join(vec a, vec b, std::integer_sequence<int, LANE...>) {
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(a, b, joined_lane(LANE, SIZE, SECOND)...);
#else
  return vec{(joined_lane(LANE, SIZE, SECOND) < LANES
                  ? a[joined_lane(LANE, SIZE, SECOND) % LANES]
                  : b[joined_lane(LANE, SIZE, SECOND) % LANES])...};
#endif
}

// The sums of LANES vectors, one per lane, in their order.
template <int COUNT>
INLINE vec sums_of(const vec* vectors) {
  if constexpr (COUNT == 1) {
    return vectors[0];
  } else {
    constexpr int SIZE = 2 * LANES / COUNT;
    constexpr auto lanes = std::make_integer_sequence<int, LANES>();
    const vec a = sums_of<COUNT / 2>(vectors), b = sums_of<COUNT / 2>(vectors + COUNT / 2);
    return join<SIZE, false>(a, b, lanes) + join<SIZE, true>(a, b, lanes);
  }
}

// The wanted channels `first` and following at all pixels; what lies beyond the last channel or the
// end of a row is done once more.
static void picked_rows(const Convolution& conv, const Map& in, const real* x, const Taps& taps,
                        const int32_t* wanted, int count, const Result& result, int first) {
  const ptrdiff_t next = conv.stride * in.pitch;
  const ptrdiff_t filled = (conv.inputs + LANES - 1) / LANES * LANES;
  ptrdiff_t slot[TILE_CHANNELS];
  const real* rows[TILE_CHANNELS];
  vec bias, scale;
  for (int r = 0; r < TILE_CHANNELS; r++) {
    slot[r] = std::min(first + r, count - 1);
    rows[r] = conv.rows + wanted[slot[r]] * taps.count * filled;
    for (int p = 0; p < TILE_PIXELS; p++) {
      bias[p * TILE_CHANNELS + r] = result.bias[wanted[slot[r]]];
      scale[p * TILE_CHANNELS + r] = result.channel_scale[wanted[slot[r]]];
    }
  }
  const auto tile = [&](int y, int c) __attribute__((noinline)) {
    const real* pixels = first_pixel(conv, in, x, y, 0);
    ptrdiff_t column[TILE_PIXELS];
    const real* from[TILE_PIXELS];
    for (int p = 0; p < TILE_PIXELS; p++) {
      column[p] = std::min(c + p, result.map.width - 1);
      from[p] = pixels + column[p] * next;
    }
    vec sums[LANES] = {};
    for (int k = 0; k < taps.count; k++)
      for (ptrdiff_t i = 0; i < filled; i += LANES) {
        vec w[TILE_CHANNELS];
#pragma GCC unroll 4
        for (int r = 0; r < TILE_CHANNELS; r++) w[r] = load(rows[r] + k * filled + i);
#pragma GCC unroll 4
        for (int p = 0; p < TILE_PIXELS; p++) {
          const vec value = load(from[p] + taps.offset[k] + i);
#pragma GCC unroll 4
          for (int r = 0; r < TILE_CHANNELS; r++) sums[p * TILE_CHANNELS + r] += w[r] * value;
        }
      }
    const vec values = activate(sums_of<LANES>(sums) + bias, result.activation) * scale;
    real* row = result.out + result.map.at(y, 0);
    for (int p = 0; p < TILE_PIXELS; p++)
      for (int r = 0; r < TILE_CHANNELS; r++)
        row[column[p] * result.map.pitch + slot[r]] = values[p * TILE_CHANNELS + r];
  };
  for (int y = 0; y < result.map.height; y++)
    for (int c = 0; c < result.map.width; c += TILE_PIXELS) tile(y, c);
}

// The share `part` of `parts` of the channels `wanted`, side by side in the result.
static void convolve_picked(const Convolution& conv, const Map& in, const real* x,
                            const int32_t* wanted, int count, const Result& result, int part,
                            int parts) {
  const Taps taps = taps_of(conv, in);
  const int tiles = (count + TILE_CHANNELS - 1) / TILE_CHANNELS;
  for (int tile = tiles * part / parts; tile < tiles * (part + 1) / parts; tile++)
    picked_rows(conv, in, x, taps, wanted, count, result, tile * TILE_CHANNELS);
}
