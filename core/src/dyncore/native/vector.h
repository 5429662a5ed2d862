// Numbers, and vectors of them as wide as the processor's.
#pragma once

#include <cmath>
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

// The error function: of a vector of floats to 2e-7, by formula 7.1.26 of Abramowitz and Stegun.
INLINE double error_function(double x) { return std::erf(x); }
INLINE float error_function(float x) { return std::erf(x); }

template <typename Real, typename V>
INLINE V error_function_of(V x) {
  V result;
  if constexpr (sizeof(Real) == sizeof(float)) {
    typedef int32_t ints __attribute__((vector_size(VECTOR_BYTES)));
    const V zero = {}, size = x < zero ? -x : x;
    const V t = 1 / (1 + Real(0.3275911) * size);
    V tail = t * Real(1.061405429) - Real(1.453152027);
    tail = tail * t + Real(1.421413741);
    tail = tail * t - Real(0.284496736);
    tail = (tail * t + Real(0.254829592)) * t;
    // exp(-x²) = 2^n exp(r), where |r| is at most ln(2) / 2.
    V power = size * size;
    power = power > zero + 87 ? zero + 87 : power;
    const V shifted = power * Real(-1.44269504) + Real(12582912);  // rounds to whole numbers
    const V n = shifted - Real(12582912);
    const V r = -power - n * Real(0.693145752) - n * Real(1.42860677e-6);
    V exponential = r * Real(0.0083333333) + Real(0.041666667);
    exponential = exponential * r + Real(0.16666667);
    exponential = exponential * r + Real(0.5);
    exponential = (exponential * r + 1) * r + 1;
    const ints scale = (__builtin_convertvector(n, ints) + 127) << 23;
    const V value = 1 - tail * exponential * (V)scale;
    result = x < zero ? -value : value;
  } else {
    for (int lane = 0; lane < LANES; lane++) result[lane] = std::erf(x[lane]);
  }
  return result;
}

INLINE vec error_function(vec x) { return error_function_of<real>(x); }

enum Activation : int32_t { NONE, RELU, RELU6, HARDSWISH, GELU };

template <typename T>
INLINE T activate(T value, int32_t activation) {
  const T zero = {};
  if (activation == GELU) return value / 2 * (1 + error_function(value * real(0.70710678118654752)));
  if (activation == HARDSWISH) {
    T gate = value + 3;
    gate = gate < zero ? zero : gate;
    gate = gate > zero + 6 ? zero + 6 : gate;
    return value * gate / 6;
  }
  if (activation != NONE) value = value < zero ? zero : value;  // NaN stays NaN
  if (activation == RELU6) value = value > zero + 6 ? zero + 6 : value;
  return value;
}
