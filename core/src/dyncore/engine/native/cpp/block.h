// One block of a network: every image through the paths and channels that it chose.
//
// Images are independent of each other, so time is proportional to what they chose. Each thread of
// a team takes whole images; the last few, fewer than threads, are shared layer by layer.
//
// A shared image (parts > 1) has a barrier wherever a thread reads what others wrote: behind the shortcut, if
// the last layer adds to it; behind each layer, whose output the next one reads across all channels and the
// neighbouring rows; and at the end, before the averages add up all threads' totals. Between the paths of one
// layer there is none: they write side by side.
#pragma once

#include <algorithm>
#include <atomic>
#include <optional>
#include <type_traits>
#include <vector>

#include "channels.h"
#include "convolution.h"
#include "depthwise.h"
#include "excitation.h"
#include "picked.h"
#include "standardise.h"
#include "team.h"

enum Shortcut : int32_t { IDENTITY, CONVOLUTION, PADDING, NO_SHORTCUT };

struct Block {
  int32_t paths, layers;
  const Convolution* convolutions;  // [paths][layers - 1]
  const Convolution* last;          // of all paths, side by side in its inputs
  const real* last_bias;            // [paths][outputs of the last layer, filled up]
  const Map* maps;                  // [layers + 1]: input, hidden ones, output
  const int64_t* offsets;           // [layers - 1][paths]: a path's first channel in a hidden map
  int32_t shortcut, activation;
  int32_t input_activated;           // whether inputs already went through `activation`
  const Convolution* projection;
  int32_t stride, channels_before;  // of a padding shortcut
  int32_t in_channels, out_channels;
  int32_t gated_channels, max_picked;  // values of channels; where more are chosen, all of them run
  int32_t rounded;                     // whether the layers of its paths, and the projection, are bfloat16
  int32_t rounds;                      // whether a later block is: the output's copy is written, too
};

// What the images of a batch chose, in the order of the batch; null: everything, weight 1.
struct Choice {
  const uint8_t* on;              // [images][paths]
  const real* weight;             // [images][paths]
  const uint8_t* channel_on;      // [images][gated channels]
  const real* channel_weight;     // [images][gated channels]
};

constexpr int MAX_PATHS = 64;

struct Work {
  const Block& block;
  const Choice choice;
  const real* x;
  real* total;
  real* pooled;
  void* const* scratch;  // [threads][layers - 1]: maps of real numbers, or, if rounded, of Bfloats
  real* const* buffers;  // [threads]: two numbers per output channel, two per first hidden one, and two
                         // per channel of the widest map with an excitation
  Team& team;
  bool own_pooled = false;  // whether every thread has a `pooled` of its own
  Prefetch* prefetch = nullptr;   // of the thread that runs this
};

static void pad(const Block& b, const real* x, real* total) {
  const Map &in = b.maps[0], &out = b.maps[b.layers];
  for (int y = 0; y < out.height; y++)
    for (int c = 0; c < out.width; c++) {
      real* to = total + out.at(y, c);
      std::fill(to, to + out.pitch, real(0));
      const real* from = x + in.at(y * b.stride, c * b.stride);
      std::copy(from, from + b.in_channels, to + b.channels_before);
    }
}

static void clear(const Map& map, real* total) {
  for (int y = 0; y < map.height; y++) std::fill_n(total + map.at(y, 0), map.width * map.pitch, real(0));
}

static void finish(const Block& b, real* total) {
  const Map& map = b.maps[b.layers];
  const Result result{.out = total, .map = map, .rounded = b.rounds ? copy_of(map, total) : nullptr};
  for (int y = 0; y < map.height; y++) {
    const ptrdiff_t row = map.at(y, 0);
    for (ptrdiff_t i = row; i < row + map.width * map.pitch; i += LANES)
      put(result, i, activate(load(total + i), b.activation));
  }
}

// The averages of a map's channels, from the sums of each panel of them.
template <typename F>
static void put_averages(const Map& map, int channels, real* pooled, int part, int parts,
                         const F& sums_of) {
  const int panels = map.pitch / LANES;
  for (int panel = panels * part / parts; panel < panels * (part + 1) / parts; panel++) {
    const vec averages = sums_of(panel * LANES) / (real(map.height) * real(map.width));
    const int left = std::min(LANES, channels - panel * LANES);
    if (left > 0) std::memcpy(pooled + panel * LANES, &averages, left * sizeof(real));
  }
}

static void pool(const Map& map, int channels, const real* total, real* pooled, int part, int parts) {
  put_averages(map, channels, pooled, part, parts, [&](int channel) {
    vec sums = {};
    for (int y = 0; y < map.height; y++) {
      const real* row = total + map.at(y, 0) + channel;
      vec of_row = {};  // short sums round less
      for (int c = 0; c < map.width; c++) of_row += load(row + c * map.pitch);
      sums += of_row;
    }
    return sums;
  });
}

// The same from what each of `count` threads added up while it convolved: behind the bias in its
// buffer.
static void pool_totals(const Map& map, int channels, real* const* buffers, int count, real* pooled,
                        int part, int parts) {
  put_averages(map, channels, pooled, part, parts, [&](int channel) {
    vec sums = {};
    for (int i = 0; i < count; i++) sums += load(buffers[i] + map.pitch + channel);
    return sums;
  });
}

// A block's input: its map, or the copy.
static const real* input_of(const Map&, const real* x, real) { return x; }
static const Bfloat* input_of(const Map& map, const real* x, Bfloat) { return copy_of(map, x); }

// Where a hidden map goes.
static void put_into(Result& result, real* map) { result.out = map; }
static void put_into(Result& result, Bfloat* map) { result.rounded = map; }

// One image through layers of a kind; by the whole team, of which this is thread `part`, where parts > 1.
template <typename Number>
static void run_image_as(const Work& work, int image, int part, int parts, int owner) {
  const Block& b = work.block;
  const Map &in = b.maps[0], &out = b.maps[b.layers];
  const real* const image_map = work.x + image * in.with_copy();
  const Number* x = input_of(in, image_map, Number{});
  real* total = work.total + image * out.with_copy();
  Number* const* hidden = (Number* const*)work.scratch + owner * (b.layers - 1);
  auto wait = [&] {
    if (parts > 1) work.team.barrier();
  };

  int chosen[MAX_PATHS], count = 0;
  bool same = true;  // whether all weights are 1
  for (int n = 0; n < b.paths; n++) {
    const ptrdiff_t at = (ptrdiff_t)image * b.paths + n;
    if (work.choice.on && !work.choice.on[at]) continue;
    chosen[count++] = n;
    same = same && (!work.choice.weight || work.choice.weight[at] == 1);
  }

  const bool gated = b.gated_channels && work.choice.channel_on;
  // Each thread finds the channels for itself: that is faster than to wait for another one.
  real* const* const buffers = work.buffers + (parts == 1 ? owner : 0);
  real* const bias = buffers[part];
  real* const totals = bias + out.pitch;
  real* const channel_scale = totals + out.pitch;
  int32_t* const wanted = (int32_t*)(channel_scale + b.maps[1].pitch);
  const auto result_of = [&](bool adds, real scale, const real* bias, bool ends) {
    return Result{total, out, adds, scale, ends ? b.activation : NONE, bias, nullptr, work.prefetch,
                  ends && work.pooled ? totals : nullptr, ends && b.rounds ? copy_of(out, total) : nullptr};
  };

  // A projection is added up with the last layer, and the output is written once. By itself it runs where no
  // path does, and where paths have weights, which the shortcut has not.
  const bool projects = b.shortcut == CONVOLUTION, joined = projects && count && same;
  const Segment projected{0, 0, projects ? b.projection->inputs : 0, nullptr};
  std::optional<Source<Number>> projection;
  if (projects) projection.emplace(Source<Number>{*b.projection, in, x, &projected, 1});
  if (projects && !count) {
    wait();  // another thread may still read this one's totals of the image before
    std::fill(totals, totals + out.pitch, real(0));
  }
  if (projects && !joined) {
    convolve(*projection, result_of(false, 1, b.projection->bias, !count), part, parts);
  } else if (b.shortcut == PADDING && part == 0) {
    pad(b, image_map, total);
  }
  // The last layer's share of a thread is not that of the shortcut.
  if ((projects && !joined && count) || b.shortcut == PADDING) wait();

  constexpr int TOGETHER = Kind<Number>::TOGETHER;
  int picked = 0;
  bool panels = false;
  if (gated && count) {
    const uint8_t* on = work.choice.channel_on + (ptrdiff_t)image * b.gated_channels;
    const real* weight = work.choice.channel_weight + (ptrdiff_t)image * b.gated_channels;
    picked = find_wanted<TOGETHER>(on, weight, b.gated_channels, channel_scale, b.maps[1].pitch, wanted);
    panels = by_panels(on, b.gated_channels);
  }
  const bool sparse = gated && (panels || picked <= b.max_picked);
  // What a layer reads of the one before. Single channels lie side by side if they were picked; of bfloat16
  // none is, and those that are off are 0, where they are.
  const auto inputs_of = [&](int layer, ptrdiff_t map_channel, ptrdiff_t weight_channel, int inputs) {
    if (!sparse || layer != 1) return Segment{map_channel, weight_channel, inputs, nullptr};
    return Segment{map_channel, weight_channel, picked * TOGETHER, wanted, TOGETHER > 1 && !panels};
  };

  // All layers but the last, each for all chosen paths, which lie side by side in a hidden map: the
  // map's pixels are then what the last layer's segments are taken from.
  for (int layer = 0; count && layer < b.layers - 1; layer++) {
    const Map& from = b.maps[layer];
    const Map& to = b.maps[layer + 1];
    const Number* input = layer ? hidden[layer - 1] : x;
    for (int i = 0; i < count; i++) {
      const Convolution& conv = b.convolutions[chosen[i] * (b.layers - 1) + layer];
      const int64_t first = layer ? b.offsets[(layer - 1) * b.paths + chosen[i]] : 0;
      const int64_t offset = b.offsets[layer * b.paths + chosen[i]];
      const bool scaled = gated && layer == 0;
      Result result{nullptr,   to,        false, 1, conv.activation,
                    conv.bias, scaled ? channel_scale : nullptr, work.prefetch};
      put_into(result, hidden[layer] + offset);
      if (conv.depthwise) {
        convolve_depthwise(conv, from, input + first, result, part, parts);
      } else if (conv.starts) {
        convolve_grouped(conv, from, input, first, result, part, parts);
      } else if (scaled && panels) {
        convolve_panels(conv, from, x, wanted, picked, result, part, parts);
      } else {
        if constexpr (std::is_same_v<Number, real>)
          if (scaled && sparse) {
            convolve_picked(conv, from, x, wanted, picked, result, part, parts);
            continue;
          }
        const Segment segment = inputs_of(layer, first, 0, conv.inputs);
        convolve(Source<Number>{conv, from, input, &segment, 1}, result, part, parts);
      }
    }
    wait();
    if constexpr (std::is_same_v<Number, real>)  // as above: neither are those with excitations
      for (int i = 0; i < count; i++) {
        const Convolution& conv = b.convolutions[chosen[i] * (b.layers - 1) + layer];
        real* const map = hidden[layer] + b.offsets[layer * b.paths + chosen[i]];
        if (conv.variance_more >= 0) {
          standardise_rows(to, conv.outputs, map, real(conv.variance_more), part, parts);
          wait();
        }
        if (!conv.excitation) continue;
        // Each thread finds the factors for itself; all have read the map before one changes it.
        real* const factors = channel_scale + 2 * b.maps[1].pitch;
        const int channels = conv.panel_count() * LANES;
        find_factors(*conv.excitation, to, channels, map, factors);
        wait();
        scale_rows(to, channels, map, factors, part, parts);
        wait();
      }
  }

  if (count) {
    const int layer = b.layers - 1, inputs = b.last->inputs / b.paths;
    Segment segments[MAX_PATHS];
    for (int i = 0; i < count; i++)
      segments[i] = inputs_of(layer, b.offsets[(layer - 1) * b.paths + chosen[i]], chosen[i] * inputs, inputs);
    std::fill(totals, totals + out.pitch, real(0));
    // One product over the inputs of all chosen paths, wherever they lie: the sum over paths costs no
    // pass over the output, and with the identity as shortcut it is added in place.
    // Paths whose weights differ cannot be summed before they are scaled.
    for (int first = 0, last; first < count; first = last) {
      last = same ? count : first + 1;
      std::fill(bias, bias + out.pitch, real(0));
      for (int i = first; i < last; i++)
        for (ptrdiff_t c = 0; c < out.pitch; c++) bias[c] += b.last_bias[chosen[i] * out.pitch + c];
      const real scale = same ? 1 : work.choice.weight[(ptrdiff_t)image * b.paths + chosen[first]];
      const bool ends = last == count;
      if (joined)
        for (ptrdiff_t c = 0; c < out.pitch; c++) bias[c] += b.projection->bias[c];
      const bool adds = first > 0 || !(joined || b.shortcut == NO_SHORTCUT);
      const Source<Number> source{*b.last,      b.maps[layer], hidden[layer - 1], segments + first,
                                  last - first, joined ? &*projection : nullptr};
      convolve(source, result_of(adds, scale, bias, ends), part, parts);
    }
  } else if (part == 0 && !projects && !(b.shortcut == IDENTITY && b.input_activated)) {
    // No path was chosen: the shortcut alone, through the activation. It is too little to be shared.
    if (b.shortcut == NO_SHORTCUT) clear(out, total);
    finish(b, total);
  }
  wait();  // for the totals of all, and before a thread goes on to the next block's input
  if (!work.pooled) return;
  real* const pooled = work.pooled + (ptrdiff_t)image * b.out_channels;
  const int first = work.own_pooled ? 0 : part, shares = work.own_pooled ? 1 : parts;
  const bool added_up = count || projects;
  if (added_up)
    pool_totals(out, b.out_channels, buffers, parts, pooled, first, shares);
  else
    pool(out, b.out_channels, total, pooled, first, shares);
  if (!added_up && work.own_pooled) wait();  // or a thread that is ahead might change the map
}

static void run_image(const Work& work, int image, int part, int parts, int owner) {
#ifdef BFLOAT16
  if (work.block.rounded) return run_image_as<Bfloat>(work, image, part, parts, owner);
#endif
  run_image_as<real>(work, image, part, parts, owner);
}

// Whether there is anything to do for an image.
static bool changes(const Block& block, const uint8_t* on, int image) {
  if (!on || block.shortcut != IDENTITY || !block.input_activated) return true;
  const uint8_t* chosen = on + (ptrdiff_t)image * block.paths;
  return std::any_of(chosen, chosen + block.paths, [](uint8_t value) { return value != 0; });
}

// The images that the block changes, by number.
static void find_active(const Block& block, const uint8_t* on, int images, std::vector<int>& active) {
  active.clear();
  for (int image = 0; image < images; image++)
    if (changes(block, on, image)) active.push_back(image);
}

// What thread `thread` has to do; `next` is shared and begins at 0.
static void run_images(const Work& work, const std::vector<int>& active, std::atomic<int>& next,
                       int thread) {
  work.team.deal(int(active.size()), next, thread, [&](int i, int owner, int part, int parts) {
    run_image(work, active[i], part, parts, owner);
  });
}
