// The layout of the structs that Python fills, and constants that it has, too. Python compares this
// table with its own when the library is loaded: one field more here or there would shift all others
// without a word.
#pragma once

#include <cstddef>

#include "block.h"
#include "decide.h"
#include "head.h"
#include "network.h"
#include "stem.h"

// A field of a struct; a whole struct, whose field is ""; or a constant, whose size is 0.
struct LayoutEntry {
  const char *structure, *field;
  int64_t offset, size;  // bytes; of a constant: its value
};

#define STRUCT(S) {#S, "", 0, sizeof(S)}
#define FIELD(S, F) {#S, #F, offsetof(S, F), sizeof(S::F)}
#define CONSTANT(C) {#C, "", C, 0}

constexpr LayoutEntry LAYOUT[] = {
    STRUCT(Map),
    FIELD(Map, height),
    FIELD(Map, width),
    FIELD(Map, border),
    FIELD(Map, pitch),

    STRUCT(Convolution),
    FIELD(Convolution, kernel),
    FIELD(Convolution, stride),
    FIELD(Convolution, activation),
    FIELD(Convolution, merged),
    FIELD(Convolution, depthwise),
    FIELD(Convolution, inputs),
    FIELD(Convolution, outputs),
    FIELD(Convolution, panels),
    FIELD(Convolution, rows),
    FIELD(Convolution, bias),

    STRUCT(Stem),
    FIELD(Stem, convolution),
    FIELD(Stem, image),
    FIELD(Stem, convolved),
    FIELD(Stem, out),
    FIELD(Stem, channels),
    FIELD(Stem, max_pool),
    FIELD(Stem, mean),
    FIELD(Stem, std),
    FIELD(Stem, scratch),

    STRUCT(Head),
    FIELD(Head, linear),
    FIELD(Head, convolution),
    FIELD(Head, map),
    FIELD(Head, convolved),
    FIELD(Head, channels),
    FIELD(Head, scratch),

    STRUCT(Block),
    FIELD(Block, paths),
    FIELD(Block, layers),
    FIELD(Block, convolutions),
    FIELD(Block, last),
    FIELD(Block, last_bias),
    FIELD(Block, maps),
    FIELD(Block, offsets),
    FIELD(Block, shortcut),
    FIELD(Block, activation),
    FIELD(Block, input_activated),
    FIELD(Block, projection),
    FIELD(Block, stride),
    FIELD(Block, channels_before),
    FIELD(Block, in_channels),
    FIELD(Block, out_channels),
    FIELD(Block, gated_channels),
    FIELD(Block, max_picked),

    STRUCT(Choice),
    FIELD(Choice, on),
    FIELD(Choice, weight),
    FIELD(Choice, channel_on),
    FIELD(Choice, channel_weight),

    STRUCT(Router),
    FIELD(Router, align),
    FIELD(Router, mix),
    FIELD(Router, history),
    FIELD(Router, earlier),
    FIELD(Router, decays),

    STRUCT(Gate),
    FIELD(Gate, head),
    FIELD(Gate, paths),
    FIELD(Gate, channels),
    FIELD(Gate, channel_group),
    FIELD(Gate, clamps),
    FIELD(Gate, decides_paths),
    FIELD(Gate, keep_one),

    STRUCT(Step),
    FIELD(Step, block),
    FIELD(Step, router),
    FIELD(Step, gate),
    FIELD(Step, scratch),
    FIELD(Step, buffers),
    FIELD(Step, in_map),
    FIELD(Step, out_map),
    FIELD(Step, pools),
    FIELD(Step, pooled),
    FIELD(Step, feature),
    FIELD(Step, on),
    FIELD(Step, channels),
    FIELD(Step, earlier),

    STRUCT(Parts),
    FIELD(Parts, stem),
    FIELD(Parts, steps),
    FIELD(Parts, count),
    FIELD(Parts, head),
    FIELD(Parts, team),

    STRUCT(Batch),
    FIELD(Batch, maps),
    FIELD(Batch, memory),
    FIELD(Batch, pooled_at),
    FIELD(Batch, feature_at),
    FIELD(Batch, weight_at),
    FIELD(Batch, channel_weight_at),
    FIELD(Batch, on_at),
    FIELD(Batch, channel_on_at),
    FIELD(Batch, scratch),
    FIELD(Batch, shared),
    FIELD(Batch, shared_size),
    FIELD(Batch, averages),
    FIELD(Batch, images),
    FIELD(Batch, forced),

    CONSTANT(NONE),
    CONSTANT(RELU),
    CONSTANT(RELU6),
    CONSTANT(IDENTITY),
    CONSTANT(CONVOLUTION),
    CONSTANT(PADDING),
    CONSTANT(NO_SHORTCUT),
    CONSTANT(MAX_PATHS),
    CONSTANT(MAX_EARLIER),
};

#undef STRUCT
#undef FIELD
#undef CONSTANT
