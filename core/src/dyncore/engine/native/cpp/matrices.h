// Products of bfloat16 in a processor's matrices (Intel's AMX): up to 16 pixels by 16 inputs' pairs with 16
// pairs by 16 outputs, added to 16 by 16 sums, in one instruction.
//
// Weights lie as in tile.h: 16 pairs of a panel are a matrix. Pixels of a row of a map are one, too, whatever
// lies between them. Four matrices of sums share two of pixels and two of weights.
//
// Where the processor has them. Compiled with EMULATED and MATRICES: in plain arrays, added in the order of
// the instructions.
#pragma once

#include "tile.h"

#if defined(BFLOAT16) && defined(EMULATED) && defined(MATRICES)
#define MULTIPLIES_MATRICES
#elif defined(BFLOAT16_INSTRUCTIONS) && defined(__AMX_BF16__) && defined(__linux__)
#define MULTIPLIES_MATRICES
#endif

#ifdef MULTIPLIES_MATRICES

constexpr int MATRIX_ROWS = 16;  // of numbers, at most, and pairs of inputs

// Of pixels 0 with weights 0 and 1, then of pixels 1.
typedef real Sums[4][MATRIX_ROWS][LANES];

#if defined(EMULATED)

inline bool has_matrices() { return true; }

class Matrices {
 public:
  Matrices(int pixels, int pairs) : pixels_(pixels), pairs_(pairs) {}

  void zero() { std::memset(sums_, 0, sizeof sums_); }
  void load_pixels(int at, const Bfloat* from, ptrdiff_t stride) {
    for (int row = 0; row < pixels_; row++) std::memcpy(inputs_[at][row], from + row * stride, 4 * pairs_);
  }
  void load_weights(int at, const Bfloat* from) {
    for (int row = 0; row < pairs_; row++) std::memcpy(weights_[at][row], from + row * 2 * LANES, 4 * LANES);
  }
  template <int M>
  void multiply() {
    constexpr int PIXELS = M / 2, WEIGHTS = M % 2;
    for (int p = 0; p < pixels_; p++)
      for (int n = 0; n < LANES; n++) {
        float even = 0, odd = 0;
        for (int k = 0; k < pairs_; k++) {
          even += low(inputs_[PIXELS][p][k]) * low(weights_[WEIGHTS][k][n]);
          odd += high(inputs_[PIXELS][p][k]) * high(weights_[WEIGHTS][k][n]);
        }
        sums_[M][p][n] += even + odd;
      }
  }
  void store(Sums& to) const { std::memcpy(to, sums_, sizeof sums_); }

 private:
  static float high(uint32_t pair) { return __builtin_bit_cast(float, pair & 0xffff0000u); }
  static float low(uint32_t pair) { return high(pair << 16); }

  const int pixels_, pairs_;
  Sums sums_;
  uint32_t inputs_[2][MATRIX_ROWS][MATRIX_ROWS], weights_[2][MATRIX_ROWS][LANES];
};

#else

#include <sys/syscall.h>
#include <unistd.h>

// Linux keeps the registers of a process that has asked for them.
inline bool has_matrices() {
  constexpr int ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18;
  static const bool allowed = !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA);
  return allowed;
}

// Registers: sums 0 .. 3, pixels 4 and 5, weights 6 and 7.
class Matrices {
 public:
  Matrices(int pixels, int pairs) {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t bytes[16] = {};
      uint8_t rows[16] = {};
    } shape;
    for (int at = 0; at < 8; at++) {
      shape.bytes[at] = at == 4 || at == 5 ? 4 * pairs : 4 * LANES;
      shape.rows[at] = at < 6 ? pixels : pairs;
    }
    _tile_loadconfig(&shape);
  }
  ~Matrices() { _tile_release(); }
  Matrices(const Matrices&) = delete;

  // Registers are parts of the instructions' names.
  void zero() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  void load_pixels(int at, const Bfloat* from, ptrdiff_t stride) {
    if (at)
      _tile_loadd(5, from, 2 * stride);
    else
      _tile_loadd(4, from, 2 * stride);
  }
  void load_weights(int at, const Bfloat* from) {
    if (at)
      _tile_loadd(7, from, 4 * LANES);
    else
      _tile_loadd(6, from, 4 * LANES);
  }
  template <int M>
  void multiply() {
    if constexpr (M == 0) _tile_dpbf16ps(0, 4, 6);
    if constexpr (M == 1) _tile_dpbf16ps(1, 4, 7);
    if constexpr (M == 2) _tile_dpbf16ps(2, 5, 6);
    if constexpr (M == 3) _tile_dpbf16ps(3, 5, 7);
  }
  void store(Sums& to) const {
    _tile_stored(0, to[0], 4 * LANES);
    _tile_stored(1, to[1], 4 * LANES);
    _tile_stored(2, to[2], 4 * LANES);
    _tile_stored(3, to[3], 4 * LANES);
  }
};

#endif

// How the rows of a result are cut into matrices, and inputs into columns of them.
struct MatrixShape {
  int pixels, in_row, pairs;

  explicit MatrixShape(const Product<Bfloat>& product) {
    const int width = product.result.map.width;
    in_row = (width + MATRIX_ROWS - 1) / MATRIX_ROWS;
    pixels = (width + in_row - 1) / in_row;
    pairs = std::min(product.source.segments[0].count / 2, MATRIX_ROWS);
  }

  // Whether the inputs come out even.
  bool fits(const Product<Bfloat>& product) const {
    bool even = pairs > 0;
    for (const Source<Bfloat>* source = &product.source; source; source = source->more)
      for (const Segment* segment = source->segments; segment < source->segments + source->count; segment++)
        even = even && !segment->list && segment->count % (2 * pairs) == 0;
    return even;
  }
};

// N panels from `panel` on, of rows first .. last.
template <int N>
static void matrix_panels(const Product<Bfloat>& product, const MatrixShape& shape, int panel, int first,
                          int last) {
  const Map& out = product.result.map;
  Matrices matrices(shape.pixels, shape.pairs);
  Ending<N> ending(product, panel);
  const int first_panel = product.from_panel(panel);
  const int panels_apart = N > 1 ? product.from_panel(panel + 1) - first_panel : 0;
  const int all = (last - first) * shape.in_row;
  for (int at = 0; at < all; at += 2) {
    const int some = std::min(2, all - at);
    int y[2], c[2], own[2];  // row, first column, and the first that no matrix before has
    for (int i = 0; i < 2; i++) {
      const int tile = std::min(at + i, all - 1);
      y[i] = first + tile / shape.in_row, own[i] = tile % shape.in_row * shape.pixels;
      c[i] = std::min(own[i], out.width - shape.pixels);
    }
    matrices.zero();
    for (const Source<Bfloat>* source = &product.source; source; source = source->more) {
      const auto& [conv, in, x, segments, count, more, taps] = *source;
      const ptrdiff_t panel_size = taps.count * ptrdiff_t(conv.inputs) * LANES;
      const Bfloat* const weights = conv.panels_of<Bfloat>() + first_panel * panel_size;
      const ptrdiff_t apart = panels_apart * panel_size, next = conv.stride * in.pitch;
      const Bfloat* const from[2] = {first_pixel(conv, in, x, y[0], c[0]), first_pixel(conv, in, x, y[1], c[1])};
      for (int s = 0; s < count; s++)
        for (int k = 0; k < taps.count; k++)
          for (int32_t input = 0; input < segments[s].count; input += 2 * shape.pairs) {
            const ptrdiff_t offset = taps.offset[k] + segments[s].map_channel + input;
            const Bfloat* const w =
                weights + (k * ptrdiff_t(conv.inputs) + segments[s].weight_channel + input) * LANES;
            matrices.load_weights(0, w);
            matrices.load_pixels(0, from[0] + offset, next);
            matrices.template multiply<0>();
            if (N > 1) matrices.load_weights(1, w + apart), matrices.template multiply<1>();
            if (some == 1) continue;
            matrices.load_pixels(1, from[1] + offset, next);
            matrices.template multiply<2>();
            if (N > 1) matrices.template multiply<3>();
          }
    }
    alignas(64) Sums sums;
    matrices.store(sums);
    for (int i = 0; i < some; i++)
      for (int p = own[i] - c[i]; p < shape.pixels; p++)
        for (int n = 0; n < N; n++)
          ending.put(out.at(y[i], c[i] + p) + (panel + n) * LANES, n, load(sums[2 * i + n][p]));
  }
  ending.add_totals(panel);
}

#endif
