// Convolutions on padded maps, one vector of output channels at a time.
//
// A map is channels-last with a border of zeros, so a kernel reads neighbours without asking where
// the image ends, and several pixels of a row share each weight that is read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#ifndef SCALAR
#define SCALAR float
#endif

typedef SCALAR real;

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif
constexpr int LANES = VECTOR_BYTES / sizeof(real);

#if defined(__AVX__) && !defined(__AVX512F__)
constexpr int WIDEST = 6;  // pixels of a tile of two vectors: 16 registers hold it
#else
constexpr int WIDEST = 14;  // the same with 32 registers
#endif

constexpr int AHEAD = 32;             // rows of weights that are asked for before they are needed
constexpr int MOST_TERMS = 256;       // of a sum before it is put away: short sums round less
constexpr int GROUP = 224;            // pixels that meet all panels before the next ones do
constexpr int64_t FEW_WEIGHTS = 1 << 17;  // so many stay in the cache while they meet a map

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));

#define INLINE static inline __attribute__((always_inline))

INLINE vec load(const real* from) {
  vec value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

INLINE void store(real* to, vec value) { __builtin_memcpy(to, &value, sizeof value); }

enum Activation : int32_t { NONE, RELU, RELU6 };

template <typename T>
INLINE T activate(T value, int32_t activation) {
  const T zero = {};
  if (activation != NONE) value = value < zero ? zero : value;  // NaN stays NaN
  if (activation == RELU6) value = value > zero + 6 ? zero + 6 : value;
  return value;
}

struct Map {
  int32_t height, width, border;
  int64_t pitch;  // channels of a pixel in memory

  ptrdiff_t row() const { return (width + 2 * border) * pitch; }
  ptrdiff_t size() const { return (height + 2 * border) * row(); }
  ptrdiff_t at(int y, int x) const { return (y + border) * row() + (x + border) * pitch; }
};

// A convolution with its norm folded in and zeros around the image. Where all channels of a map are
// read, the pixels of a kernel's row lie together: `merged` takes them for channels of one pixel.
struct Convolution {
  int32_t kernel, stride, activation, merged;
  int32_t inputs, outputs;  // channels; outputs of `panels` are filled up to whole vectors
  const real* panels;       // [outputs / LANES][kernel² or, merged, kernel][inputs][LANES]
  const real* rows;         // [outputs][kernel²][inputs, filled up], or null
  const real* bias;         // [outputs, filled up]

  int panel_count() const { return (outputs + LANES - 1) / LANES; }
};

// Input channels that lie together, or those in `list`, which are then packed in the map.
struct Segment {
  ptrdiff_t map_channel, weight_channel;
  int32_t count;
  const int32_t* list;
};

// What becomes of a sum: out = activation(out * keep + scale * sum), times `channel_scale`.
struct Result {
  real* out;  // the map of one image
  Map map;
  bool add;
  real scale;
  int32_t activation;
  const real* bias;
  const real* channel_scale;  // per output channel, or null
};

struct Taps {
  int count;
  ptrdiff_t offset[9];  // from the first pixel that a kernel touches
};

static Taps taps_of(const Convolution& conv, const Map& in) {
  const int columns = conv.merged ? 1 : conv.kernel;
  Taps taps{conv.kernel * columns, {}};
  for (int k = 0; k < taps.count; k++)
    taps.offset[k] = (k / columns) * in.row() + (k % columns) * in.pitch;
  return taps;
}

INLINE const real* first_pixel(const Convolution& conv, const Map& in, const real* x, int y, int c) {
  const int half = conv.kernel / 2;
  return x + in.at(y * conv.stride - half, c * conv.stride - half);
}

// Adds `count` inputs to sums[P pixels][N vectors of output channels]; W pixels lie in each row.
// `next` and `row`: from pixel to pixel and from row to row; `list`: see Segment.
template <int P, int N, int W>
INLINE void accumulate(vec (&sums)[P][N], const real* x, ptrdiff_t next, ptrdiff_t row,
                       const real* weights, ptrdiff_t panel_size, const int32_t* list, ptrdiff_t count) {
  constexpr int IN_ROW = (W + 2) / 3, GROUPS = P / W * IN_ROW;  // three share an address register
  const real* from[GROUPS];
  for (int g = 0; g < GROUPS; g++) from[g] = x + g / IN_ROW * row + g % IN_ROW * 3 * next;
  for (ptrdiff_t j = 0; j < count; j++) {
    const real* weight = weights + (list ? list[j] : j) * LANES;
    vec w[N];
#pragma GCC unroll 2
    for (int n = 0; n < N; n++) {
      w[n] = load(weight + n * panel_size);
      __builtin_prefetch(weight + n * panel_size + AHEAD * LANES);
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) {
      const int column = p % W;
      const real* pixel = from[p / W * IN_ROW + column / 3] + j;
      const real value = column % 3 == 0 ? pixel[0] : column % 3 == 1 ? pixel[next] : pixel[2 * next];
#pragma GCC unroll 2
      for (int n = 0; n < N; n++) sums[p][n] += value * w[n];
    }
  }
}

template <int P, int N, int W = P>
static __attribute__((noinline)) void tile(const Convolution& conv, const Map& in, const real* x,
                                           const Taps& taps, const Segment* segments, int count,
                                           const Result& result, int panel, int y, int c) {
  real* const out = result.out + panel * LANES;
  const auto place = [&](int p) { return out + result.map.at(y + p / W, c + p % W); };
  for (int p = 0; p < P; p++)
    for (int n = 0; n < N; n++) __builtin_prefetch(place(p) + n * LANES, 1);
  vec sums[P][N], put_away[P][N];
  for (int n = 0; n < N; n++) {
    const vec bias = load(result.bias + (panel + n) * LANES);
    for (int p = 0; p < P; p++) sums[p][n] = bias;
  }
  const ptrdiff_t inputs = conv.inputs, panel_size = taps.count * inputs * LANES;
  const real* const pixels = first_pixel(conv, in, x, y, c);
  const real* const weights = conv.panels + panel * panel_size;
  const ptrdiff_t next = conv.stride * in.pitch, row = conv.stride * in.row();
  int terms = 0;
  bool away = false;
  for (int s = 0; s < count; s++)
    for (int k = 0; k < taps.count; k++)
      for (int32_t first = 0; first < segments[s].count; first += MOST_TERMS) {
        const Segment& segment = segments[s];
        const int32_t some = std::min(segment.count - first, MOST_TERMS);
        if (terms + some > MOST_TERMS) {
          for (int p = 0; p < P; p++)
            for (int n = 0; n < N; n++) {
              put_away[p][n] = away ? put_away[p][n] + sums[p][n] : sums[p][n];
              sums[p][n] = vec{};
            }
          away = true;
          terms = 0;
        }
        terms += some;
        const real* from = pixels + taps.offset[k] + segment.map_channel + first;
        const real* rows = weights + (k * inputs + segment.weight_channel) * LANES;
        if (segment.list)
          accumulate<P, N, W>(sums, from, next, row, rows, panel_size, segment.list + first, some);
        else
          accumulate<P, N, W>(sums, from, next, row, rows + first * LANES, panel_size, nullptr, some);
      }
  for (int p = 0; p < P; p++)
    for (int n = 0; n < N; n++) {
      real* const to = place(p) + n * LANES;
      vec value = (away ? put_away[p][n] + sums[p][n] : sums[p][n]) * result.scale;
      if (result.add) value += load(to);
      value = activate(value, result.activation);
      if (result.channel_scale) value *= load(result.channel_scale + (panel + n) * LANES);
      store(to, value);
    }
}

// Output channels panel .. panel + N of rows first .. last.
template <int N>
static void panels(const Convolution& conv, const Map& in, const real* x, const Taps& taps,
                   const Segment* segments, int count, const Result& result, int panel, int first,
                   int last) {
  const int width = result.map.width;
// Whole rows of a small map, as many as a tile holds: each weight then meets more pixels.
#define TILES(W)                                                                                  \
  if constexpr (WIDEST / W > 1)                                                                   \
    for (; width == W && last - first >= WIDEST / W; first += WIDEST / W)                         \
      tile<WIDEST / W * W, N, W>(conv, in, x, taps, segments, count, result, panel, first, 0)
  TILES(7);
  TILES(4);
#undef TILES
  for (int y = first; y < last; y++)
    for (int c = 0; c < width;) {
      const int left = width - c;
#define TILE(P) (tile<P, N>(conv, in, x, taps, segments, count, result, panel, y, c), c += P)
      if (N == 1 && left >= 16) TILE(16);
      else if (left >= WIDEST && (left - WIDEST == 0 || left - WIDEST >= 4)) TILE(WIDEST);
      else if (WIDEST > 8 && left >= 8) TILE(8);
      else if (WIDEST > 7 && left == 7) TILE(7);
      else if (left >= 4) TILE(4);
      else if (left >= 2) TILE(2);
      else TILE(1);
#undef TILE
    }
}

// The panels of thread `part` of `parts`: pairs, of which the last one may be half.
struct Panels {
  int first, last;
};

INLINE Panels panels_of(int all, int part, int parts) {
  const int pairs = (all + 1) / 2;
  return {2 * (pairs * part / parts), std::min(all, 2 * (pairs * (part + 1) / parts))};
}

// The share `part` of `parts` of a convolution of one image. By rows, a thread mostly reads what it
// wrote itself; by panels, it reads half of the weights.
static void convolve(const Convolution& conv, const Map& in, const real* x, const Segment* segments,
                     int count, const Result& result, int part, int parts) {
  const Taps taps = taps_of(conv, in);
  const int all = conv.panel_count(), height = result.map.height;
  const int64_t weights = (int64_t)taps.count * conv.inputs * all * LANES;
  const bool uneven = (all + 1) / 2 % parts, larger = in.size() + result.map.size() > 2 * weights;
  const bool by_rows = (uneven || larger) && height >= 2 * parts;
  const Panels own = by_rows ? Panels{0, all} : panels_of(all, part, parts);
  const int top = by_rows ? height * part / parts : 0;
  const int bottom = by_rows ? height * (part + 1) / parts : height;
  const int step = weights <= FEW_WEIGHTS ? std::max(1, GROUP / result.map.width) : height;
  for (int y = top; y < bottom; y += step)
    for (int panel = own.first; panel < own.last; panel += 2) {
      const int end = std::min(bottom, y + step);
      if (panel + 1 < own.last)
        panels<2>(conv, in, x, taps, segments, count, result, panel, y, end);
      else
        panels<1>(conv, in, x, taps, segments, count, result, panel, y, end);
    }
}
