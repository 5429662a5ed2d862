// What Python calls: a stem, one block, or all blocks with the routers between them.
#include <atomic>
#include <memory>
#include <vector>

#include "block.h"
#include "decide.h"
#include "stem.h"
#include "team.h"

// A block and what decides about it. Places are in numbers per image; those of a batch lie together.
struct Step {
  const Block* block;
  const Router* router;  // null: not gated
  const Gate* gate;
  real* const* scratch;  // see Work
  real* const* buffers;
  int32_t in_map, out_map;  // which of the batch's maps
  int32_t pools;            // whether the next step's router reads what this block gives
  int64_t pooled, feature, on, channels;
  const int64_t* earlier;  // places of earlier features, nearest first
};

// Memory of one batch.
struct Batch {
  real* const* maps;
  real *pooled, *feature, *weight, *channel_weight;
  uint8_t *on, *channel_on;
  real* const* scratch;  // [threads]: see decide; they lie together
  int32_t images;
};

constexpr int MOST_EARLIER = 64;

// The part of thread `thread` in the router before a block; `pooled`: its input's averages are there.
static void route(const Step& step, const Batch& batch, bool pooled, int thread, Team& team) {
  const Block& block = *step.block;
  const int images = batch.images;
  const Share share = share_of(images, thread, team);
  const Map& map = block.maps[0];
  real* averages = batch.pooled + step.pooled * images;
  if (!pooled) {
    for (int image = share.first; image < share.last; image++)
      pool(map, block.in_channels, batch.maps[step.in_map] + image * map.size(),
           averages + image * block.in_channels, share.part, share.parts);
    share.wait();
  }
  const real* earlier[MOST_EARLIER];
  for (int k = 0; k < std::max(step.router->earlier, int(step.router->history != nullptr)); k++)
    earlier[k] = batch.feature + step.earlier[k] * images;
  const Decided to{averages,
                   batch.feature + step.feature * images,
                   earlier,
                   batch.on + step.on * images,
                   batch.weight + step.on * images,
                   batch.channel_on + step.channels * images,
                   batch.channel_weight + step.channels * images};
  decide(*step.router, *step.gate, to, block.in_channels, share,
         batch.scratch[share.parts > 1 ? 0 : thread]);
}

extern "C" {

int lanes() { return LANES; }

Team* new_team(int threads) { return new Team(threads); }

void delete_team(Team* team) { delete team; }

// `total` is `x` where the shortcut is the identity. `pooled` [images][channels] is written for the
// images that the block changes.
void run_block(const Block* block, const Choice* choice, const real* x, real* total, real* pooled,
               int images, real* const* scratch, real* const* buffers, Team* team) {
  const Work work{*block, *choice, x, total, pooled, scratch, buffers, *team};
  std::vector<int> active;
  find_active(*block, choice->on, images, active);
  if (active.empty()) return;
  std::atomic<int> next{0};
  team->run([&](int thread) { run_images(work, active, next, thread); });
}

// The router before a block, averages included, `times` times over: what it takes without a call from
// Python.
void run_router(const Step* step, const Batch* batch, int times, Team* team) {
  team->run([&](int thread) {
    for (int i = 0; i < times; i++) {
      route(*step, *batch, false, thread, *team);
      team->barrier();
    }
  });
}

// All blocks of a network whose routers and gates are known, from the maps of the stem.
void run_network(const Step* steps, int count, const Batch* batch, Team* team) {
  const auto next = std::make_unique<std::atomic<int>[]>(count);
  const int images = batch->images;
  team->run([&](int thread) {
    bool pooled = false;
    std::vector<int> active;
    for (int s = 0; s < count; s++) {
      const Step& step = steps[s];
      const Block& block = *step.block;
      const int64_t before = step.pooled * images;
      const int64_t after = steps[std::min(s + 1, count - 1)].pooled * images;
      Choice choice{};
      if (step.router) {
        route(step, *batch, pooled, thread, *team);
        const bool channels = step.gate->channels;
        choice.on = batch->on + step.on * images;
        if (step.gate->clamps) choice.weight = batch->weight + step.on * images;
        if (channels) choice.channel_on = batch->channel_on + step.channels * images;
        if (channels) choice.channel_weight = batch->channel_weight + step.channels * images;
      }
      pooled = step.pools;
      if (pooled && step.router && block.shortcut == IDENTITY) {
        const int first = images * thread / team->size();
        const int last = images * (thread + 1) / team->size();
        std::copy(batch->pooled + before + first * block.in_channels,
                  batch->pooled + before + last * block.in_channels,
                  batch->pooled + after + first * block.in_channels);
      }
      team->barrier();
      const Work work{block,
                      choice,
                      batch->maps[step.in_map],
                      batch->maps[step.out_map],
                      pooled ? batch->pooled + after : nullptr,
                      step.scratch,
                      step.buffers,
                      *team};
      find_active(block, choice.on, images, active);
      run_images(work, active, next[s], thread);
      team->barrier();
    }
  });
}

// `strides` of images, channels, rows and columns.
void run_stem(const Stem* stem, const real* images, const int64_t* strides, real* x, int count,
              real* const* scratch, Team* team) {
  std::atomic<int> next{0};
  team->run([&](int thread) {
    team->deal(count, next, thread, [&](int i, int owner, int part, int parts) {
      run_stem_on(*stem, images + i * strides[0], strides + 1, x + i * stem->out.size(),
                  scratch + 2 * owner, part, parts, *team);
    });
  });
}

// Averages [images][channels] of maps and a linear layer of them, whose rows are filled up.
void run_head(const Convolution* linear, const Map* map, const real* x, real* pooled, real* logits,
              int images, Team* team) {
  team->run([&](int thread) {
    const Share share = share_of(images, thread, *team);
    const int64_t channels = linear->inputs;
    for (int image = share.first; image < share.last; image++)
      pool(*map, channels, x + image * map->size(), pooled + image * channels, share.part, share.parts);
    share.wait();
    const int64_t pitch = filled(linear->outputs);
    affine(*linear, pooled + share.first * channels, channels, logits + share.first * pitch, pitch,
           NONE, share);
  });
}

}
