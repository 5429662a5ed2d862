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
  int32_t forced;  // whether `on`, `weight` and those of channels are given
};

constexpr int MOST_EARLIER = 64;

// The router before a block, for a share of the images; `pooled`: its input's averages are there.
static void route(const Step& step, const Batch& batch, bool pooled, const Share& share,
                  real* scratch) {
  const Block& block = *step.block;
  const int images = batch.images;
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
  decide(*step.router, *step.gate, to, block.in_channels, share, scratch);
}

// All blocks of a network whose routers and gates are known, from the maps of the stem.
class Network {
 public:
  Network(const Step* steps, int count, const Batch& batch, Team& team)
      : steps_(steps), count_(count), batch_(batch), team_(team) {}

  void run() const {
    if (team_.size() < batch_.images)
      run_apart();
    else
      run_together();
  }

 private:
  static constexpr int MOST_IMAGES = 8;  // of a group
  static constexpr int GROUPS = 2;       // for each thread, where there are images enough

  struct Group {
    std::atomic<int> passed{0};  // blocks that it is through
    std::atomic<bool> taken{false};
  };

  // Each group of images goes through the blocks by itself: a thread takes the group that is furthest
  // behind, for a block, and none waits for the others.
  void run_apart() const {
    const int images = batch_.images;
    const int size = std::clamp(images / (GROUPS * team_.size()), 1, MOST_IMAGES);
    std::vector<Group> groups((images + size - 1) / size);
    team_.run([&](int thread) {
      for (Group* group; (group = take(groups));) {
        const int s = group->passed, first = int(group - groups.data()) * size;
        const Share share{first, std::min(images, first + size), 0, 1, team_};
        const Work work = begin(s, share, batch_.scratch[thread]);
        for (int image = share.first; image < share.last; image++)
          if (changes(work.block, work.choice.on, image)) run_image(work, image, 0, 1, thread);
        group->passed = s + 1;
        group->taken = s + 1 == count_;  // who is through stays taken
      }
    });
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
      const Share share = share_of(batch_.images, thread, team_);
      std::vector<int> active;
      for (int s = 0; s < count_; s++) {
        const Work work = begin(s, share, batch_.scratch[share.owner(thread)]);
        team_.barrier();
        find_active(work.block, work.choice.on, batch_.images, active);
        if (active.empty()) continue;
        run_images(work, active, next[s], thread);
        team_.barrier();
      }
    });
  }

  // Decides about a step for a share of the images; what is to be done then.
  Work begin(int s, const Share& share, real* scratch) const {
    const Step& step = steps_[s];
    const Block& block = *step.block;
    const int images = batch_.images;
    Choice choice{};
    if (step.router) {
      if (!batch_.forced) route(step, batch_, s && steps_[s - 1].pools, share, scratch);
      choice.on = batch_.on + step.on * images;
      if (step.gate->clamps || batch_.forced) choice.weight = batch_.weight + step.on * images;
      if (step.gate->channels) {
        choice.channel_on = batch_.channel_on + step.channels * images;
        choice.channel_weight = batch_.channel_weight + step.channels * images;
      }
    }
    real* pooled = nullptr;
    if (step.pools && !batch_.forced) {
      pooled = batch_.pooled + steps_[s + 1].pooled * images;
      const real* before = batch_.pooled + step.pooled * images;
      if (step.router && block.shortcut == IDENTITY) keep_averages(block, before, pooled, share);
    }
    return {block, choice, batch_.maps[step.in_map], batch_.maps[step.out_map], pooled,
            step.scratch, step.buffers, team_};
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
  const Batch& batch_;
  Team& team_;
};

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
    const Share share = share_of(batch->images, thread, *team);
    for (int i = 0; i < times; i++) {
      route(*step, *batch, false, share, batch->scratch[share.owner(thread)]);
      team->barrier();
    }
  });
}

void run_network(const Step* steps, int count, const Batch* batch, Team* team) {
  Network(steps, count, *batch, *team).run();
}

// `strides` of images, channels, rows and columns.
void run_stem(const Stem* stem, const real* images, const int64_t* strides, real* x, int count,
              real* const* scratch, Team* team) {
  std::atomic<int> next{0};
  team->run([&](int thread) {
    team->deal(count, next, thread, [&](int i, int owner, int part, int parts) {
      run_stem_on(*stem, images + i * strides[0], strides + 1, x + i * stem->out.size(),
                  scratch[2 * owner], scratch[2 * thread + 1], part, parts, *team);
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
