// Layer norms of single pixels, whose scale and shift are a part of the layer that follows.
#pragma once

#include <cmath>

#include "tile.h"

static real sum_of(const real* values, int count, real minus, bool squares) {
  vec sums = {};
  int i = 0;
  for (; i + LANES <= count; i += LANES) {
    const vec value = load(values + i) - minus;
    sums += squares ? value * value : value;
  }
  real sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
  for (; i < count; i++) sum += squares ? (values[i] - minus) * (values[i] - minus) : values[i] - minus;
  return sum;
}

// The share `part` of `parts` of a map's rows; `more` is added to the variance.
static void standardise_rows(const Map& map, int channels, real* x, real more, int part, int parts) {
  for (int y = map.height * part / parts; y < map.height * (part + 1) / parts; y++)
    for (int i = 0; i < map.width; i++) {
      real* const pixel = x + map.at(y, i);
      const real mean = sum_of(pixel, channels, 0, false) / channels;
      const real scale = 1 / std::sqrt(sum_of(pixel, channels, mean, true) / channels + more);
      for (int c = 0; c < channels; c++) pixel[c] = (pixel[c] - mean) * scale;
    }
}
