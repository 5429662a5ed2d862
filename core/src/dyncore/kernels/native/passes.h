// Passes over channels-last maps, each of which reads a map once.
//
// A pass is bound by memory: what counts is how often a map is read, and that it is read in order.
//
// Work is cut into pieces: `slices` of each image, of about as many pixels. An image has pieces of
// its own because weights and the sums that their gradients need are per image; it has several so
// that few images occupy all threads. The cut does not depend on which thread takes which piece,
// and every piece has its own row of sums, which the caller adds up in order: no atomics, and the
// same bits on every run with as many threads.
//
// Within a piece a vector of channels goes down ROWS pixels before the next vector does. Gains,
// shifts and sums of a channel then stay in registers for that long, where pixel by pixel each of
// them would be loaded again; and the ROWS lines that its neighbours share with it are still in the
// cache when their turn comes, where column by column each line would be fetched once per vector.
//
// Sums are in float64, made of short ones in the maps' own precision: ROWS additions lose few
// digits, and the inner loop stays as wide as the maps' vectors.
#pragma once

#include <algorithm>
#include <type_traits>

#include "vector.h"

// Maps [images][pixels][channels]; x has `paths` times as many channels, path after path.
struct Maps {
  int64_t images, pixels, channels, paths, slices;
};

constexpr int64_t ROWS = 64;  // that a vector of channels goes through, and of a short sum

template <typename T>
static inline void add(double* sums, T some) {
  real values[sizeof(T) / sizeof(real)];
  std::memcpy(values, &some, sizeof some);
  for (size_t i = 0; i < sizeof(T) / sizeof(real); i++) sums[i] += values[i];
}

// `grad` where a ReLU of this output, or input, let it through.
template <typename T>
static inline T passed(T value, T grad) {
  const T zero = {};
  return value <= zero ? zero : grad;  // as torch: NaN lets it through
}

// What is left over of the channels, less than a vector, goes one by one through the same code: T
// is a vector or a number, told by an argument, as a lambda's own T cannot be named in a call.
template <typename T>
using Kind = std::type_identity<T>;

struct Tile {
  int64_t image, piece, first, last, channel;  // rows first .. last of the maps
};

// Calls work(kind of T, tile).
template <typename F>
static void for_tiles(const Maps& maps, const F& work) {
#pragma omp parallel for schedule(static)
  for (int64_t piece = 0; piece < maps.images * maps.slices; piece++) {
    const int64_t image = piece / maps.slices, slice = piece % maps.slices;
    const int64_t start = image * maps.pixels;
    const int64_t end = start + maps.pixels * (slice + 1) / maps.slices;
    for (int64_t row = start + maps.pixels * slice / maps.slices; row < end; row += ROWS) {
      const int64_t last = std::min(end, row + ROWS);
      int64_t c = 0;
      for (; c + LANES <= maps.channels; c += LANES)
        work(Kind<vec>(), Tile{image, piece, row, last, c});
      for (; c < maps.channels; c++) work(Kind<real>(), Tile{image, piece, row, last, c});
    }
  }
}

// Calls work(a number of type N) with N::value == paths, so that loops over paths unroll and arrays
// of one vector per path are registers.
template <typename F>
static void with_paths(int64_t paths, const F& work) {
  switch (paths) {
    case 1: return work(std::integral_constant<int, 1>());
    case 2: return work(std::integral_constant<int, 2>());
    case 3: return work(std::integral_constant<int, 3>());
    case 4: return work(std::integral_constant<int, 4>());
  }
}

// sums [pieces][2][all channels], zeros before: of x less `pivot`, and of its square.
static void moments(const Maps* maps, const real* x, const real* pivot, double* sums) {
  const int64_t all = maps->channels * maps->paths;
  // Paths are just more channels here.
  const Maps whole{maps->images, maps->pixels, all, 1, maps->slices};
  for_tiles(whole, [&]<typename T>(Kind<T>, const Tile& tile) {
    const T less = load<T>(pivot + tile.channel);
    T sum = {}, square = {};
    for (int64_t row = tile.first; row < tile.last; row++) {
      const T value = load<T>(x + row * all + tile.channel) - less;
      sum += value;
      square += value * value;
    }
    add(sums + tile.piece * 2 * all + tile.channel, sum);
    add(sums + tile.piece * 2 * all + all + tile.channel, square);
  });
}

// out = shortcut + shift + Σ gain x, perhaps rectified; gain [images][paths][channels], shift
// [images][channels].
static void weighted(const Maps* maps, const real* x, const real* shortcut, const real* gain,
              const real* shift, int rectifies, real* out) {
  const int64_t channels = maps->channels, all = channels * maps->paths;
  with_paths(maps->paths, [&](auto paths) {
    constexpr int P = decltype(paths)::value;
    for_tiles(*maps, [&]<typename T>(Kind<T>, const Tile& tile) {
      const T start = load<T>(shift + tile.image * channels + tile.channel);
      T gains[P];
      const real* own = gain + tile.image * all + tile.channel;
      for (int n = 0; n < P; n++) gains[n] = load<T>(own + n * channels);
      for (int64_t row = tile.first; row < tile.last; row++) {
        T sum = start;
        const real* from = x + row * all + tile.channel;
        for (int n = 0; n < P; n++) sum += gains[n] * load<T>(from + n * channels);
        if (shortcut) sum += load<T>(shortcut + row * channels + tile.channel);
        store(out + row * channels + tile.channel, activate(sum, rectifies ? RELU : NONE));
      }
    });
  });
}

// sums [pieces][1 + paths][channels], zeros before: of the gradient, and of it times x. `out`:
// where it is 0, a ReLU let no gradient through; null: there was none. What was let through goes to
// `kept`, unless that is null.
static void weighted_sums(const Maps* maps, const real* x, const real* out, const real* grad,
                   real* kept, double* sums) {
  const int64_t channels = maps->channels, all = channels * maps->paths, count = channels + all;
  with_paths(maps->paths, [&](auto paths) {
    constexpr int P = decltype(paths)::value;
    for_tiles(*maps, [&]<typename T>(Kind<T>, const Tile& tile) {
      T sum = {}, of_paths[P] = {};
      for (int64_t row = tile.first; row < tile.last; row++) {
        T g = load<T>(grad + row * channels + tile.channel);
        if (out) g = passed(load<T>(out + row * channels + tile.channel), g);
        if (kept) store(kept + row * channels + tile.channel, g);
        sum += g;
        const real* from = x + row * all + tile.channel;
        for (int n = 0; n < P; n++) of_paths[n] += g * load<T>(from + n * channels);
      }
      double* to = sums + tile.piece * count + tile.channel;
      add(to, sum);
      for (int n = 0; n < P; n++) add(to + (1 + n) * channels, of_paths[n]);
    });
  });
}

// grad_x = gain × gradient + slope x + offset, slope and offset [paths][channels]. A second pass:
// the slopes need the batch's sums, which the first one finds.
static void weighted_grads(const Maps* maps, const real* x, const real* out, const real* grad,
                    const real* gain, const real* slope, const real* offset, real* grad_x) {
  const int64_t channels = maps->channels, all = channels * maps->paths;
  with_paths(maps->paths, [&](auto paths) {
    constexpr int P = decltype(paths)::value;
    for_tiles(*maps, [&]<typename T>(Kind<T>, const Tile& tile) {
      T gains[P], slopes[P], offsets[P];
      for (int n = 0; n < P; n++) {
        const int64_t at = n * channels + tile.channel;
        gains[n] = load<T>(gain + tile.image * all + at);
        slopes[n] = load<T>(slope + at), offsets[n] = load<T>(offset + at);
      }
      for (int64_t row = tile.first; row < tile.last; row++) {
        T g = load<T>(grad + row * channels + tile.channel);
        if (out) g = passed(load<T>(out + row * channels + tile.channel), g);
        for (int n = 0; n < P; n++) {
          const int64_t at = row * all + n * channels + tile.channel;
          store(grad_x + at, gains[n] * g + (slopes[n] * load<T>(x + at) + offsets[n]));
        }
      }
    });
  });
}

// out = w relu(shortcut + gain x + shift) + (1 - w) relu(shortcut), w [images].
static void blended(const Maps* maps, const real* x, const real* shortcut, const real* gain,
             const real* shift, const real* weight, real* out) {
  const int64_t channels = maps->channels;
  for_tiles(*maps, [&]<typename T>(Kind<T>, const Tile& tile) {
    const T gains = load<T>(gain + tile.channel), shifts = load<T>(shift + tile.channel);
    const real w = weight[tile.image];
    for (int64_t row = tile.first; row < tile.last; row++) {
      const int64_t at = row * channels + tile.channel;
      const T kept = load<T>(shortcut + at);
      const T executed = activate(kept + (gains * load<T>(x + at) + shifts), RELU);
      store(out + at, w * executed + (1 - w) * activate(kept, RELU));
    }
  });
}

// sums [pieces][3][channels], zeros before: of the gradient that the block's own ReLU lets through,
// of it times x, and of the gradient times what executing the block adds.
static void blended_sums(const Maps* maps, const real* x, const real* shortcut, const real* gain,
                  const real* shift, const real* grad, double* sums) {
  const int64_t channels = maps->channels;
  for_tiles(*maps, [&]<typename T>(Kind<T>, const Tile& tile) {
    const T gains = load<T>(gain + tile.channel), shifts = load<T>(shift + tile.channel);
    T of_g = {}, of_gx = {}, of_added = {};
    for (int64_t row = tile.first; row < tile.last; row++) {
      const int64_t at = row * channels + tile.channel;
      const T kept = load<T>(shortcut + at), from = load<T>(x + at), g = load<T>(grad + at);
      const T sum = kept + (gains * from + shifts), own = passed(sum, g);
      of_g += own;
      of_gx += own * from;
      of_added += g * (activate(sum, RELU) - activate(kept, RELU));
    }
    double* to = sums + tile.piece * 3 * channels + tile.channel;
    add(to, of_g);
    add(to + channels, of_gx);
    add(to + 2 * channels, of_added);
  });
}

// See weighted_grads and blended; slope and offset [channels]. `grad_shortcut` may be null.
static void blended_grads(const Maps* maps, const real* x, const real* shortcut, const real* gain,
                   const real* shift, const real* weight, const real* grad,
                   const real* slope, const real* offset, real* grad_x, real* grad_shortcut) {
  const int64_t channels = maps->channels;
  for_tiles(*maps, [&]<typename T>(Kind<T>, const Tile& tile) {
    const T gains = load<T>(gain + tile.channel), shifts = load<T>(shift + tile.channel);
    const T slopes = load<T>(slope + tile.channel), offsets = load<T>(offset + tile.channel);
    const real w = weight[tile.image];
    for (int64_t row = tile.first; row < tile.last; row++) {
      const int64_t at = row * channels + tile.channel;
      const T kept = load<T>(shortcut + at), from = load<T>(x + at), g = load<T>(grad + at);
      const T own = w * passed(kept + (gains * from + shifts), g);
      store(grad_x + at, gains * own + (slopes * from + offsets));
      if (!grad_shortcut) continue;
      store(grad_shortcut + at, own + (1 - w) * passed(kept, g));
    }
  });
}
