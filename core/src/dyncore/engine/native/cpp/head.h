// What runs after the last block: perhaps a convolution, then a linear layer of the maps' averages.
#pragma once

#include <algorithm>

#include "block.h"
#include "decide.h"

struct Head {
  const Convolution *linear, *convolution;  // `convolution` may be null
  Map map, convolved;
  int32_t channels;      // of `map`
  real* const* scratch;  // [threads]: maps `convolved`
};

// A share of the images; see run_head. `convolved` belongs to those who share an image.
static void run_head_on(const Head& head, const real* x, real* convolved, real* scratch,
                        real* logits, real* copy, int images, Share& share) {
  const Convolution& linear = *head.linear;
  const int64_t averages = linear.inputs, pitch = filled(linear.outputs);
  for (int image = share.first; image < share.last; image++) {
    const real* from = x + image * head.map.with_copy();
    real* const pooled = scratch + image * averages;
    if (head.convolution) {
      const Convolution& conv = *head.convolution;
      const Segment all{0, 0, conv.inputs, nullptr};
      const Result result{convolved, head.convolved, false, 1, conv.activation, conv.bias, nullptr};
      convolve(conv, head.map, from, &all, 1, result, share.part, share.parts);
      share.wait();  // the averages are dealt by panels, the convolution perhaps by rows
      pool(head.convolved, averages, convolved, pooled, share.part, share.parts);
      share.wait();  // the next image uses the same `convolved`
    } else {
      pool(head.map, averages, from, pooled, share.part, share.parts);
    }
    const int height = head.map.height, width = head.map.width, channels = head.channels;
    real* to = copy + int64_t(image) * height * width * channels;
    const int last = height * (share.part + 1) / share.parts;
    for (int y = height * share.part / share.parts; y < last; y++)
      for (int c = 0; c < width; c++)
        std::copy_n(from + head.map.at(y, c), channels, to + (y * width + c) * channels);
  }
  share.wait();  // the linear layer reads all averages
  real* const rows = scratch + images * averages;
  affine(linear, scratch + share.first * averages, averages, rows + share.first * pitch, pitch, NONE,
         share);
  share.wait();  // one thread copies what all computed: rows without what fills them up
  if (share.part) return;
  for (int image = share.first; image < share.last; image++)
    std::copy_n(rows + image * pitch, linear.outputs, logits + int64_t(image) * linear.outputs);
}
