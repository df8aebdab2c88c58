// Philox-4x32 with ten rounds: models/sampling/noise.py.

#pragma once

#include <algorithm>
#include <cstdint>

namespace spn {

typedef uint64_t Counters __attribute__((vector_size(64)));
constexpr int64_t COUNTERS = 8;

struct NoiseShape {
  int64_t slice;      // and candidate: noise.slice_word
  int64_t stage;
  int64_t positions;  // N
  int64_t channels;   // C
  int64_t symbols;    // V
};

// Four random words for each of the eight addresses in `c`, in place.
inline void philox(uint64_t seed, Counters (&c)[4]) {
  constexpr uint64_t MASK = 0xFFFFFFFF;
  uint64_t k0 = seed & MASK;
  uint64_t k1 = seed >> 32;
  for (int round = 0; round < 10; round++) {
    const Counters p0 = c[0] * 0xD2511F53ull;
    const Counters p1 = c[2] * 0xCD9E8D57ull;
    c[0] = (p1 >> 32) ^ c[1] ^ k0;
    c[1] = p1 & MASK;
    c[2] = (p0 >> 32) ^ c[3] ^ k1;
    c[3] = p0 & MASK;
    k0 = (k0 + 0x9E3779B9) & MASK;
    k1 = (k1 + 0xBB67AE85) & MASK;
  }
}

// Uniform numbers in (0, 1), (N, C, V): (word + 1/2) / 2^32.
inline void uniform(uint64_t seed, const NoiseShape& s, double* to) {
  const int64_t blocks = (s.symbols + 3) / 4;
  for (int64_t first = 0; first < s.positions; first += COUNTERS) {
    Counters place;
    for (int64_t l = 0; l < COUNTERS; l++) place[l] = static_cast<uint64_t>(first + l);
    const int64_t lanes = std::min(COUNTERS, s.positions - first);
    for (int64_t channel = 0; channel < s.channels; channel++)
      for (int64_t block = 0; block < blocks; block++) {
        const Counters value = Counters{} + static_cast<uint64_t>(channel << 16 | block);
        const Counters slice = Counters{} + static_cast<uint64_t>(s.slice);
        const Counters stage = Counters{} + static_cast<uint64_t>(s.stage);
        Counters c[4] = {value, place, slice, stage};
        philox(seed, c);
        const int64_t words = std::min<int64_t>(4, s.symbols - block * 4);
        for (int64_t l = 0; l < lanes; l++)
          for (int64_t w = 0; w < words; w++) {
            const int64_t at = ((first + l) * s.channels + channel) * s.symbols + block * 4 + w;
            to[at] = (static_cast<double>(c[w][l]) + 0.5) / 4294967296.0;
          }
      }
  }
}

}  // namespace spn
