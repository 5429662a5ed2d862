// Batch norm and what weights its output, over channels-last maps, with all its gradients.
//
// A norm is x × gain + offset per channel, so weights, norm and sum over paths are one
// multiplication and addition per value: only the batch's statistics need a pass of their own, in
// either direction. What is per channel or per image is small and is worked out in between, by one
// thread in float64.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "entries.h"
#include "passes.h"

typedef std::vector<double> Doubles;
typedef std::vector<real> Reals;

// A batch norm's parameters and its batch's statistics, per channel of all paths.
struct Norm {
  const real *scale, *shift;
  double *mean, *variance;
  double eps;

  double deviation(int64_t c) const { return std::sqrt(variance[c] + eps); }
  double gain(int64_t c) const { return scale[c] / deviation(c); }
  double offset(int64_t c) const { return shift[c] - gain(c) * mean[c]; }
};

// Weights [images][paths][each], each being 1 or the number of channels.
struct Weights {
  const real* values;
  int64_t each;

  int64_t at(const Maps& maps, int64_t image, int64_t path, int64_t channel) const {
    return (image * maps.paths + path) * each + (each == 1 ? 0 : channel);
  }
};

// Around the first pixel of each channel: of squares around 0 a variance much smaller than the
// mean's square would lose all its digits.
static void find_statistics(const Maps& maps, const real* x, const Norm& norm) {
  const int64_t all = maps.channels * maps.paths, pieces = maps.images * maps.slices;
  Doubles sums(pieces * 2 * all);
  moments(&maps, x, x, sums.data());
  const double count = double(maps.images * maps.pixels);
  for (int64_t c = 0; c < all; c++) {
    double mean = 0, square = 0;
    for (int64_t piece = 0; piece < pieces; piece++) {
      mean += sums[piece * 2 * all + c];
      square += sums[piece * 2 * all + all + c];
    }
    mean /= count;
    norm.mean[c] = mean + x[c];
    norm.variance[c] = std::max(0.0, square / count - mean * mean);
  }
}

// Of each image, [kinds][channels], from those of its pieces.
static Doubles per_image(const Maps& maps, const Doubles& sums, int64_t numbers) {
  Doubles of_images(maps.images * numbers);
  for (int64_t piece = 0; piece < maps.images * maps.slices; piece++)
    for (int64_t i = 0; i < numbers; i++)
      of_images[piece / maps.slices * numbers + i] += sums[piece * numbers + i];
  return of_images;
}

// x × first + second is the norm's output.
static std::pair<Reals, Reals> affine_of(const Maps& maps, const Norm& norm) {
  Reals gains(maps.channels), shifts(maps.channels);
  for (int64_t c = 0; c < maps.channels; c++)
    gains[c] = real(norm.gain(c)), shifts[c] = real(norm.offset(c));
  return {gains, shifts};
}

// What a norm's backward pass gives for a channel, from the batch's weighted sums of the gradient
// and of it times x.
struct Found {
  double scale, shift, slope, offset;
};

static Found find_gradients(const Maps& maps, const Norm& norm, int64_t c, double of_g,
                            double of_gx) {
  const double scale = (of_gx - norm.mean[c] * of_g) / norm.deviation(c);
  const double spread = norm.gain(c) / double(maps.images * maps.pixels);
  const double slope = -spread * scale / norm.deviation(c);
  return {scale, of_g, slope, -spread * of_g - slope * norm.mean[c]};
}

constexpr LayoutEntry LAYOUT[] = {
    STRUCT(Maps),
    FIELD(Maps, images),
    FIELD(Maps, pixels),
    FIELD(Maps, channels),
    FIELD(Maps, paths),
    FIELD(Maps, slices),

    STRUCT(Norm),
    FIELD(Norm, scale),
    FIELD(Norm, shift),
    FIELD(Norm, mean),
    FIELD(Norm, variance),
    FIELD(Norm, eps),

    STRUCT(Weights),
    FIELD(Weights, values),
    FIELD(Weights, each),
};

extern "C" {

// See entries.h.
const LayoutEntry* layout() { return LAYOUT; }

int64_t layout_entries() { return std::size(LAYOUT); }

// See CompiledWeightedNorm.
void weighted_forward(const Maps* maps, const real* x, const real* shortcut, const Norm* norm,
                      const Weights* weights, int rectifies, real* out) {
  const int64_t channels = maps->channels, all = channels * maps->paths;
  find_statistics(*maps, x, *norm);
  Reals gains(maps->images * all), shifts(maps->images * channels);
  for (int64_t n = 0; n < maps->paths; n++)
    for (int64_t c = 0; c < channels; c++) {
      const double gain = norm->gain(n * channels + c), offset = norm->offset(n * channels + c);
      for (int64_t image = 0; image < maps->images; image++) {
        const double w = weights->values[weights->at(*maps, image, n, c)];
        gains[image * all + n * channels + c] = real(w * gain);
        shifts[image * channels + c] += real(w * offset);
      }
    }
  weighted(maps, x, shortcut, gains.data(), shifts.data(), rectifies, out);
}

void weighted_backward(const Maps* maps, const real* x, const real* out, const Norm* norm,
                       const Weights* weights, const real* grad, real* grad_x, real* grad_scale,
                       real* grad_shift, real* grad_weight, real* grad_shortcut) {
  const int64_t channels = maps->channels, all = channels * maps->paths, numbers = channels + all;
  Doubles sums(maps->images * maps->slices * numbers);
  weighted_sums(maps, x, out, grad, grad_shortcut, sums.data());
  const Doubles of_images = per_image(*maps, sums, numbers);
  Reals gains(maps->images * all), slopes(all), offsets(all);
  Doubles of_weights(maps->images * maps->paths * weights->each);
  for (int64_t n = 0; n < maps->paths; n++)
    for (int64_t c = 0; c < channels; c++) {
      const int64_t own = n * channels + c;
      const double gain = norm->gain(own), offset = norm->offset(own);
      double batch_g = 0, batch_gx = 0;
      for (int64_t image = 0; image < maps->images; image++) {
        const double* of_image = of_images.data() + image * numbers;
        const double of_g = of_image[c], of_gx = of_image[channels + own];
        const int64_t at = weights->at(*maps, image, n, c);
        const double w = weights->values[at];
        batch_g += w * of_g;
        batch_gx += w * of_gx;
        of_weights[at] += gain * of_gx + offset * of_g;
        gains[image * all + own] = real(w * gain);
      }
      const Found found = find_gradients(*maps, *norm, own, batch_g, batch_gx);
      grad_scale[own] = real(found.scale), grad_shift[own] = real(found.shift);
      slopes[own] = real(found.slope), offsets[own] = real(found.offset);
    }
  std::copy(of_weights.begin(), of_weights.end(), grad_weight);
  // What the ReLU let through stands there already.
  if (grad_shortcut) out = nullptr, grad = grad_shortcut;
  weighted_grads(maps, x, out, grad, gains.data(), slopes.data(), offsets.data(), grad_x);
}

// See CompiledBlendedNorm.
void blended_forward(const Maps* maps, const real* x, const real* shortcut, const Norm* norm,
                     const real* weight, real* out) {
  find_statistics(*maps, x, *norm);
  const auto [gains, shifts] = affine_of(*maps, *norm);
  blended(maps, x, shortcut, gains.data(), shifts.data(), weight, out);
}

void blended_backward(const Maps* maps, const real* x, const real* shortcut, const Norm* norm,
                      const real* weight, const real* grad, real* grad_x,
                      real* grad_scale, real* grad_shift, real* grad_weight, real* grad_shortcut) {
  const int64_t channels = maps->channels, numbers = 3 * channels;
  const auto [gains, shifts] = affine_of(*maps, *norm);
  Doubles sums(maps->images * maps->slices * numbers);
  blended_sums(maps, x, shortcut, gains.data(), shifts.data(), grad, sums.data());
  const Doubles of_images = per_image(*maps, sums, numbers);
  Reals slopes(channels), offsets(channels);
  Doubles of_weights(maps->images);
  for (int64_t c = 0; c < channels; c++) {
    double batch_g = 0, batch_gx = 0;
    for (int64_t image = 0; image < maps->images; image++) {
      const double* of_image = of_images.data() + image * numbers + c;
      batch_g += weight[image] * of_image[0];
      batch_gx += weight[image] * of_image[channels];
      of_weights[image] += of_image[2 * channels];
    }
    const Found found = find_gradients(*maps, *norm, c, batch_g, batch_gx);
    grad_scale[c] = real(found.scale), grad_shift[c] = real(found.shift);
    slopes[c] = real(found.slope), offsets[c] = real(found.offset);
  }
  std::copy(of_weights.begin(), of_weights.end(), grad_weight);
  blended_grads(maps, x, shortcut, gains.data(), shifts.data(), weight, grad,
                slopes.data(), offsets.data(), grad_x, grad_shortcut);
}

}
