// Weights that are needed soon: a thread asks for them bit by bit while it computes something else.
#pragma once

#include <algorithm>

#include "vector.h"

class Ahead {
 public:
  // The first of `numbers` from here on, as many as a cache near the core may well hold.
  void add(const real* from, int64_t numbers) {
    const char* const start = (const char*)from;
    ranges_[count_++] = {start, start + std::min<int64_t>(numbers * sizeof(real), MOST)};
  }

  void ask() {
    if (now_ == count_) return;
    Range& range = ranges_[now_];
    for (int i = 0; i < LINES; i++) __builtin_prefetch(range.next + i * LINE, 0, 2);
    range.next += LINES * LINE;
    if (range.next >= range.end) now_++;
  }

 private:
  static constexpr int LINE = 64, LINES = 16;
  static constexpr int64_t MOST = 1 << 18;  // bytes

  struct Range {
    const char *next, *end;
  };
  Range ranges_[4];
  int count_ = 0, now_ = 0;
};
