// Convolutions of each channel by itself.
//
// No weight is shared between channels, so there is no product of matrices: for a row and a vector of
// channels, K x K weights stay in registers while the pixels of the row pass. Rows outermost, so that a
// row of all channels is written together.
#pragma once

#include "convolution.h"

// The panels `own` of the output's rows top .. bottom.
template <int K, typename Number>
static void depthwise_rows(const Convolution& conv, const Map& in, const Number* x, const Result& result,
                           Panels own, int top, int bottom) {
  const Map& to = result.map;
  const ptrdiff_t next = conv.stride * in.pitch;
  for (int y = top; y < bottom; y++)
    for (int panel = own.first; panel < own.last; panel++) {
      const real* const weights = conv.panels_of<real>() + ptrdiff_t(panel) * K * K * LANES;
      vec w[K][K];
      for (int k = 0; k < K * K; k++) w[k / K][k % K] = load(weights + k * LANES);
      const vec bias = load(result.bias + panel * LANES);
      const Number* from = first_pixel(conv, in, x, y, 0) + panel * LANES;
      ptrdiff_t out = to.at(y, 0) + panel * LANES;
      for (int c = 0; c < to.width; c++, from += next, out += to.pitch) {
        vec sum = {};
#pragma GCC unroll 3
        for (int row = 0; row < K; row++)
#pragma GCC unroll 3
          for (int column = 0; column < K; column++)
            sum += w[row][column] * load_real(from + row * in.row() + column * in.pitch);
        put(result, out, activate(sum + bias, result.activation));
      }
    }
}

// The share `part` of `parts` of a depthwise convolution of one image; see `convolve`.
template <typename Number>
static void convolve_depthwise(const Convolution& conv, const Map& in, const Number* x,
                               const Result& result, int part, int parts) {
  const int height = result.map.height, all = conv.panel_count();
  const bool by_rows = height >= 2 * parts;
  const Panels own = by_rows ? Panels{0, all} : panels_of(all, part, parts);
  const int top = by_rows ? height * part / parts : 0;
  const int bottom = by_rows ? height * (part + 1) / parts : height;
  if (conv.kernel == 3)
    depthwise_rows<3>(conv, in, x, result, own, top, bottom);
  else
    depthwise_rows<1>(conv, in, x, result, own, top, bottom);
}
