// What runs before the first block: one convolution and perhaps a 3x3 maximum.
#pragma once

#include <algorithm>

#include "convolution.h"
#include "team.h"

struct Stem {
  const Convolution* convolution;
  Map image, convolved, out;  // `convolved` is `out` without a maximum
  int32_t channels, maximum;
};

// The share of an image's rows that come into the map; `stride` of channel, row and column.
static void place(const Stem& stem, const real* image, const int64_t* stride, real* map, int part,
                  int parts) {
  const Map& to = stem.image;
  for (int y = to.height * part / parts; y < to.height * (part + 1) / parts; y++) {
    real* pixel = map + to.at(y, 0);
    for (int x = 0; x < to.width; x++, pixel += to.pitch)
      for (int c = 0; c < stem.channels; c++)
        pixel[c] = image[c * stride[0] + y * stride[1] + x * stride[2]];
  }
}

// Stride 2 over a map without negative numbers, whose zeros around it change no maximum.
static void take_maximum(const Map& in, const real* from, const Map& out, real* to, int part,
                         int parts) {
  for (int y = out.height * part / parts; y < out.height * (part + 1) / parts; y++)
    for (int x = 0; x < out.width; x++) {
      const real* first = from + in.at(2 * y - 1, 2 * x - 1);
      real* result = to + out.at(y, x);
      for (ptrdiff_t c = 0; c < out.pitch; c += LANES) {
        vec most = load(first + c);
        for (int k = 1; k < 9; k++) {
          const vec value = load(first + (k / 3) * in.row() + (k % 3) * in.pitch + c);
          most = value > most || value != value ? value : most;
        }
        store(result + c, most);
      }
    }
}

// One image; `scratch`: its map and that of the convolution.
static void run_stem_on(const Stem& stem, const real* image, const int64_t* stride, real* out,
                        real* const* scratch, int part, int parts, Team& team) {
  const auto wait = [&] {
    if (parts > 1) team.barrier();
  };
  place(stem, image, stride, scratch[0], part, parts);
  wait();
  const Convolution& conv = *stem.convolution;
  const Segment all{0, 0, conv.inputs, nullptr};
  real* const convolved = stem.maximum ? scratch[1] : out;
  const Result result{convolved, stem.convolved, false, 1, conv.activation, conv.bias, nullptr};
  convolve(conv, stem.image, scratch[0], &all, 1, result, part, parts);
  wait();
  if (stem.maximum) take_maximum(stem.convolved, convolved, stem.out, out, part, parts);
  wait();
}
