// What runs after the last block: perhaps a convolution, then a linear layer of the maps' averages.
#pragma once

#include <algorithm>

#include "block.h"
#include "decide.h"

struct Head {
  const Convolution *linear, *convolution;  // `convolution` may be null
  Map map, convolved;
  int32_t channels;      // of `map`
  int32_t rounded;       // whether both are bfloat16
  real* const* scratch;  // [threads]: maps `convolved`

  // What an image's row takes of the memory for averages, of that for their copies, and of that for logits.
  int64_t averages() const { return linear->inputs; }
  int64_t copies() const { return rounded ? filled(averages()) : 0; }
  int64_t logits() const { return filled(linear->outputs); }
};

// A convolution and averages of an image's maps, or averages alone. `convolved` belongs to those who share the
// image.
template <typename Number>
static void average(const Head& head, const real* from, real* convolved, real* averages, const Share& share) {
  if (!head.convolution) return pool(head.map, head.averages(), from, averages, share.part, share.parts);
  const Convolution& conv = *head.convolution;
  const Segment all{0, 0, conv.inputs, nullptr};
  const Result result{convolved, head.convolved, false, 1, conv.activation, conv.bias, nullptr};
  const Source<Number> source{conv, head.map, input_of(head.map, from, Number{}), &all, 1};
  convolve(source, result, share.part, share.parts);
  share.wait();  // the averages are dealt by panels, the convolution perhaps by rows
  pool(head.convolved, head.averages(), convolved, averages, share.part, share.parts);
  share.wait();  // the next image uses the same `convolved`
}

static void copy_without_border(const Map& map, int channels, const real* from, real* to, const Share& share) {
  const int height = map.height, width = map.width, last = height * (share.part + 1) / share.parts;
  for (int y = height * share.part / share.parts; y < last; y++)
    for (int c = 0; c < width; c++)
      std::copy_n(from + map.at(y, c), channels, to + (y * width + c) * channels);
}

#ifdef BFLOAT16
// Logits of a share of the images, from the copies of their averages in bfloat16.
static void affine_rounded(const Head& head, const Bfloat* x, real* out, const Share& share) {
  const Convolution& linear = *head.linear;
  const Segment all{0, 0, linear.inputs, nullptr};
  const Map from{1, share.rows(), 0, head.copies()}, to{1, share.rows(), 0, head.logits()};
  const Result result{out, to, false, 1, NONE, linear.bias, nullptr};
  convolve(Source<Bfloat>{linear, from, x, &all, 1}, result, share.part, share.parts);
}
#endif

// A share of the images. `scratch` holds their averages, their logits in rows that are filled up, and perhaps
// copies of the averages.
static void run_head_on(const Head& head, const real* x, real* convolved, real* scratch,
                        real* logits, real* copy, int images, Share& share) {
  const int64_t averages = head.averages(), pitch = head.logits();
  real* const rows = scratch + images * averages + share.first * pitch;
  Bfloat* const copies = (Bfloat*)(scratch + images * (averages + pitch)) + share.first * head.copies();
  for (int image = share.first; image < share.last; image++) {
    const real* from = x + image * head.map.with_copy();
    real* const own = scratch + image * averages;
#ifdef BFLOAT16
    if (head.rounded)
      average<Bfloat>(head, from, convolved, own, share);
    else
#endif
      average<real>(head, from, convolved, own, share);
    copy_without_border(head.map, head.channels, from,
                        copy + int64_t(image) * head.map.height * head.map.width * head.channels, share);
  }
  share.wait();  // the linear layer reads all averages
#ifdef BFLOAT16
  if (head.rounded) {
    if (!share.part)
      for (int row = 0; row < share.rows(); row++)
        for (int64_t i = 0; i < averages; i++)
          store_number(copies + row * head.copies() + i, scratch[(share.first + row) * averages + i]);
    share.wait();
    affine_rounded(head, copies, rows, share);
  } else
#endif
    affine(*head.linear, scratch + share.first * averages, averages, rows, pitch, NONE, share);
  share.wait();  // one thread copies what all computed: rows without what fills them up
  if (share.part) return;
  for (int row = 0; row < share.rows(); row++)
    std::copy_n(rows + row * pitch, head.linear->outputs,
                logits + int64_t(share.first + row) * head.linear->outputs);
}
