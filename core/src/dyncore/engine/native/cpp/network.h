// All blocks of a network, with the routers between them.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "block.h"
#include "decide.h"
#include "head.h"
#include "stem.h"
#include "team.h"

// A block and what decides about it. Places are in numbers per image; those of a batch lie together.
struct Step {
  const Block* block;
  const Router* router;  // null: not gated
  const Gate* gate;
  void* const* scratch;  // see Work
  real* const* buffers;
  int32_t in_map, out_map;  // which of the batch's maps
  int32_t pools;            // whether the next step's router reads what this block gives
  int64_t pooled, feature, on, channels;
  const int64_t* earlier;  // places of earlier features, nearest first
};

// A network; `stem` and `head` are null where they are not compiled code.
struct Parts {
  const Stem* stem;
  const Step* steps;
  int64_t count;
  const Head* head;
  Team* team;
};

// What a batch's routers read, remember and decide. It is there once per thread where several threads
// have one image: each then decides about it for itself, which takes less time than to wait for another.
struct Batch {
  real* const* maps;
  real* memory;                                                 // of one call
  int64_t pooled_at, feature_at, weight_at, channel_weight_at;  // numbers from there
  int64_t on_at, channel_on_at;                                 // bytes from there
  real* const* scratch;  // [threads]: see decide; they lie together
  real* shared;          // two rows for what is too large to be done by each thread, or null
  int64_t shared_size;   // of a row
  real* averages;        // see run_head
  int32_t images;
  int32_t forced;  // whether decisions are given

  real* pooled() const { return memory + pooled_at; }
  real* feature() const { return memory + feature_at; }
  real* weight() const { return memory + weight_at; }
  real* channel_weight() const { return memory + channel_weight_at; }
  uint8_t* on() const { return (uint8_t*)memory + on_at; }
  uint8_t* channel_on() const { return (uint8_t*)memory + channel_on_at; }
};

static const Batch& batch_of(const Batch* batches, int thread) {
  return batches[batches->shared ? thread : 0];
}

static Share share_of(const Batch& batch, int thread, Team& team) {
  const int images = batch.images, threads = team.size();
  if (batch.shared) return {0, 1, 0, 1, team, thread, batch.shared, batch.shared_size};
  if (images < threads) return {0, images, thread, threads, team, thread};
  return {images * thread / threads, images * (thread + 1) / threads, 0, 1, team, thread};
}

constexpr int MAX_EARLIER = 64;

// The router before a block, for a share of the images; `pooled`: its input's averages are there.
static void route(const Step& step, const Batch& batch, bool pooled, Share& share) {
  const Block& block = *step.block;
  const int images = batch.images;
  const Map& map = block.maps[0];
  real* averages = batch.pooled() + step.pooled * images;
  if (!pooled) {
    for (int image = share.first; image < share.last; image++)
      pool(map, block.in_channels, batch.maps[step.in_map] + image * map.with_copy(),
           averages + image * block.in_channels, share.part, share.parts);
    share.wait();
  }
  const real* earlier[MAX_EARLIER];
  for (int k = 0; k < std::max(step.router->earlier, int(step.router->history != nullptr)); k++)
    earlier[k] = batch.feature() + step.earlier[k] * images;
  const Decided to{averages,
                   batch.feature() + step.feature * images,
                   earlier,
                   batch.on() + step.on * images,
                   batch.weight() + step.on * images,
                   batch.channel_on() + step.channels * images,
                   batch.channel_weight() + step.channels * images};
  decide(*step.router, *step.gate, to, block.in_channels, share, batch.scratch[share.owner()]);
}

// All blocks of a network whose routers and gates are known, from the maps of the stem.
class Network {
 public:
  Network(const Step* steps, int count, const Batch* batches, Team& team)
      : steps_(steps), count_(count), batches_(batches), team_(team) {}

  void run() const {
    if (team_.size() < batches_->images)
      run_apart();
    else
      run_together();
  }

 private:
  static constexpr int MAX_GROUP_IMAGES = 8;  // of a group
  static constexpr int GROUPS_PER_THREAD = 2;       // for each thread, where there are images enough
  static constexpr int64_t LARGE_MAP = 3 << 19;     // bytes

  struct Group {
    std::atomic<int> passed{0};  // blocks that it is through
    std::atomic<bool> taken{false};
  };

  // Each group of images goes through the blocks by itself: a thread takes the group that is furthest
  // behind, for a stretch of blocks, and none waits for the others.
  void run_apart() const {
    const int images = batches_->images;
    const int size = std::clamp(images / (GROUPS_PER_THREAD * team_.size()), 1, MAX_GROUP_IMAGES);
    std::vector<Group> groups((images + size - 1) / size);
    // No barrier: a group's images are only ever touched by who holds it, and `taken` hands it over.
    team_.run([&](int thread) {
      for (Group* group; (group = take(groups));) {
        const int first = int(group - groups.data()) * size, last = std::min(images, first + size);
        const int from = group->passed, to = end_of_stretch(from), together = to == from + 1 ? size : 1;
        for (int image = first; image < last; image += together)
          for (int s = from; s < to; s++) run_step(s, image, std::min(last, image + together), thread);
        group->passed = to;
        group->taken = to == count_;  // who is through stays taken
      }
    });
  }

  // A cache holds one image's large maps, not those of many: an image goes through all blocks that have such
  // maps before the next one does. Other blocks are a stretch of their own, for whose weights several images
  // come together.
  int end_of_stretch(int s) const {
    const auto is_large = [&](int step) {
      const Block& block = *steps_[step].block;
      return block.maps[block.layers].with_copy() * int64_t(sizeof(real)) > LARGE_MAP;
    };
    int end = s + 1;
    while (is_large(s) && end < count_ && is_large(end)) end++;
    return end;
  }

  // Some images, of which one thread decides about all and runs each.
  void run_step(int s, int first, int last, int thread) const {
    Share share{first, last, 0, 1, team_, thread};
    Work work = begin(s, share, *batches_);
    // This router is likely the next one, too, for other images.
    Prefetch prefetch = router_weights(s, share);
    for (int image = first; image < last; image++) {
      if (image + 1 == last) work.prefetch = &prefetch;
      if (changes(work.block, work.choice.on, image)) run_image(work, image, 0, 1, thread);
    }
  }

  // The first of the groups furthest behind that no thread has; null: none is left.
  static Group* take(std::vector<Group>& groups) {
    for (;;) {
      Group* found = nullptr;
      for (Group& group : groups)
        if (!group.taken && (!found || group.passed < found->passed)) found = &group;
      if (!found || !found->taken.exchange(true)) return found;
    }
  }

  // Block by block, so that all threads work on each image.
  void run_together() const {
    const auto next = std::make_unique<std::atomic<int>[]>(count_);
    team_.run([&](int thread) {
      const Batch& batch = batch_of(batches_, thread);
      Share share = share_of(batch, thread, team_);
      std::vector<int> active;
      for (int s = 0; s < count_; s++) {
        Work work = begin(s, share, batch);
        // Who runs an image reads decisions that another thread made. With one image each has its own, but a
        // block may write over maps that another thread's router still reads.
        team_.barrier();
        find_active(work.block, work.choice.on, batch.images, active);
        if (active.empty()) continue;
        Prefetch prefetch;
        if (batch.images == 1) prefetch = router_weights(s + 1, share);
        work.prefetch = &prefetch;
        run_images(work, active, next[s], thread);
        // The next router reads averages, and perhaps maps, of images that other threads ran. One image
        // is shared by all: run_image ends with a barrier of its own.
        if (!batch.shared) team_.barrier();
      }
    });
  }

  // What a thread will read of the weights of the router before step `s`. For few images it does so little
  // with each of them that it would wait for memory.
  Prefetch router_weights(int s, const Share& share) const {
    Prefetch prefetch;
    const Router* const router = s < count_ ? steps_[s].router : nullptr;
    if (!router || batches_->forced) return prefetch;
    const Convolution* const head = steps_[s].gate->head;
    for (const Convolution* layer : {router->align, router->mix, router->history, head}) {
      if (!layer) continue;
      const Panels own = own_panels(*layer, share);
      const int64_t panel = int64_t(layer->inputs) * LANES;
      prefetch.add(layer->panels_of<real>() + own.first * panel, (own.last - own.first) * panel);
    }
    return prefetch;
  }

  // Decides about a step for a share of the images; what is to be done then.
  Work begin(int s, Share& share, const Batch& batch) const {
    const Step& step = steps_[s];
    const Block& block = *step.block;
    const int images = batch.images;
    Choice choice{};
    if (step.router) {
      if (!batch.forced) route(step, batch, s && steps_[s - 1].pools, share);
      choice.on = batch.on() + step.on * images;
      if (step.gate->clamps || batch.forced) choice.weight = batch.weight() + step.on * images;
      if (step.gate->channels) {
        choice.channel_on = batch.channel_on() + step.channels * images;
        choice.channel_weight = batch.channel_weight() + step.channels * images;
      }
    }
    real* pooled = nullptr;
    if (step.pools && !batch.forced) {
      pooled = batch.pooled() + steps_[s + 1].pooled * images;
      const real* before = batch.pooled() + step.pooled * images;
      if (step.router && block.shortcut == IDENTITY) keep_averages(block, before, pooled, share);
    }
    return {block,  choice,       batch.maps[step.in_map], batch.maps[step.out_map],
            pooled, step.scratch, step.buffers,            team_,
            batch.shared != nullptr};
  }

  // The averages of images that the block will not change.
  static void keep_averages(const Block& block, const real* before, real* after, const Share& share) {
    const int64_t numbers = int64_t(share.rows()) * block.in_channels;
    const int64_t first = int64_t(share.first) * block.in_channels;
    const int64_t from = first + numbers * share.part / share.parts;
    const int64_t to = first + numbers * (share.part + 1) / share.parts;
    std::copy(before + from, before + to, after + from);
  }

  const Step* const steps_;
  const int count_;
  const Batch* const batches_;
  Team& team_;
};
