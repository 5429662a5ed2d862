// A tile of a convolution: some pixels and vectors of output channels whose sums stay in registers.
//
// A map is channels-last with a border of zeros, so a kernel reads neighbours without asking where
// the image ends, and several pixels share each weight that is read.
//
// The loops of a convolution, outermost first: passes of pixels and panels of output channels
// (convolution.h), tiles of pixels, then here convolutions that are added up (a block's last layer and the
// projection beside it), segments of inputs, taps of the kernel, runs of at most MAX_TERMS inputs, inputs,
// pixels, vectors of output channels. Innermost, P x N sums take one broadcast input each and N weights that
// all P pixels share: P * N multiply-adds for P + N loads.
#pragma once

#include <algorithm>

#include "bfloat16.h"
#include "prefetch.h"
#include "vector.h"

// Pixels of a tile of N vectors of output channels: as many as registers hold.
template <int N>
constexpr int MAX_PIXELS = MANY_REGISTERS ? 14 : N == 1 ? 8 : 12 / N;

constexpr int PREFETCH_ROWS = 32;        // rows of weights that are asked for before they are needed
constexpr int MAX_TERMS = 256;  // values of a sum before it is carried away: short sums round less

struct Map {
  int32_t height, width, border;
  int64_t pitch;  // channels of a pixel in memory

  ptrdiff_t row() const { return (width + 2 * border) * pitch; }
  ptrdiff_t size() const { return (height + 2 * border) * row(); }
  ptrdiff_t at(int y, int x) const { return (y + border) * row() + (x + border) * pitch; }
  // Of an image's map between two blocks, behind which, with bfloat16, its rounded copy lies.
  ptrdiff_t with_copy() const {
    return HAS_BFLOAT16 ? (size() + size() / 2 + LANES - 1) / LANES * LANES : size();
  }
};

// The copy of a map between two blocks, in whole numbers rounded to bfloat16, at the same places.
INLINE Bfloat* copy_of(const Map& map, real* x) { return (Bfloat*)(x + map.size()); }
INLINE const Bfloat* copy_of(const Map& map, const real* x) { return (const Bfloat*)(x + map.size()); }

struct Excitation;

// A convolution with its norm folded in and zeros around the image. Where all channels of a map are
// read, the pixels of a kernel's row lie together: `merged` takes them for channels of one pixel.
struct Convolution {
  int32_t kernel, stride, activation, merged;
  int32_t depthwise;        // each output is of the input of its own number, and `inputs` is 1
  int32_t inputs, outputs;  // channels; outputs of `panels` are filled up to whole vectors
  // [outputs / LANES][kernel² or, merged, kernel][inputs][LANES] real numbers, or Bfloats, of which an even
  // number of inputs lie [inputs / 2][LANES][2].
  const void* panels;
  const real* rows;         // [outputs][kernel²][inputs, filled up], or null
  const real* bias;         // [outputs, filled up]
  const int32_t* starts;    // of a grouped one, each panel's first input, of `inputs`; else null
  const Excitation* excitation;  // what its output then goes through, or null
  double variance_more;          // where each pixel is then standardised over its channels; else negative

  int panel_count() const { return (outputs + LANES - 1) / LANES; }
  template <typename Number>
  const Number* panels_of() const {
    return (const Number*)panels;
  }
};

// Input channels that lie together. Or the values in `list`, TOGETHER channels each: side by side in the map,
// or, if `in_place`, each where it is without a list.
struct Segment {
  ptrdiff_t map_channel, weight_channel;
  int32_t count;  // of channels
  const int32_t* list;
  bool in_place = false;
};

// What becomes of a sum: out = activation(scale * sum, plus what is there if `add`), times
// `channel_scale`. `totals` grow by what is put out. It goes to `out`, to `rounded` or to both.
struct Result {
  real* out;  // the map of one image
  Map map;
  bool add;
  real scale;
  int32_t activation;
  const real* bias;
  const real* channel_scale;  // per output channel, or null
  Prefetch* prefetch = nullptr;     // what to ask for meanwhile, or null
  real* totals = nullptr;     // per output channel, or null
  Bfloat* rounded = nullptr;  // the map in bfloat16, or null
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

template <typename Number>
INLINE const Number* first_pixel(const Convolution& conv, const Map& in, const Number* x, int y, int c) {
  const int half = conv.kernel / 2;
  return x + in.at(y * conv.stride - half, c * conv.stride - half);
}

// Where the P pixels of a tile lie in a map, from the first one, if `next` lies between two in a row and `row`
// between two rows of `width`: W of them in each row, or, if W is 1, each after the other, on to the next row
// where one ends. `c` is the first one's column. Of each row every STEP-th has its place here.
template <int P, int W, int STEP>
struct Places {
  static constexpr int IN_ROW = (W + STEP - 1) / STEP, COUNT = P / W * IN_ROW;
  ptrdiff_t next, at[COUNT];

  Places(ptrdiff_t next, ptrdiff_t row, int width, int c) : next(next) {
    if constexpr (W > 1) {
      for (int i = 0; i < COUNT; i++) at[i] = i / IN_ROW * row + i % IN_ROW * STEP * next;
    } else {
      ptrdiff_t here = 0;
      for (int p = 0; p < P; p++) {
        at[p] = here;
        const bool turns = ++c == width;
        if (turns) c = 0;
        here += next + (turns ? row - width * next : 0);
      }
    }
  }
};

// Those of a tile's inputs: three of a row share a register.
template <int P, int W>
using Pixels = Places<P, W, 3>;

// Whether a tile of so many sums has the time to ask for what is needed soon: a line for two inputs.
template <int P, int N>
constexpr bool HIDES_PREFETCH = P * N >= 12;

constexpr int PREFETCH_INPUTS = 16;  // inputs for which it asks at once; larger bursts make it wait

// Adds `count` inputs to sums[P pixels][N vectors of output channels]; `list`, `in_place`: see Segment. Of
// bfloat16 an input is a pair of channels here.
template <int P, int N, int W, bool PREFETCHES, typename Number>
INLINE void accumulate(vec (&sums)[P][N], const Number* x, const Pixels<P, W>& pixels,
                       const Number* weights, ptrdiff_t panel_size, const int32_t* list, bool in_place,
                       ptrdiff_t count, const real* soon = nullptr) {
  typedef typename Kind<Number>::Value Value;
  typedef typename Kind<Number>::Weights Weights;
  constexpr int TOGETHER = Kind<Number>::TOGETHER, ROW = TOGETHER * LANES;
  constexpr int IN_ROW = pixels.IN_ROW, GROUPS = pixels.COUNT;
  const ptrdiff_t next = pixels.next;
  const Number* from[GROUPS];
  for (int g = 0; g < GROUPS; g++) from[g] = x + pixels.at[g];
  // A sum waits for its last addition, some four cycles, and two can begin in each: with fewer than
  // eight sums, each is made of several chains that are added up at the end.
  constexpr int CHAINS = std::max(1, 8 / (P * N)), DISTANCE = CHAINS > 1 ? 4 * PREFETCH_ROWS : PREFETCH_ROWS;
  vec chains[CHAINS][P][N] = {};
  for (int p = 0; p < P; p++)
    for (int n = 0; n < N; n++) chains[0][p][n] = sums[p][n];
  const auto add = [&](vec (&to)[P][N], ptrdiff_t j) __attribute__((always_inline)) {
    const ptrdiff_t at = list ? list[j] : j, in_map = in_place ? at : j;
    const Number* weight = weights + at * ROW;
    Weights w[N];
#pragma GCC unroll 3
    for (int n = 0; n < N; n++) {
      w[n] = read<Weights>(weight + n * panel_size);
      __builtin_prefetch(weight + n * panel_size + DISTANCE * ROW);
    }
#pragma GCC unroll 16
    for (int p = 0; p < P; p++) {
      const int column = p % W;
      const Number* pixel = from[p / W * IN_ROW + column / 3] + in_map * TOGETHER;
      const Value value = read<Value>(pixel + column % 3 * next);
#pragma GCC unroll 3
      for (int n = 0; n < N; n++) add_product(to[p][n], value, w[n]);
    }
  };
  ptrdiff_t j = 0;
  // With something to fetch for later: a burst of lines, then the inputs that hide it.
  if constexpr (PREFETCHES)
    while (j + PREFETCH_INPUTS <= count) {
      for (int line = 0; line < PREFETCH_INPUTS / 2; line++)
        __builtin_prefetch(soon + (j / 2 + line) * LINE, 0, 2);
#pragma GCC unroll 1
      for (const ptrdiff_t end = j + PREFETCH_INPUTS; j < end; j++) add(chains[0], j);
    }
  for (; j + CHAINS <= count; j += CHAINS)
#pragma GCC unroll 8
    for (int chain = 0; chain < CHAINS; chain++) add(chains[chain], j + chain);
  if constexpr (CHAINS > 1)
    for (; j < count; j++) add(chains[0], j);
  for (int p = 0; p < P; p++)
    for (int n = 0; n < N; n++) {
      sums[p][n] = chains[0][p][n];
      for (int chain = 1; chain < CHAINS; chain++) sums[p][n] += chains[chain][p][n];
    }
}

// A convolution of some segments of a map.
template <typename Number>
struct Source {
  const Convolution& conv;
  const Map& in;
  const Number* x;
  const Segment* segments;
  int count;
  const Source* more = nullptr;  // what is added to it, of as many outputs, before it goes anywhere
  const Taps taps = taps_of(conv, in);

  int64_t weights() const {
    const int64_t own = (int64_t)taps.count * conv.inputs * conv.panel_count() * LANES;
    return own + (more ? more->weights() : 0);
  }
};

// Convolutions of some segments of maps, and where their sum goes.
template <typename Number>
struct Product {
  const Source<Number>& source;
  const Result& result;
  const int32_t* wanted = nullptr;  // output channels that are, as values in whole panels; null: all

  // Where the weights of the result's panel lie.
  int from_panel(int panel) const {
    constexpr int VALUES = LANES / Kind<Number>::TOGETHER;
    return wanted ? wanted[panel * VALUES] / VALUES : panel;
  }
};

// What P pixels of N vectors of sums leave: in `out`, in `rounded`, or in both.
INLINE void put(const Result& result, ptrdiff_t at, vec value) {
  if (!HAS_BFLOAT16 || result.out) store(result.out + at, value);
  if (HAS_BFLOAT16 && result.rounded) store_rounded(result.rounded + at, value);
}

// What follows the sums of N panels from `panel` on, while they are in registers: bias, scale, the shortcut
// that is there already, the activation, a channel's salience, and the totals that the next router's averages
// are made of.
template <int N>
struct Ending {
  const Result& result;
  vec bias[N], salience[N], total[N] = {};

  template <typename Number>
  INLINE_METHOD Ending(const Product<Number>& product, int panel) : result(product.result) {
    for (int n = 0; n < N; n++) {
      const int from = product.from_panel(panel + n) * LANES;
      bias[n] = load(result.bias + from);
      if (result.channel_scale) salience[n] = load(result.channel_scale + from);
    }
  }

  // A sum of panel n, which goes to `at`.
  INLINE_METHOD void put(ptrdiff_t at, int n, vec sum) {
    vec value = (sum + bias[n]) * result.scale;  // a large bias swallows no small terms
    if (result.add) value += load(result.out + at);
    value = activate(value, result.activation);
    if (result.channel_scale) value *= salience[n];
    ::put(result, at, value);
    total[n] += value;
  }

  INLINE_METHOD void add_totals(int panel) const {
    for (int n = 0; n < N && result.totals; n++) {
      real* const totals = result.totals + (panel + n) * LANES;
      store(totals, load(totals) + total[n]);
    }
  }
};

// One tile, of which (y, c) is the first pixel and `panel` the first vector of output channels.
template <int P, int N, int W, typename Number>
static __attribute__((noinline)) void tile(const Product<Number>& product, int panel, int y, int c) {
  const Result& result = product.result;
  const Map& out = result.map;
  const Places<P, W, 1> places(out.pitch, out.row(), out.width, c);
  const ptrdiff_t first_out = out.at(y, c) + panel * LANES;
  const auto place = [&](int p, int n) { return first_out + places.at[p] + n * LANES; };
  // The lines that are written in the end come while the sums are made.
  for (int p = 0; p < P; p++) {
    for (int n = 0; n < N && (!HAS_BFLOAT16 || result.out); n++) __builtin_prefetch(result.out + place(p, n), 1);
    if (HAS_BFLOAT16 && result.rounded) __builtin_prefetch(result.rounded + place(p, 0), 1);
  }
  vec sums[P][N] = {}, carried[P][N];
  const int first_panel = product.from_panel(panel);
  const int apart = N > 1 ? product.from_panel(panel + 1) - first_panel : 1;
  constexpr int TOGETHER = Kind<Number>::TOGETHER;
  // Panels lie [taps][inputs][LANES], so for a tap the weights of a segment lie together; those of the
  // next vector of output channels follow `stride` numbers on. Sums that have MAX_TERMS terms are carried
  // to `carried` and begin anew at zero: in a float32 of 2304 terms small ones would be lost.
  int terms = 0;
  bool carries = false;
  for (const Source<Number>* source = &product.source; source; source = source->more) {
    const auto& [conv, in, x, segments, count, more, taps] = *source;
    const Pixels<P, W> pixels(conv.stride * in.pitch, conv.stride * in.row(), out.width, c);
    const ptrdiff_t inputs = conv.inputs, panel_size = taps.count * inputs * LANES;
    const Number* const start = first_pixel(conv, in, x, y, c);
    const Number* const weights = conv.template panels_of<Number>() + first_panel * panel_size;
    const ptrdiff_t stride = apart * panel_size;
    for (int s = 0; s < count; s++)
      for (int k = 0; k < taps.count; k++)
        for (int32_t first = 0; first < segments[s].count; first += MAX_TERMS * TOGETHER) {
          const Segment& segment = segments[s];
          const int32_t some = std::min(segment.count - first, MAX_TERMS * TOGETHER) / TOGETHER;
          if (terms + some > MAX_TERMS) {
            for (int p = 0; p < P; p++)
              for (int n = 0; n < N; n++) {
                carried[p][n] = carries ? carried[p][n] + sums[p][n] : sums[p][n];
                sums[p][n] = vec{};
              }
            carries = true;
            terms = 0;
          }
          terms += some;
          const Number* from = start + taps.offset[k] + segment.map_channel + (segment.in_place ? 0 : first);
          const Number* rows = weights + (k * inputs + segment.weight_channel) * LANES;
          if (segment.list)
            accumulate<P, N, W, false>(sums, from, pixels, rows, stride, segment.list + first / TOGETHER,
                                       TOGETHER > 1 && segment.in_place, some);
          else if (HIDES_PREFETCH<P, N> && result.prefetch && result.prefetch->any())
            accumulate<P, N, W, true>(sums, from, pixels, rows + first * LANES, stride, nullptr, false,
                                      some, result.prefetch->take(some / 2));
          else
            accumulate<P, N, W, false>(sums, from, pixels, rows + first * LANES, stride, nullptr, false, some);
        }
  }
  Ending<N> ending(product, panel);
#pragma GCC unroll 16
  for (int p = 0; p < P; p++)
#pragma GCC unroll 3
    for (int n = 0; n < N; n++)
      ending.put(place(p, n), n, carries ? carried[p][n] + sums[p][n] : sums[p][n]);
  ending.add_totals(panel);
}
