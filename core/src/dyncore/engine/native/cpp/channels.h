// Which channels of its first convolution's output a block's image chose.
#pragma once

#include <algorithm>

#include "vector.h"

// What each of `pitch` channels is multiplied by, 0 where it is off; and which values, TOGETHER channels each,
// hold one that is on. Returns how many those are.
template <int TOGETHER>
static int find_wanted(const uint8_t* on, const real* weight, int channels, real* scale, ptrdiff_t pitch,
                       int32_t* wanted) {
  std::fill_n(scale, pitch, real(0));
  int found = 0;
  for (int c = 0; c < channels; c++) {
    if (!on[c]) continue;
    scale[c] = weight[c];
    if (!found || wanted[found - 1] != c / TOGETHER) wanted[found++] = c / TOGETHER;
  }
  return found;
}

// Whether channels are on and off by whole panels, and some are off.
static bool by_panels(const uint8_t* on, int channels) {
  bool all = true;
  for (int c = 0; c < channels; c++) {
    if (on[c] != on[c / LANES * LANES]) return false;
    all = all && on[c];
  }
  return !all;
}
