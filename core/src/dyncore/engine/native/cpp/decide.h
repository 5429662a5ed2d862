// Routers and gates of a batch: a row of numbers per image takes the place of a map's pixel.
//
// Three ways to share this, see `Share`. Images enough: each thread decides about some, and none waits.
// Fewer images than threads: several threads share an image, each some outputs of every layer, and wait
// for each other before a layer reads what all of them wrote. One image: each thread computes everything
// in memory of its own, without waiting, but for layers with more than MAX_REPEATED_WEIGHTS weights, of
// which each computes some outputs.
#pragma once

#include <algorithm>

#include "convolution.h"
#include "team.h"

// See RouterWeights in dyncore/gating. Without `align` the feature is the pooled input.
struct Router {
  const Convolution *align, *mix, *history;
  int32_t earlier;       // features of earlier routers that count
  const real* decays;    // [earlier], nearest first
};

// See GateWeights in dyncore/gating.
struct Gate {
  const Convolution* head;
  int32_t paths, channels, channel_group, clamps, decides_paths, keep_one;
  int32_t own_thresholds;  // each path has one
  const real* threshold;   // may change between calls
};

// Where a batch's decisions are and go: each of these has a row per image.
struct Decided {
  const real* pooled;
  real* feature;                   // rows filled up to whole vectors
  const real* const* earlier;      // features of earlier routers, nearest first
  uint8_t* on;
  real* weight;
  uint8_t* channel_on;
  real* channel_weight;
};

// The images that a thread decides for: all by itself, or, where parts > 1, some of each layer's
// outputs while the rest of the team does the others.
struct Share {
  int first, last, part, parts;
  Team& team;
  int thread = 0;
  real* shared = nullptr;  // see Batch: every thread decides about the same image, for itself
  int64_t shared_size = 0;
  int turn = 0;

  int rows() const { return last - first; }
  // Whose memory it uses.
  int owner() const { return parts > 1 ? 0 : thread; }
  void wait() const {
    if (parts > 1) team.barrier();
  }
};

INLINE int64_t filled(int64_t channels) { return (channels + LANES - 1) / LANES * LANES; }

// Weights that every thread runs through for itself, as long as it would wait for the others.
constexpr int64_t MAX_REPEATED_WEIGHTS = 1 << 14;

static bool repeats(const Convolution& weights, const Share& share) {
  return share.shared && weights.inputs * filled(weights.outputs) <= MAX_REPEATED_WEIGHTS;
}

// Of a layer's outputs, those that a thread computes.
static Panels own_panels(const Convolution& weights, const Share& share) {
  const int all = weights.panel_count();
  if (repeats(weights, share)) return {0, all};
  return share.shared ? panels_of(all, share.thread, share.team.size())
                      : panels_of(all, share.part, share.parts);
}

static void affine(const Convolution& weights, const real* x, int64_t pitch, real* out,
                   int64_t out_pitch, int32_t activation, Share& share) {
  const Segment all{0, 0, weights.inputs, nullptr};
  const Map from{1, share.rows(), 0, pitch}, to{1, share.rows(), 0, out_pitch};
  const Source<real> source{weights, from, x, &all, 1};
  Result result{out, to, false, 1, activation, weights.bias, nullptr};
  if (!share.shared || repeats(weights, share))
    return convolve(source, result, share.part, share.parts);
  // Two places in turns: a thread may be one layer ahead of another. The barrier is behind the product, as
  // each thread then copies all of it into its own memory; before the next product into the same place
  // there is another layer's barrier.
  result.out = share.shared + (share.turn ^= 1) * share.shared_size;
  convolve(source, result, share.thread, share.team.size());
  share.team.barrier();
  std::copy(result.out, result.out + out_pitch, out);
}

// out += factor * x, for the outputs that `affine` gave this thread.
static void add_own(real* out, real factor, const real* x, int64_t pitch, const Share& share) {
  const Panels own = panels_of(pitch / LANES, share.part, share.parts);
  for (int row = 0; row < share.rows(); row++)
    for (int64_t i = row * pitch + own.first * LANES; i < row * pitch + own.last * LANES; i += LANES)
      store(out + i, load(out + i) + factor * load(x + i));
}

static void decide_on(const Gate& gate, const real* score, uint8_t* on, real* weight,
                      uint8_t* channel_on, real* channel_weight) {
  const real threshold = *gate.threshold, raised = std::min(threshold, real(0));  // of all, or the first
  const auto clamped = [&](real value, bool on) {
    return on ? std::min(std::max(value - raised, real(0)), real(1)) : real(0);
  };
  const int first = gate.decides_paths ? gate.paths : 0;
  bool any = false;
  int best = 0;
  for (int n = 0; n < gate.paths; n++) {
    if (!gate.decides_paths) {
      on[n] = any = true;
      weight[n] = 1;
      continue;
    }
    on[n] = score[n] > gate.threshold[gate.own_thresholds ? n : 0];
    any = any || on[n];
    if (score[n] > score[best]) best = n;
    weight[n] = gate.clamps ? clamped(score[n], on[n]) : real(on[n]);
  }
  if (gate.keep_one && !any) {
    on[best] = 1;
    weight[best] = gate.clamps ? clamped(score[best], true) : 1;
  }
  const real* value = score + first;
  for (int c = 0; c < gate.channels; value++)
    for (const int end = std::min(c + gate.channel_group, gate.channels); c < end; c++) {
      channel_on[c] = *value > threshold;
      channel_weight[c] = clamped(*value, channel_on[c]);
    }
}

// `scratch` holds two rows of the widest layer for each image of the share.
static void decide(const Router& router, const Gate& gate, const Decided& to, int64_t channels,
                   Share& share, real* scratch) {
  const int first = share.first, rows = share.rows();
  const real* pooled = to.pooled + first * channels;
  const real* feature = pooled;
  int64_t pitch = channels;
  real* score = scratch;
  if (router.align) {
    pitch = filled(router.align->outputs);
    real* own = to.feature + first * pitch;
    real* aligned = router.mix ? scratch : own;
    affine(*router.align, pooled, channels, aligned, pitch, RELU, share);
    for (int k = 0; k < router.earlier; k++)
      add_own(aligned, router.decays[k], to.earlier[k] + first * pitch, pitch, share);
    if (router.mix) {
      share.wait();  // it reads all of `aligned`
      affine(*router.mix, aligned, pitch, own, pitch, RELU, share);
    }
    if (router.history) {
      if (router.mix) share.wait();  // `scratch` is still read as `aligned`
      affine(*router.history, to.earlier[0] + first * pitch, pitch, scratch, pitch, RELU, share);
      add_own(own, 1, scratch, pitch, share);
    }
    share.wait();  // the gate reads all of the feature
    feature = own;
    score = scratch + rows * pitch;
  }
  const int64_t score_pitch = filled(gate.head->outputs);
  affine(*gate.head, feature, pitch, score, score_pitch, NONE, share);
  if (gate.head->panel_count() > 2) share.wait();  // two panels or less are the last thread's
  if (share.part + 1 < share.parts) return;
  for (int row = 0; row < rows; row++) {
    const int64_t image = first + row;
    decide_on(gate, score + row * score_pitch, to.on + image * gate.paths,
              to.weight + image * gate.paths, to.channel_on + image * gate.channels,
              to.channel_weight + image * gate.channels);
  }
}
