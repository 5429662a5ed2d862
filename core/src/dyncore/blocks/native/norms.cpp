// Batch norm and what weights its output, over channels-last maps: each pass reads a map once.
//
// Work is cut into pieces: `slices` of each image, of about as many pixels. Sums are one row per
// piece, made of short sums in the maps' own precision.
#include <algorithm>
#include <cstdint>
#include <vector>

#ifndef SCALAR
#define SCALAR float
#endif

typedef SCALAR real;

// Maps [images][pixels][channels]; x has `paths` times as many channels, path after path.
struct Maps {
  int64_t images, pixels, channels, paths, slices;
};

struct Piece {
  int64_t image, first, last;  // rows of the maps
};

constexpr int64_t SHORT = 64;  // rows of a short sum

static Piece piece_of(const Maps& maps, int64_t index) {
  const int64_t image = index / maps.slices, slice = index % maps.slices;
  const int64_t start = image * maps.pixels;
  return {image, start + maps.pixels * slice / maps.slices,
          start + maps.pixels * (slice + 1) / maps.slices};
}

template <typename F>
static void for_pieces(const Maps& maps, const F& work) {
#pragma omp parallel for schedule(static)
  for (int64_t index = 0; index < maps.images * maps.slices; index++)
    work(index, piece_of(maps, index));
}

// Calls add(row, short sums) for the rows of a piece; `sums` gets them all.
template <typename F>
static void add_up(const Piece& piece, int64_t count, double* sums, const F& add) {
  std::vector<real> some(count);
  std::fill(sums, sums + count, 0);
  for (int64_t first = piece.first; first < piece.last; first += SHORT) {
    std::fill(some.begin(), some.end(), real(0));
    const int64_t last = std::min(piece.last, first + SHORT);
    for (int64_t row = first; row < last; row++) add(row, some.data());
    for (int64_t i = 0; i < count; i++) sums[i] += some[i];
  }
}

static inline real rectified(real value) { return value < 0 ? 0 : value; }  // NaN stays NaN

extern "C" {

// sums [pieces][2][all channels]: of x less `pivot`, and of its square.
void moments(const Maps* maps, const real* x, const real* pivot, double* sums) {
  const int64_t channels = maps->channels * maps->paths;
  for_pieces(*maps, [&](int64_t index, const Piece& piece) {
    add_up(piece, 2 * channels, sums + index * 2 * channels, [&](int64_t row, real* some) {
      const real* from = x + row * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        const real value = from[c] - pivot[c];
        some[c] += value;
        some[channels + c] += value * value;
      }
    });
  });
}

// out = shortcut + shift + Σ gain x, perhaps rectified; gain [images][paths][channels], shift
// [images][channels].
void weighted(const Maps* maps, const real* x, const real* shortcut, const real* gain,
              const real* shift, int rectifies, real* out) {
  const int64_t channels = maps->channels, all = channels * maps->paths;
  for_pieces(*maps, [&](int64_t, const Piece& piece) {
    const real* gains = gain + piece.image * all;
    const real* shifts = shift + piece.image * channels;
    for (int64_t row = piece.first; row < piece.last; row++) {
      const real* from = x + row * all;
      real* to = out + row * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) to[c] = shifts[c] + gains[c] * from[c];
      for (int64_t n = channels; n < all; n += channels)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) to[c] += gains[n + c] * from[n + c];
      if (shortcut)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) to[c] += shortcut[row * channels + c];
      if (rectifies)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) to[c] = rectified(to[c]);
    }
  });
}

// sums [pieces][1 + paths][channels]: of the gradient, and of it times x. `out`: where it is 0, a
// ReLU let no gradient through; null: there was none.
void weighted_sums(const Maps* maps, const real* x, const real* out, const real* grad, double* sums) {
  const int64_t channels = maps->channels, all = channels * maps->paths, count = channels + all;
  for_pieces(*maps, [&](int64_t index, const Piece& piece) {
    std::vector<real> passed(channels);
    add_up(piece, count, sums + index * count, [&](int64_t row, real* some) {
      const real *from = x + row * all, *g = grad + row * channels;
      if (out) {
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) passed[c] = out[row * channels + c] <= 0 ? 0 : g[c];
        g = passed.data();
      }
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) some[c] += g[c];
      for (int64_t n = 0; n < all; n += channels)
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) some[channels + n + c] += g[c] * from[n + c];
    });
  });
}

// grad_x = gain × gradient + slope x + offset, slope and offset [paths][channels]; the gradient
// itself goes to `grad_shortcut`, unless that is null.
void weighted_grads(const Maps* maps, const real* x, const real* out, const real* grad,
                    const real* gain, const real* slope, const real* offset, real* grad_x,
                    real* grad_shortcut) {
  const int64_t channels = maps->channels, all = channels * maps->paths;
  for_pieces(*maps, [&](int64_t, const Piece& piece) {
    std::vector<real> passed(channels);
    const real* gains = gain + piece.image * all;
    for (int64_t row = piece.first; row < piece.last; row++) {
      const real *from = x + row * all, *g = grad + row * channels;
      if (out) {
        real* to = grad_shortcut ? grad_shortcut + row * channels : passed.data();
#pragma omp simd
        for (int64_t c = 0; c < channels; c++) to[c] = out[row * channels + c] <= 0 ? 0 : g[c];
        g = to;
      }
      for (int64_t n = 0; n < all; n += channels) {
        real* to = grad_x + row * all + n;
#pragma omp simd
        for (int64_t c = 0; c < channels; c++)
          to[c] = gains[n + c] * g[c] + (slope[n + c] * from[n + c] + offset[n + c]);
      }
    }
  });
}

// out = w relu(shortcut + gain x + shift) + (1 - w) relu(shortcut), w [images]. `settled`: the
// shortcut is its own ReLU.
void blended(const Maps* maps, const real* x, const real* shortcut, const real* gain,
             const real* shift, const real* weight, int settled, real* out) {
  const int64_t channels = maps->channels;
  for_pieces(*maps, [&](int64_t, const Piece& piece) {
    const real w = weight[piece.image];
    for (int64_t i = piece.first * channels; i < piece.last * channels; i += channels) {
      const real *from = x + i, *kept = shortcut + i;
      real* to = out + i;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        const real executed = rectified(kept[c] + (gain[c] * from[c] + shift[c]));
        to[c] = w * executed + (1 - w) * (settled ? kept[c] : rectified(kept[c]));
      }
    }
  });
}

// sums [pieces][3][channels]: of the gradient that the block's own ReLU lets through, of it times x,
// and of the gradient times what executing the block adds.
void blended_sums(const Maps* maps, const real* x, const real* shortcut, const real* gain,
                  const real* shift, int settled, const real* grad, double* sums) {
  const int64_t channels = maps->channels;
  for_pieces(*maps, [&](int64_t index, const Piece& piece) {
    add_up(piece, 3 * channels, sums + index * 3 * channels, [&](int64_t row, real* some) {
      const real *from = x + row * channels, *kept = shortcut + row * channels;
      const real* g = grad + row * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        const real sum = kept[c] + (gain[c] * from[c] + shift[c]);
        const real passed = sum <= 0 ? 0 : g[c];
        some[c] += passed;
        some[channels + c] += passed * from[c];
        some[2 * channels + c] += g[c] * (rectified(sum) - (settled ? kept[c] : rectified(kept[c])));
      }
    });
  });
}

// See weighted_grads and blended; slope and offset [channels]. `grad_shortcut` may be null.
void blended_grads(const Maps* maps, const real* x, const real* shortcut, const real* gain,
                   const real* shift, const real* weight, int settled, const real* grad,
                   const real* slope, const real* offset, real* grad_x, real* grad_shortcut) {
  const int64_t channels = maps->channels;
  for_pieces(*maps, [&](int64_t, const Piece& piece) {
    const real w = weight[piece.image];
    for (int64_t i = piece.first * channels; i < piece.last * channels; i += channels) {
      const real *from = x + i, *kept = shortcut + i, *g = grad + i;
      real* to = grad_x + i;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        const real passed = kept[c] + (gain[c] * from[c] + shift[c]) <= 0 ? 0 : w * g[c];
        to[c] = gain[c] * passed + (slope[c] * from[c] + offset[c]);
      }
      if (!grad_shortcut) continue;
      real* shared = grad_shortcut + i;
#pragma omp simd
      for (int64_t c = 0; c < channels; c++) {
        const real passed = kept[c] + (gain[c] * from[c] + shift[c]) <= 0 ? 0 : w * g[c];
        shared[c] = passed + (settled || !(kept[c] <= 0) ? (1 - w) * g[c] : 0);
      }
    }
  });
}

}
