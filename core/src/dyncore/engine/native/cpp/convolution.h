// Convolutions of one image, cut into tiles.
//
// Few weights (at most MAX_CACHED_WEIGHTS) stay in the cache: then PASS_PIXELS pixels meet all panels before
// the next pixels do, so that each pixel comes from memory once. Many weights do not stay: then each pair of
// panels meets the whole map before the next pair is read, so that each weight does.
#pragma once

#include <algorithm>
#include <type_traits>

#include "matrices.h"
#include "tile.h"

constexpr int PASS_PIXELS = 224;                // pixels that meet all panels before the next ones do
constexpr int64_t MAX_CACHED_WEIGHTS = 1 << 17;  // so many stay in the cache while they meet a map

// A tile of `pixels` pixels, at most P, that lie one after the other.
template <int P, int N, typename Number>
static void some_tile(int pixels, const Product<Number>& product, int panel, int y, int c) {
  if (pixels == P)
    tile<P, N, 1>(product, panel, y, c);
  else if constexpr (P > 1)
    some_tile<P - 1, N>(pixels, product, panel, y, c);
}

// Output channels panel .. panel + N of rows first .. last, in tiles that go on from row to row: few
// registers make narrow tiles, and what rows leave over would be a large part of the pixels.
template <int N, typename Number>
static void panels_on(const Product<Number>& product, int panel, int first, int last) {
  constexpr int WIDE = MAX_PIXELS<N>;
  const int width = product.result.map.width;
  int y = first, c = 0;
  for (int left = (last - first) * width, some; left > 0; left -= some) {
    // Two halves take less time than a whole tile and one pixel.
    some = left == WIDE + 1 ? (WIDE + 1) / 2 : std::min(left, WIDE);
    some_tile<WIDE, N>(some, product, panel, y, c);
    for (c += some; c >= width; c -= width) y++;
  }
}

// The same in tiles that end with a row, whose pixels share address registers.
template <int N, typename Number>
static void panels_by_row(const Product<Number>& product, int panel, int first, int last) {
  constexpr int WIDE = MAX_PIXELS<N>;
  const int width = product.result.map.width;
// Whole rows of a small map, as many as a tile holds: each weight then meets more pixels.
#define TILES(W)                                                    \
  for (; width == W && last - first >= WIDE / W; first += WIDE / W) \
    tile<WIDE / W * W, N, W>(product, panel, first, 0)
  TILES(7);
  TILES(4);
#undef TILES
  for (int y = first; y < last; y++)
    for (int c = 0; c < width;) {
      const int left = width - c;
#define TILE(P) (tile<P, N, P>(product, panel, y, c), c += P)
      if (N == 1 && left >= 16) TILE(16);
      else if (left == WIDE || left >= WIDE + 4) TILE(WIDE);
      else if (left >= 8) TILE(8);
      else if (left == 7) TILE(7);
      else if (left >= 4) TILE(4);
      else if (left >= 2) TILE(2);
      else TILE(1);
#undef TILE
    }
}

template <int N, typename Number>
static void panels(const Product<Number>& product, int panel, int first, int last) {
#ifdef MULTIPLIES_MATRICES
  if constexpr (N <= 2 && std::is_same_v<Number, Bfloat>) {
    const MatrixShape shape(product);
    if (has_matrices() && shape.fits(product)) return matrix_panels<N>(product, shape, panel, first, last);
  }
#endif
  if constexpr (MANY_REGISTERS)
    panels_by_row<N>(product, panel, first, last);
  else
    panels_on<N>(product, panel, first, last);
}

struct Panels {
  int first, last;
};

// The panels of thread `part` of `parts`: pairs, of which the last one may be half.
INLINE Panels panels_of(int all, int part, int parts) {
  const int pairs = (all + 1) / 2;
  return {2 * (pairs * part / parts), std::min(all, 2 * (pairs * (part + 1) / parts))};
}

// The panels `own` of the output's rows top .. bottom.
template <typename Number>
static void convolve_rows(const Product<Number>& product, Panels own, int top, int bottom) {
  const Map& to = product.result.map;
  const int64_t cached = MAX_CACHED_WEIGHTS * (sizeof(real) / sizeof(Number));
  const int step = product.source.weights() <= cached ? std::max(1, PASS_PIXELS / to.width) : to.height;
  for (int y = top; y < bottom; y += step) {
    const int end = std::min(bottom, y + step);
    for (int panel = own.first, some; panel < own.last; panel += some) {
      const int left = own.last - panel;
      some = left == 3 && !MANY_REGISTERS && !product.wanted ? 3 : std::min(left, 2);
      if (some == 2)
        panels<2>(product, panel, y, end);
      else if (some == 1)
        panels<1>(product, panel, y, end);
      else if constexpr (!MANY_REGISTERS)
        panels<3>(product, panel, y, end);
    }
  }
}

// The share `part` of `parts` of convolutions of one image. By rows, a thread mostly reads what it
// wrote itself; by panels, it reads half of the weights.
template <typename Number>
static void convolve(const Source<Number>& source, const Result& result, int part, int parts) {
  const Product<Number> product{source, result};
  const int all = source.conv.panel_count(), height = result.map.height;
  // By rows each thread reads all weights, by panels all of the map: what is larger is dealt. Panels go in
  // pairs, which may not come out even; rows need two for each thread.
  const bool uneven = (all + 1) / 2 % parts;
  const bool larger = source.in.size() + result.map.size() > 2 * source.weights();
  if ((uneven || larger) && height >= 2 * parts)
    convolve_rows(product, {0, all}, height * part / parts, height * (part + 1) / parts);
  else
    convolve_rows(product, panels_of(all, part, parts), 0, height);
}

// The same of a grouped convolution, from channel `first` on. A panel's outputs are of neighbouring groups,
// so its inputs lie together; between those of one group and the outputs of another the weights are zeros.
template <typename Number>
static void convolve_grouped(const Convolution& conv, const Map& in, const Number* x, ptrdiff_t first,
                             const Result& result, int part, int parts) {
  const int all = conv.panel_count(), height = result.map.height;
  const bool by_rows = height >= 2 * parts;
  const Panels own = by_rows ? Panels{0, all} : panels_of(all, part, parts);
  const int top = by_rows ? height * part / parts : 0;
  const int bottom = by_rows ? height * (part + 1) / parts : height;
  for (int panel = own.first; panel < own.last; panel++) {
    const Segment inputs{first + conv.starts[panel], 0, conv.inputs, nullptr};
    const Source<Number> source{conv, in, x, &inputs, 1};
    panels<1>(Product<Number>{source, result}, panel, top, bottom);
  }
}

// The share `part` of `parts` of the panels that the `count` values `wanted` are, side by side in the result.
template <typename Number>
static void convolve_panels(const Convolution& conv, const Map& in, const Number* x,
                            const int32_t* wanted, int count, const Result& result, int part,
                            int parts) {
  const Segment all{0, 0, conv.inputs, nullptr};
  const Source<Number> source{conv, in, x, &all, 1};
  const Product<Number> product{source, result, wanted};
  const int panels = (count * Kind<Number>::TOGETHER + LANES - 1) / LANES;
  convolve_rows(product, panels_of(panels, part, parts), 0, result.map.height);
}
