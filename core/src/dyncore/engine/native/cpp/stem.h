// What runs before the first block: one convolution and perhaps a 3x3 maximum.
#pragma once

#include <algorithm>

#include "convolution.h"
#include "team.h"

struct Stem {
  const Convolution* convolution;
  Map image, convolved, out;  // `convolved` is `out` without a maximum
  int32_t channels, max_pool;
  int32_t rounded;        // whether the convolution is bfloat16
  int32_t rounds;         // see Block
  const real *mean, *std;  // [channels]: images are normalised by them; null: they are already
  void* const* scratch;  // [threads][2]: maps `image`, of Bfloats if rounded, and `convolved`
};

// The share of an image's rows that come into the map; `stride` of channel, row and column.
template <typename Number>
static void place(const Stem& stem, const real* image, const int64_t* stride, Number* map, int part,
                  int parts) {
  const Map& to = stem.image;
  for (int y = to.height * part / parts; y < to.height * (part + 1) / parts; y++) {
    Number* pixel = map + to.at(y, 0);
    for (int x = 0; x < to.width; x++, pixel += to.pitch)
      for (int c = 0; c < stem.channels; c++) {
        const real value = image[c * stride[0] + y * stride[1] + x * stride[2]];
        store_number(pixel + c, stem.mean ? (value - stem.mean[c]) / stem.std[c] : value);
      }
  }
}

INLINE vec larger(vec a, vec b) { return b > a || b != b ? b : a; }  // NaN stays NaN

// Stride 2 over a map without negative numbers, whose zeros around it change no maximum; rows first ..
// last of what comes out.
static void take_max_pool(const Map& in, const real* from, const Result& to, int first, int last) {
  const Map& out = to.map;
  for (int y = first; y < last; y++)
    for (ptrdiff_t c = 0; c < out.pitch; c += LANES) {
      const real* const top = from + in.at(2 * y - 1, 0) + c;
      const auto of_column = [&](int x) {
        const real* at = top + x * in.pitch;
        return larger(larger(load(at), load(at + in.row())), load(at + 2 * in.row()));
      };
      vec before = of_column(-1);
      for (int x = 0; x < out.width; x++) {
        const vec after = of_column(2 * x + 1);
        put(to, out.at(y, x) + c, larger(larger(before, of_column(2 * x)), after));
        before = after;
      }
    }
}

constexpr int BAND_ROWS = 4;  // rows of maxima, taken while what they are of is in the cache

// One image; `placed` is its map, which all threads fill, `convolved` this thread's own.
template <typename Number>
static void run_stem_as(const Stem& stem, const real* image, const int64_t* stride, real* out,
                        Number* placed, real* convolved, int part, int parts, Team& team) {
  const auto wait = [&] {
    if (parts > 1) team.barrier();
  };
  place(stem, image, stride, placed, part, parts);
  wait();  // a kernel reads rows that other threads placed
  const Convolution& conv = *stem.convolution;
  const Segment all{0, 0, conv.inputs, nullptr};
  const Source<Number> source{conv, stem.image, placed, &all, 1};
  const Map& to = stem.convolved;
  const Result given{.out = out, .map = stem.out, .rounded = stem.rounds ? copy_of(stem.out, out) : nullptr};
  Result result{convolved, to, false, 1, conv.activation, conv.bias, nullptr};
  if (!stem.max_pool) {
    result.out = given.out, result.rounded = given.rounded;
    convolve(source, result, part, parts);
  } else {
    const Product<Number> product{source, result};
    const int height = stem.out.height, bottom = height * (part + 1) / parts;
    // Bands of maxima from top to bottom. `done` counts rows of the convolution that are there: a band
    // needs one row above its own, which the band before made, or at a thread's first band it itself.
    int y = height * part / parts, done = std::max(0, 2 * y - 1);
    for (int end; y < bottom; y = end) {
      end = std::min(bottom, y + BAND_ROWS);
      const int needed = std::min(to.height, 2 * end);
      convolve_rows(product, {0, conv.panel_count()}, done, needed);
      take_max_pool(to, convolved, given, y, end);
      done = needed;
    }
  }
  wait();  // `placed` is free for the next image
}

static void run_stem_on(const Stem& stem, const real* image, const int64_t* stride, real* out, void* placed,
                        void* convolved, int part, int parts, Team& team) {
#ifdef BFLOAT16
  if (stem.rounded)
    return run_stem_as(stem, image, stride, out, (Bfloat*)placed, (real*)convolved, part, parts, team);
#endif
  run_stem_as(stem, image, stride, out, (real*)placed, (real*)convolved, part, parts, team);
}
