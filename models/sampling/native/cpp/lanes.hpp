// A register full of numbers at once, by the compiler's vector extension.

#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace spn {

#if defined(__AVX512F__)
constexpr int64_t LANES = 16;
constexpr int64_t REGISTERS = 32;
#elif defined(__AVX__)
constexpr int64_t LANES = 8;
constexpr int64_t REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int64_t LANES = 4;
constexpr int64_t REGISTERS = 32;
#else
constexpr int64_t LANES = 4;
constexpr int64_t REGISTERS = 16;
#endif

constexpr int64_t SUMS = REGISTERS * 3 / 4;  // that a product keeps in registers; the rest are for its factors

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

inline Lanes load(const float* from) {
  Lanes x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

inline void store(float* to, Lanes x) { std::memcpy(to, &x, sizeof x); }

inline Lanes broadcast(float x) { return x - Lanes{}; }

inline float sum(Lanes x) {
  float total = 0;
  for (int64_t i = 0; i < LANES; i++) total += x[i];
  return total;
}

inline float maximum(Lanes x) {
  float most = x[0];
  for (int64_t i = 1; i < LANES; i++) most = std::max(most, x[i]);
  return most;
}

// 2^n by its exponent bits, times a polynomial on [-ln 2 / 2, ln 2 / 2]: within two units in the last place.
inline Lanes exponential(Lanes x) {
  const Lanes low = broadcast(-87.0f);
  const Lanes high = broadcast(88.0f);
  const Lanes magic = broadcast(12582912.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Lanes n = (x * 1.44269504f + magic) - magic;
  const Lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Lanes p = broadcast(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) p = p * r + c;
  p = p * r * r + r + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * std::bit_cast<Lanes>(power);
}

inline Lanes sigmoid(Lanes x) { return 1.0f / (1.0f + exponential(-x)); }

inline Lanes hyperbolic_tangent(Lanes x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

// x times the normal distribution function; erf by Abramowitz & Stegun 7.1.26, within 1.5e-7.
inline Lanes gelu(Lanes x) {
  const Lanes size = (x < 0.0f ? -x : x) * 0.70710678f;
  const Lanes t = 1.0f / (1.0f + 0.3275911f * size);
  Lanes p = broadcast(1.061405429f);
  for (float c : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) p = p * t + c;
  const Lanes tail = 0.5f * p * t * exponential(-size * size);
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

}  // namespace spn
