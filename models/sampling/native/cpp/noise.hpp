// Philox-4x32 with ten rounds, as models/sampling/noise.py says it.

#pragma once

#include <algorithm>
#include <cstdint>

namespace spn {

typedef uint64_t Counters __attribute__((vector_size(64)));
constexpr int64_t COUNTERS = 8;

struct NoiseShape {
  int64_t slice, stage, positions, channels, symbols;
};

// Uniform numbers in (0, 1), (positions, channels, symbols): (word + 1/2) / 2^32.
inline void uniform(uint64_t seed, const NoiseShape& s, double* to) {
  constexpr uint64_t MASK = 0xFFFFFFFF;
  const int64_t blocks = (s.symbols + 3) / 4;
  for (int64_t first = 0; first < s.positions; first += COUNTERS) {
    Counters place;
    for (int64_t l = 0; l < COUNTERS; l++) place[l] = static_cast<uint64_t>(first + l);
    for (int64_t channel = 0; channel < s.channels; channel++)
      for (int64_t block = 0; block < blocks; block++) {
        Counters c[4] = {Counters{} + static_cast<uint64_t>(channel << 16 | block), place, Counters{} + static_cast<uint64_t>(s.slice),
                         Counters{} + static_cast<uint64_t>(s.stage)};
        uint64_t k0 = seed & MASK, k1 = seed >> 32;
        for (int round = 0; round < 10; round++) {
          const Counters p0 = c[0] * 0xD2511F53ull, p1 = c[2] * 0xCD9E8D57ull;
          c[0] = (p1 >> 32) ^ c[1] ^ k0, c[1] = p1 & MASK, c[2] = (p0 >> 32) ^ c[3] ^ k1, c[3] = p0 & MASK;
          k0 = (k0 + 0x9E3779B9) & MASK, k1 = (k1 + 0xBB67AE85) & MASK;
        }
        const int64_t lanes = std::min(COUNTERS, s.positions - first), words = std::min<int64_t>(4, s.symbols - block * 4);
        for (int64_t l = 0; l < lanes; l++)
          for (int64_t w = 0; w < words; w++)
            to[((first + l) * s.channels + channel) * s.symbols + block * 4 + w] = (static_cast<double>(c[w][l]) + 0.5) / 4294967296.0;
      }
  }
}

}  // namespace spn
