// Convolutions of each channel by itself.
//
// No weight is shared between channels, so there is no product of matrices: for some rows and a vector of
// channels, K x K weights stay in registers while the pixels of the rows pass. Rows outermost, so that a
// row of all channels is written together.
//
// A number that is read meets all of a 3 x 3 kernel's weights that it is to be multiplied by at once, in the
// sums of its neighbours: to read it again, and to make a float of it, would take longer than the products.
#pragma once

#include "convolution.h"

// A panel of some rows of a depthwise convolution.
template <typename Number>
struct Depthwise {
  const Convolution& conv;
  const Map& in;
  const Number* x;
  const Result& result;
  int panel;

  const Number* row(int y) const { return x + in.at(y, 0) + panel * LANES; }
  vec weight(int k) const {
    return load(conv.panels_of<real>() + (ptrdiff_t(panel) * conv.kernel * conv.kernel + k) * LANES);
  }
  vec bias() const { return load(result.bias + panel * LANES); }
  INLINE_METHOD void put(int y, int c, vec sum, vec bias) const {
    ::put(result, result.map.at(y, c) + panel * LANES, activate(sum + bias, result.activation));
  }
};

// Any kernel and stride: a row.
template <int K, typename Number>
static void depthwise_row(const Depthwise<Number>& d, int y) {
  const ptrdiff_t next = d.conv.stride * d.in.pitch;
  const vec bias = d.bias();
  vec w[K][K];
  for (int k = 0; k < K * K; k++) w[k / K][k % K] = d.weight(k);
  const Number* from = d.row(y * d.conv.stride - K / 2) - K / 2 * d.in.pitch;
  for (int c = 0; c < d.result.map.width; c++, from += next) {
    vec sum = {};
    for (int row = 0; row < K; row++)
      for (int column = 0; column < K; column++)
        sum += w[row][column] * load_real(from + row * d.in.row() + column * d.in.pitch);
    d.put(y, c, sum, bias);
  }
}

// 3 x 3 of stride 1: ROWS rows from y on, column by column. The border's zeros are not read.
template <int ROWS, typename Number>
static void depthwise_rows(const Depthwise<Number>& d, int y) {
  const vec bias = d.bias();
  vec w[3][3];
  for (int k = 0; k < 9; k++) w[k / 3][k % 3] = d.weight(k);
  const int width = d.result.map.width;
  const Number* from = d.row(y - 1);
  vec before[ROWS], here[ROWS];  // sums that columns to the left have begun
  for (int r = 0; r < ROWS; r++) before[r] = here[r] = vec{};
  for (int c = 0; c < width; c++, from += d.in.pitch) {
    vec after[ROWS];
    for (int r = 0; r < ROWS; r++) after[r] = vec{};
#pragma GCC unroll 4
    for (int row = 0; row < ROWS + 2; row++) {
      const vec value = load_real(from + row * d.in.row());
#pragma GCC unroll 2
      for (int r = 0; r < ROWS; r++) {
        if (row < r || row > r + 2) continue;
        before[r] += w[row - r][2] * value;
        here[r] += w[row - r][1] * value;
        after[r] += w[row - r][0] * value;
      }
    }
#pragma GCC unroll 2
    for (int r = 0; r < ROWS; r++) {
      if (c) d.put(y + r, c - 1, before[r], bias);
      before[r] = here[r], here[r] = after[r];
    }
  }
  for (int r = 0; r < ROWS; r++) d.put(y + r, width - 1, before[r], bias);
}

// 3 x 3 of stride 2: a row. Every second column is in the sums of two pixels.
template <typename Number>
static void depthwise_half_row(const Depthwise<Number>& d, int y) {
  const vec bias = d.bias();
  vec w[3][3];
  for (int k = 0; k < 9; k++) w[k / 3][k % 3] = d.weight(k);
  const Number* from = d.row(2 * y - 1);
  vec begun = {};
  for (int c = 0; c < d.result.map.width; c++, from += 2 * d.in.pitch) {
    vec sum = begun, after = {};
#pragma GCC unroll 3
    for (int row = 0; row < 3; row++) {
      const Number* const at = from + row * d.in.row();
      const vec between = load_real(at + d.in.pitch);
      sum += w[row][1] * load_real(at);
      sum += w[row][2] * between;
      after += w[row][0] * between;
    }
    d.put(y, c, sum, bias);
    begun = after;
  }
}

// The panels `own` of the output's rows top .. bottom.
template <typename Number>
static void depthwise_on(const Convolution& conv, const Map& in, const Number* x, const Result& result,
                         Panels own, int top, int bottom) {
  constexpr int TOGETHER = MANY_REGISTERS ? 2 : 1;  // rows that share what they read
  const bool by_column = conv.kernel == 3 && conv.stride == 1, by_two = conv.kernel == 3 && conv.stride == 2;
  for (int y = top, rows; y < bottom; y += rows) {
    rows = by_column ? std::min(TOGETHER, bottom - y) : 1;
    for (int panel = own.first; panel < own.last; panel++) {
      const Depthwise<Number> part{conv, in, x, result, panel};
      if (by_column && rows == TOGETHER)
        depthwise_rows<TOGETHER>(part, y);
      else if (by_column)
        depthwise_rows<1>(part, y);
      else if (by_two)
        depthwise_half_row(part, y);
      else if (conv.kernel == 3)
        depthwise_row<3>(part, y);
      else if (conv.kernel == 5)
        depthwise_row<5>(part, y);
      else if (conv.kernel == 7)
        depthwise_row<7>(part, y);
      else
        depthwise_row<1>(part, y);
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
  depthwise_on(conv, in, x, result, own, top, bottom);
}
