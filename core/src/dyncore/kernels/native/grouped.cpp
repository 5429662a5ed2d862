// The gradient of a grouped 3x3 convolution's input where groups are narrower than a vector.
//
// A group narrower than a vector would leave lanes idle. Here two groups share a vector: its lanes
// are input channels of the one and the other in turns. So are the numbers of the gradient that they are products with: two neighbours, one per
// group, are read as one number of twice the width and repeated over the vector, which is one
// instruction.
//
// The input's gradient is a convolution of the output's with the kernel turned round. A pair of
// groups of an image is gathered once, with a border of zeros, so that no pixel asks whether it is
// at an edge. Then for each vector of input channels P pixels of a row are summed at a time: P sums
// stay in registers while all taps and output channels go by, and each weight that is loaded serves
// P pixels.
#include <algorithm>
#include <iterator>
#include <vector>

#include "entries.h"
#include "vector.h"

static_assert(sizeof(real) == 4, "two numbers are read as one of 64 bits");

// Maps are channels-last. Stride and padding are 1.
struct Shape {
  int64_t images, height, width, groups, inputs, outputs;  // channels are those of a group
};

constexpr int TAPS = 9, HALF = LANES / 2;  // channels of each group in a vector
constexpr int WIDEST = MANY_REGISTERS ? 16 : 8;  // pixels of a tile: its sums, a weight, a product

INLINE vec repeated(const real* pair) {
  typedef uint64_t wide __attribute__((vector_size(VECTOR_BYTES)));
  uint64_t both;
  std::memcpy(&both, pair, sizeof both);
  return (vec)(both - wide{});
}

// [pairs of groups][vectors][taps][outputs][LANES], of weights [groups][outputs][inputs][taps]; the
// kernel is turned round.
static std::vector<real> packed(const Shape& s, const real* weight) {
  const int64_t vectors = (s.inputs + HALF - 1) / HALF, pairs = (s.groups + 1) / 2;
  std::vector<real> rows(pairs * vectors * TAPS * s.outputs * LANES);
  for (int64_t g = 0; g < s.groups; g++)
    for (int64_t o = 0; o < s.outputs; o++)
      for (int64_t i = 0; i < s.inputs; i++)
        for (int k = 0; k < TAPS; k++) {
          const int64_t row = ((g / 2 * vectors + i / HALF) * TAPS + TAPS - 1 - k) * s.outputs + o;
          rows[row * LANES + i % HALF * 2 + g % 2] =
              weight[((g * s.outputs + o) * s.inputs + i) * TAPS + k];
        }
  return rows;
}

// The gradient of two groups with a border of zeros, [rows][columns][outputs][2].
static void place(const Shape& s, const real* grad, int64_t group, real* to) {
  const int64_t pitch = s.groups * s.outputs;
  const real* const first = grad + group * s.outputs;
  const bool both = group + 1 < s.groups;
  for (int64_t y = 0; y < s.height; y++)
    for (int64_t x = 0; x < s.width; x++) {
      const real* const a = first + (y * s.width + x) * pitch;
      real* const pair = to + ((y + 1) * (s.width + 2) + x + 1) * 2 * s.outputs;
      for (int64_t o = 0; o < s.outputs; o++) {
        pair[2 * o] = a[o];
        pair[2 * o + 1] = both ? a[s.outputs + o] : 0;
      }
    }
}

// P pixels of a row, of which `from` is the first one's first neighbour; `out` has their gradient.
template <int P>
static void tile(const Shape& s, const real* from, const real* weight, int64_t group,
                 int64_t channel, real* out) {
  const int64_t pixel = 2 * s.outputs, row = (s.width + 2) * pixel;
  vec sums[P] = {};
  for (int k = 0; k < TAPS; k++) {
    const real* const start = from + k / 3 * row + k % 3 * pixel;
    for (int64_t o = 0; o < s.outputs; o++, weight += LANES) {
      const vec w = load(weight);
#pragma GCC unroll 16
      for (int p = 0; p < P; p++) sums[p] += repeated(start + p * pixel + 2 * o) * w;
    }
  }
  const int64_t some = std::min<int64_t>(HALF, s.inputs - channel) * sizeof(real);
#pragma GCC unroll 16
  for (int p = 0; p < P; p++) {
    real* const to = out + p * s.groups * s.inputs + group * s.inputs + channel;
    real sorted[LANES];  // the first group's channels, then the second's
    for (int i = 0; i < LANES; i++) sorted[i % 2 * HALF + i / 2] = sums[p][i];
    std::memcpy(to, sorted, some);
    if (group + 1 < s.groups) std::memcpy(to + s.inputs, sorted + HALF, some);
  }
}

constexpr LayoutEntry LAYOUT[] = {
    STRUCT(Shape),
    FIELD(Shape, images),
    FIELD(Shape, height),
    FIELD(Shape, width),
    FIELD(Shape, groups),
    FIELD(Shape, inputs),
    FIELD(Shape, outputs),
};

// See entries.h.
extern "C" const LayoutEntry* layout() { return LAYOUT; }

extern "C" int64_t layout_entries() { return std::size(LAYOUT); }

extern "C" void grouped_input_gradient(const Shape* shape, const real* grad, const real* weight,
                                       real* out) {
  const Shape s = *shape;
  const std::vector<real> rows = packed(s, weight);
  const int64_t kernel = TAPS * s.outputs * LANES, pixel = 2 * s.outputs, line = s.width + 2;
#pragma omp parallel
  {
    // One per thread. Its border stays zero: place() writes inside of it.
    std::vector<real> pair((s.height + 2) * line * pixel);
#pragma omp for schedule(static)
    for (int64_t image = 0; image < s.images; image++)
      for (int64_t group = 0; group < s.groups; group += 2) {
        const int64_t area = image * s.height * s.width;
        place(s, grad + area * s.groups * s.outputs, group, pair.data());
        const real* own = rows.data() + group / 2 * ((s.inputs + HALF - 1) / HALF) * kernel;
        for (int64_t channel = 0; channel < s.inputs; channel += HALF, own += kernel)
          for (int64_t y = 0; y < s.height; y++)
            for (int64_t x = 0, some; x < s.width; x += some) {
              const real* const from = pair.data() + (y * line + x) * pixel;
              real* const to = out + (area + y * s.width + x) * s.groups * s.inputs;
              const int64_t left = s.width - x;
              // What is left of a row takes smaller tiles.
              some = left >= WIDEST ? WIDEST : left >= 8 ? 8 : left >= 4 ? 4 : 1;
              switch (some) {
                case 16: tile<16>(s, from, own, group, channel, to); break;
                case 8: tile<8>(s, from, own, group, channel, to); break;
                case 4: tile<4>(s, from, own, group, channel, to); break;
                default: tile<1>(s, from, own, group, channel, to);
              }
            }
      }
  }
}
