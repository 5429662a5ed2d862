// Weights that are needed soon: a thread asks for them line by line while it computes something else.
//
// A router meets each weight once or a few times, so it would wait for memory; a block's tiles hardly use
// the memory's bus. The order is that in which the router will read.
#pragma once

#include <algorithm>

#include "vector.h"

constexpr ptrdiff_t LINE = 64 / sizeof(real);  // of a cache

class Prefetch {
 public:
  // The first of `numbers` from here on, as many as a cache near the core may well hold.
  void add(const real* from, int64_t numbers) {
    ranges_[count_++] = {from, from + std::min(numbers, MAX_NUMBERS)};
  }

  bool any() const { return now_ < count_; }

  // Where the next lines are that are to be asked for; so many of them will be.
  const real* take(int lines) {
    Range& range = ranges_[now_];
    const real* const first = range.next;
    range.next += lines * LINE;
    if (range.next >= range.end) now_++;
    return first;
  }

 private:
  static constexpr int64_t MAX_NUMBERS = (1 << 18) / sizeof(real);

  struct Range {
    const real *next, *end;
  };
  Range ranges_[4];
  int count_ = 0, now_ = 0;
};
