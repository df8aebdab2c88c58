// Products on packed weights: of bfloat16 with float32 sums where the processor has them, else of float32.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX512BF16__) && !defined(FLOAT32)
#include <immintrin.h>
#endif

#include "lanes.hpp"

namespace spn {

#if defined(__AVX512BF16__) && !defined(FLOAT32)
constexpr int64_t GROUP = 2;  // neighbouring inputs that one instruction multiplies and adds
using Element = uint16_t;
using Weights = __m512bh;
using Broadcast = __m512bh;

inline void pack(float* to, Lanes x) { store(to, x); }
inline void pack(Element* to, Lanes x) {
  const __m256bh narrow = _mm512_cvtneps_pbh(std::bit_cast<__m512>(x));
  std::memcpy(to, &narrow, sizeof narrow);
}
inline Broadcast broadcast(const Element* group) {
  int32_t both;
  std::memcpy(&both, group, sizeof both);
  return std::bit_cast<Broadcast>(_mm512_set1_epi32(both));
}
inline Lanes multiply_add(Lanes total, Weights w, Broadcast x) {
  return std::bit_cast<Lanes>(_mm512_dpbf16_ps(std::bit_cast<__m512>(total), w, x));
}
#else
constexpr int64_t GROUP = 1;
using Element = float;
using Weights = Lanes;
using Broadcast = Lanes;

inline void pack(Element* to, Lanes x) { store(to, x); }
inline Broadcast broadcast(const Element* group) { return broadcast(*group); }
inline Lanes multiply_add(Lanes total, Weights w, Broadcast x) { return total + w * x; }
#endif

inline void pack(Element* to, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) pack(to + i, load(from + i));
}

inline void add(const float* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) store(to + i, load(to + i) + load(from + i));
}

// A linear layer in panels of LANES outputs. `inputs` of `pitch` inputs are used; rows of inputs are `pitch` apart too.
struct Linear {
  int64_t inputs;
  int64_t pitch;
  int64_t outputs;
  const Element* weight;  // (outputs / LANES, pitch / GROUP, LANES, GROUP)
  const float* bias;      // (outputs), or null
};

// f(0) to f(COUNT - 1) as straight code, so that what they index can stay in registers.
template <int64_t COUNT, class F>
inline void unrolled(F f) {
  [&]<int64_t... I>(std::integer_sequence<int64_t, I...>) { (f(I), ...); }(std::make_integer_sequence<int64_t, COUNT>{});
}

// Flattened: a call that the compiler does not inline would keep the sums in memory, at half the speed.
template <int64_t ROWS, int64_t PANELS>
[[gnu::flatten]] inline void tile(const Linear& linear, int64_t panel, const Element* x, float* out) {
  const Element* weight = linear.weight + panel * linear.pitch * LANES;
  const auto each = [](auto f) { unrolled<ROWS>([&](int64_t r) { unrolled<PANELS>([&](int64_t p) { f(r, p); }); }); };
  Lanes total[ROWS][PANELS];
  each([&](int64_t r, int64_t p) { total[r][p] = linear.bias ? load(linear.bias + (panel + p) * LANES) : Lanes{}; });
  for (int64_t i = 0; i < linear.inputs; i += GROUP) {
    Weights w[PANELS];
    unrolled<PANELS>([&](int64_t p) { std::memcpy(&w[p], weight + (p * linear.pitch + i) * LANES, sizeof w[p]); });
    each([&](int64_t r, int64_t p) { total[r][p] = multiply_add(total[r][p], w[p], broadcast(x + r * linear.pitch + i)); });
  }
  each([&](int64_t r, int64_t p) { store(out + r * linear.outputs + (panel + p) * LANES, total[r][p]); });
}

// The same panels for all rows, so that weights are fetched once.
template <int64_t PANELS>
inline void stripe(const Linear& linear, int64_t panel, const Element* x, int64_t rows, float* out) {
  constexpr int64_t MOST = std::min<int64_t>(8, SUMS / PANELS);
  constexpr int64_t FEWER = MOST / 2;
  const auto next = [&](int64_t done) {
    x += done * linear.pitch;
    out += done * linear.outputs;
    rows -= done;
  };
  for (; rows >= MOST; next(MOST)) tile<MOST, PANELS>(linear, panel, x, out);
  for (; rows >= FEWER; next(FEWER)) tile<FEWER, PANELS>(linear, panel, x, out);
  for (; rows >= 1; next(1)) tile<1, PANELS>(linear, panel, x, out);
}

// The outputs of panels `panel` to `end` - 1 of (rows, inputs) -> (rows, outputs). Few rows take more panels at once: sums enough to keep
// the multipliers busy.
inline void matmul(const Linear& linear, const Element* x, int64_t rows, float* out, int64_t panel, int64_t end) {
  if (rows < SUMS / 3)
    for (; panel + 6 <= end; panel += 6) stripe<6>(linear, panel, x, rows, out);
  for (; panel + 3 <= end; panel += 3) stripe<3>(linear, panel, x, rows, out);
  for (; panel < end; panel++) stripe<1>(linear, panel, x, rows, out);
}

// (rows, inputs) -> (rows, outputs)
inline void matmul(const Linear& linear, const Element* x, int64_t rows, float* out) {
  matmul(linear, x, rows, out, 0, linear.outputs / LANES);
}

constexpr float EPSILON = 1e-5f;  // of torch's LayerNorm

struct Norm {
  const float* weight;  // (D)
  const float* bias;    // (D)
};

template <class Out>
inline void layer_norm(const Norm& norm, const float* x, int64_t width, Out* out) {
  Lanes total{};
  Lanes squares{};
  for (int64_t i = 0; i < width; i += LANES) total += load(x + i);
  const float mean = sum(total) / width;
  for (int64_t i = 0; i < width; i += LANES) squares += (load(x + i) - mean) * (load(x + i) - mean);
  const float scale = 1.0f / std::sqrt(sum(squares) / width + EPSILON);
  for (int64_t i = 0; i < width; i += LANES)
    pack(out + i, (load(x + i) - mean) * scale * load(norm.weight + i) + load(norm.bias + i));
}

}  // namespace spn
