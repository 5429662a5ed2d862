// Numbers, and vectors of them as wide as the processor's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifndef SCALAR
#define SCALAR float
#endif

typedef SCALAR real;

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif
constexpr int LANES = VECTOR_BYTES / sizeof(real);

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool MANY_REGISTERS = true;  // 32 vectors; else 16
#else
constexpr bool MANY_REGISTERS = false;
#endif

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));

#define INLINE static inline __attribute__((always_inline))
#define INLINE_METHOD inline __attribute__((always_inline))

// T: a vector or, for what is left over, one number.
template <typename T = vec>
INLINE T load(const real* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
INLINE void store(real* to, T value) {
  __builtin_memcpy(to, &value, sizeof value);
}

enum Activation : int32_t { NONE, RELU, RELU6 };

template <typename T>
INLINE T activate(T value, int32_t activation) {
  const T zero = {};
  if (activation != NONE) value = value < zero ? zero : value;  // NaN stays NaN
  if (activation == RELU6) value = value > zero + 6 ? zero + 6 : value;
  return value;
}
