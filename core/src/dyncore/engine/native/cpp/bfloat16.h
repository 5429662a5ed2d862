// bfloat16: the upper half of a float, eight bits of significand. Sums of products stay in float.
//
// Two channels of a pixel lie together, and one instruction multiplies a pair of them with the pair of
// weights of each of LANES outputs. So a tile (tile.h) reads pairs as it reads numbers, half as many.
//
// Compiled with BFLOAT16. With EMULATED it does in plain vectors, which every processor has, what the
// instructions do: to the same bits, but for numbers below 2^-126, which they take for 0.
#pragma once

#include "vector.h"

#if defined(BFLOAT16) && defined(__AVX512BF16__) && !defined(EMULATED)
#include <immintrin.h>
#define BFLOAT16_INSTRUCTIONS
#endif

#ifdef BFLOAT16
constexpr bool HAS_BFLOAT16 = true;
#else
constexpr bool HAS_BFLOAT16 = false;
#endif

struct Bfloat {
  uint16_t bits;
};

// How a convolution reads its inputs and weights: `TOGETHER` channels of a pixel are one `Value`, for each
// of which it adds a product to every output's sum.
template <typename Number>
struct Kind {
  static constexpr int TOGETHER = 1;
  typedef real Value;
  typedef vec Weights;
};

INLINE void add_product(vec& sum, real value, vec weights) { sum += value * weights; }

INLINE vec load_real(const real* from) { return load(from); }
INLINE void store_number(real* to, real value) { *to = value; }

template <typename T, typename Number>
INLINE T read(const Number* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

#ifdef BFLOAT16

static_assert(sizeof(real) == 4, "bfloat16 is the upper half of a float32");

typedef uint32_t bits __attribute__((vector_size(VECTOR_BYTES)));             // LANES pairs
typedef uint16_t rounded __attribute__((vector_size(VECTOR_BYTES / 2)));  // LANES numbers

template <>
struct Kind<Bfloat> {
  static constexpr int TOGETHER = 2;
  typedef uint32_t Value;
  typedef bits Weights;
};

#ifdef BFLOAT16_INSTRUCTIONS

INLINE void add_product(vec& sum, uint32_t pair, bits weights) {
  sum = (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)weights, (__m512bh)_mm512_set1_epi32(int(pair)));
}

INLINE rounded round_to_nearest(vec value) { return (rounded)_mm512_cvtneps_pbh((__m512)value); }

INLINE Bfloat round_to_nearest(real value) {
  const __m128i nearest = (__m128i)_mm_cvtneps_pbh(_mm_set_ss(value));
  return {uint16_t(_mm_cvtsi128_si32(nearest))};
}

#else

// Each product is exact in a float, so that it makes no difference whether it is rounded before it is added.
INLINE void add_product(vec& sum, uint32_t pair, bits weights) {
  const auto upper = [](uint32_t both) { return __builtin_bit_cast(float, both & 0xffff0000u); };
  sum += upper(pair) * (vec)(weights & 0xffff0000u);
  sum += upper(pair << 16) * (vec)(weights << 16);
}

// Of two that are equally near the one whose last bit is 0; NaN stays NaN.
INLINE rounded round_to_nearest(vec value) {
  const bits all = (bits)value, magnitude = all & 0x7fffffffu;
  bits nearest = all + 0x7fffu + (all >> 16 & 1u);
  nearest = magnitude > 0x7f800000u ? (all | 0x00400000u) : nearest;
  nearest = magnitude < 0x00800000u ? (all & 0x80000000u) : nearest;
  return __builtin_convertvector(nearest >> 16, rounded);
}

INLINE Bfloat round_to_nearest(real value) { return {round_to_nearest(vec{} + value)[0]}; }

#endif

INLINE vec load_real(const Bfloat* from) {
  return (vec)(__builtin_convertvector(read<rounded>(from), bits) << 16);
}

INLINE void store_rounded(Bfloat* to, vec value) {
  const rounded nearest = round_to_nearest(value);
  __builtin_memcpy(to, &nearest, sizeof nearest);
}

INLINE void store_number(Bfloat* to, real value) { *to = round_to_nearest(value); }

#else

INLINE void store_rounded(Bfloat*, vec) {}

#endif
