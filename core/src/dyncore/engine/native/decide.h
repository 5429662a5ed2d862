// Routers and gates of a batch: a row of numbers per image takes the place of a map's pixel.
#pragma once

#include <algorithm>

#include "convolution.h"

// See LeanRouter in dyncore/gating. Without `align` the feature is the pooled input.
struct Router {
  const Convolution *align, *mix, *history;
  int32_t earlier;       // features of earlier routers that count
  const real* decays;    // [earlier], nearest first
};

// See LeanGate in dyncore/gating.
struct Gate {
  const Convolution* head;
  int32_t paths, channels, clamps, decides_paths, keep_one;
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

static void affine(const Convolution& weights, const real* x, int64_t pitch, real* out,
                   int64_t out_pitch, int rows, int32_t activation) {
  const Segment all{0, 0, weights.inputs, nullptr};
  const Result result{out, {1, rows, 0, out_pitch}, false, 1, activation, weights.bias, nullptr};
  convolve(weights, {1, rows, 0, pitch}, x, &all, 1, result, 0, 1);
}

INLINE int64_t filled(int64_t channels) { return (channels + LANES - 1) / LANES * LANES; }

static void decide_on(const Gate& gate, const real* score, uint8_t* on, real* weight,
                      uint8_t* channel_on, real* channel_weight) {
  const auto clamped = [&](real value) { return std::min(std::max(value, real(0)), real(1)); };
  const int first = gate.decides_paths ? gate.paths : 0;
  bool any = false;
  int best = 0;
  for (int n = 0; n < gate.paths; n++) {
    const real value = gate.decides_paths ? score[n] : 1;
    on[n] = value > 0;
    any = any || on[n];
    if (gate.decides_paths && value > score[best]) best = n;
    weight[n] = gate.clamps ? clamped(value) : real(on[n]);
  }
  if (gate.keep_one && !any) {
    on[best] = 1;
    if (!gate.clamps) weight[best] = 1;
  }
  for (int c = 0; c < gate.channels; c++) {
    channel_on[c] = score[first + c] > 0;
    channel_weight[c] = clamped(score[first + c]);
  }
}

// Images `first` to `last`. `scratch` holds two rows of the widest layer for each of them.
static void decide(const Router& router, const Gate& gate, const Decided& to, int64_t channels,
                   int first, int last, real* scratch) {
  const int rows = last - first;
  if (rows <= 0) return;
  const real* pooled = to.pooled + first * channels;
  const real* feature = pooled;
  int64_t pitch = channels;
  real* score = scratch;
  if (router.align) {
    const int64_t aligned_pitch = filled(router.align->outputs);
    real* own = to.feature + first * aligned_pitch;
    real* aligned = router.mix ? scratch : own;
    affine(*router.align, pooled, channels, aligned, aligned_pitch, rows, RELU);
    for (int k = 0; k < router.earlier; k++) {
      const real* before = to.earlier[k] + first * aligned_pitch;
      for (int64_t i = 0; i < rows * aligned_pitch; i += LANES)
        store(aligned + i, load(aligned + i) + router.decays[k] * load(before + i));
    }
    if (router.mix) affine(*router.mix, aligned, aligned_pitch, own, aligned_pitch, rows, RELU);
    if (router.history) {
      const real* before = to.earlier[0] + first * aligned_pitch;
      affine(*router.history, before, aligned_pitch, scratch, aligned_pitch, rows, RELU);
      for (int64_t i = 0; i < rows * aligned_pitch; i += LANES)
        store(own + i, load(own + i) + load(scratch + i));
    }
    feature = own;
    pitch = aligned_pitch;
    score = scratch + rows * aligned_pitch;
  }
  const int64_t score_pitch = filled(gate.head->outputs);
  affine(*gate.head, feature, pitch, score, score_pitch, rows, NONE);
  for (int row = 0; row < rows; row++) {
    const int64_t image = first + row;
    decide_on(gate, score + row * score_pitch, to.on + image * gate.paths,
              to.weight + image * gate.paths, to.channel_on + image * gate.channels,
              to.channel_weight + image * gate.channels);
  }
}
