// What scales a map's channels by what the whole map is like: squeeze and excitation.
#pragma once

#include <algorithm>
#include <cmath>

#include "convolution.h"

// scale = gate(expand · activation(reduce · means + bias) + bias); channels are filled up to whole vectors.
struct Excitation {
  int32_t width, activation;
  int32_t hard;  // whether the gate is min(max(x / 6 + 1/2, 0), 1), else 1 / (1 + exp(-x))
  const real *reduce, *reduce_bias;  // [width][channels], [width]
  const real *expand, *expand_bias;  // [width][channels], [channels]
};

// The channels' factors, at the start of `memory`, which holds two numbers a channel.
static void find_factors(const Excitation& e, const Map& map, int channels, const real* x, real* memory) {
  real* const factors = memory;
  real* const means = memory + channels;
  for (int c = 0; c < channels; c += LANES) {
    vec sum = {};
    for (int y = 0; y < map.height; y++) {
      const real* row = x + map.at(y, 0) + c;
      vec of_row = {};  // short sums round less
      for (int i = 0; i < map.width; i++) of_row += load(row + i * map.pitch);
      sum += of_row;
    }
    store(means + c, sum / (real(map.height) * real(map.width)));
    store(factors + c, load(e.expand_bias + c));
  }
  for (int w = 0; w < e.width; w++) {
    vec products = {};
    for (int c = 0; c < channels; c += LANES)
      products += load(e.reduce + ptrdiff_t(w) * channels + c) * load(means + c);
    real sum = e.reduce_bias[w];
    for (int lane = 0; lane < LANES; lane++) sum += products[lane];
    const real hidden = activate(sum, e.activation);
    for (int c = 0; c < channels; c += LANES)
      store(factors + c, load(factors + c) + hidden * load(e.expand + ptrdiff_t(w) * channels + c));
  }
  for (int c = 0; c < channels; c++)
    factors[c] = e.hard ? std::min(std::max(factors[c] / 6 + real(0.5), real(0)), real(1))
                        : 1 / (1 + std::exp(-factors[c]));
}

// The share `part` of `parts` of a map's rows, each channel times its factor.
static void scale_rows(const Map& map, int channels, real* x, const real* factors, int part, int parts) {
  for (int y = map.height * part / parts; y < map.height * (part + 1) / parts; y++)
    for (int i = 0; i < map.width; i++) {
      real* const pixel = x + map.at(y, i);
      for (int c = 0; c < channels; c += LANES) store(pixel + c, load(pixel + c) * load(factors + c));
    }
}
