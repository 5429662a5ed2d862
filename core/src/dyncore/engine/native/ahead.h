// Weights that are needed soon: a thread asks for them line by line while it computes something else.
#pragma once

#include <algorithm>

#include "vector.h"

// Lines of a cache to ask for, `step` numbers apart.
struct Soon {
  const real* first;
  ptrdiff_t step;

  void ask(ptrdiff_t line) const { __builtin_prefetch(first + line * step, 0, 2); }
};

class Ahead {
 public:
  // The first of `numbers` from here on, as many as a cache near the core may well hold.
  void add(const real* from, int64_t numbers) {
    ranges_[count_++] = {from, from + std::min(numbers, MOST)};
  }

  // The next lines, about so many; once there are no more, one that is at hand.
  Soon take(int lines, const real* at_hand) {
    if (now_ == count_) return {at_hand, 0};
    Range& range = ranges_[now_];
    const Soon soon{range.next, LINE};
    range.next += lines * LINE;
    if (range.next >= range.end) now_++;
    return soon;
  }

 private:
  static constexpr ptrdiff_t LINE = 64 / sizeof(real);
  static constexpr int64_t MOST = (1 << 18) / sizeof(real);

  struct Range {
    const real *next, *end;
  };
  Range ranges_[4];
  int count_ = 0, now_ = 0;
};
