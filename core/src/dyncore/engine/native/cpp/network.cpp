// What Python calls: a stem, one block, or all blocks with the routers between them.
#include <atomic>
#include <iterator>
#include <vector>

#include "layout.h"
#include "network.h"

extern "C" {

// See layout.h.
const LayoutEntry* layout() { return LAYOUT; }

int64_t layout_entries() { return std::size(LAYOUT); }

int lanes() { return LANES; }

// Of an image between two blocks.
int64_t map_numbers(const Map* map) { return map->with_copy(); }

// Whether this processor multiplies bfloat16 numbers, and the compiler knows it.
int multiplies_bfloat16() {
#ifdef __AVX512BF16__
  return 1;
#else
  return 0;
#endif
}

// Whether this code uses a processor's matrices, or their emulation.
int multiplies_matrices() {
#ifdef MULTIPLIES_MATRICES
  return has_matrices();
#else
  return 0;
#endif
}

Team* new_team(int threads) { return new Team(threads); }

void delete_team(Team* team) { delete team; }

// `total` is `x` where the shortcut is the identity. `pooled` [images][channels] is written for the
// images that the block changes.
void run_block(const Block* block, const Choice* choice, const real* x, real* total, real* pooled,
               int images, void* const* scratch, real* const* buffers, Team* team) {
  const Work work{*block, *choice, x, total, pooled, scratch, buffers, *team};
  std::vector<int> active;
  find_active(*block, choice->on, images, active);
  if (active.empty()) return;
  std::atomic<int> next{0};
  team->run([&](int thread) { run_images(work, active, next, thread); });
}

// Where the memory of a call is.
static void put(Batch* batches, real* memory, const Team& team) {
  for (int i = 0; i < (batches->shared ? team.size() : 1); i++) batches[i].memory = memory;
}

// The router before a block, averages included, `times` times over: what it takes without a call from
// Python.
void run_router(const Step* step, Batch* batches, real* memory, int times, Team* team) {
  put(batches, memory, *team);
  team->run([&](int thread) {
    const Batch& batch = batch_of(batches, thread);
    Share share = share_of(batch, thread, *team);
    for (int i = 0; i < times; i++) {
      route(*step, batch, false, share);
      if (!batch.shared) team->barrier();
    }
  });
}

// `strides` of images, channels, rows and columns.
void run_stem(const Stem* stem, const real* images, const int64_t* strides, real* x, int count,
              Team* team) {
  std::atomic<int> next{0};
  team->run([&](int thread) {
    team->deal(count, next, thread, [&](int i, int owner, int part, int parts) {
      run_stem_on(*stem, images + i * strides[0], strides + 1, x + i * stem->out.with_copy(),
                  stem->scratch[2 * owner], stem->scratch[2 * thread + 1], part, parts, *team);
    });
  });
}

// Logits, and the maps without borders: [images][rows][columns][channels]. `scratch` holds the averages
// of all images, then a row for each that is filled up.
void run_head(const Head* head, const real* x, real* scratch, real* logits, real* copy, int images,
              Team* team) {
  team->run([&](int thread) {
    Share share = share_of({.images = images}, thread, *team);
    run_head_on(*head, x, head->scratch[share.owner()], scratch, logits, copy, images, share);
  });
}

// All of a network that is compiled code.
void run_network(const Parts* parts, Batch* batches, real* memory, const real* images,
                 const int64_t* strides, real* logits, real* copy) {
  Team& team = *parts->team;
  put(batches, memory, team);
  real* const* const maps = batches->maps;
  const int count = batches->images, last = parts->steps[parts->count - 1].out_map;
  if (parts->stem) run_stem(parts->stem, images, strides, maps[0], count, &team);
  Network(parts->steps, parts->count, batches, team).run();
  if (parts->head) run_head(parts->head, maps[last], batches->averages, logits, copy, count, &team);
}

}
