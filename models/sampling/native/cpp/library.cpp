// Sampling of slices on a CPU: noise, the slice embedder, and passes of the decoder until every row is final.
//
// The arithmetic is that of the torch modules, with loops of its own: products on packed weights (bfloat16 with float32 sums where
// the CPU has them), attention over the part of a cache that a token may see, nothing for tokens without work.
//
// models/sampling/native/binding.py calls these functions. Any thread may call; an object serves one call at a time.

#include <cstdint>
#include <cstdio>
#include <exception>

#include "embedder.hpp"
#include "noise.hpp"
#include "passes.hpp"

namespace {

// A new object; or null, and the reason in `error`, which has room for `room` bytes.
template <class T>
T* create(const Argument* arguments, int64_t count, void* helper, char* error, int64_t room) {
  try {
    return new T(spn::Arguments(arguments, count), *static_cast<spn::Helper*>(helper));
  } catch (const std::exception& exception) {
    std::snprintf(error, room, "%s", exception.what());
    return nullptr;
  }
}

}  // namespace

extern "C" {

// Numbers in a register: the width of the panels of packed weights.
int64_t lanes() { return spn::LANES; }

// Neighbouring inputs that share a register lane in packed weights: 2 for bfloat16, 1 for float32.
int64_t group() { return spn::GROUP; }

// What embedders and decoders share: a helper of up to `threads` of their calls at a time. It must outlive them.
void* helper_create(int64_t threads) { return new spn::Helper(threads); }

void helper_destroy(void* helper) { delete static_cast<spn::Helper*>(helper); }

void* embedder_create(const Argument* arguments, int64_t count, void* helper, char* error, int64_t room) {
  return create<spn::Embedder>(arguments, count, helper, error, room);
}

void embedder_destroy(void* embedder) { delete static_cast<spn::Embedder*>(embedder); }

void embedder_run(void* embedder, const uint8_t* coarse, const uint8_t* fine, int64_t k, const float* context, float* start, float* gates,
                  int64_t* forecasts, int64_t* offset) {
  static_cast<spn::Embedder*>(embedder)->run(coarse, fine, k, context, start, gates, forecasts, offset);
}

void uniform(uint64_t seed, int64_t slice, int64_t stage, int64_t positions, int64_t channels, int64_t symbols, double* to) {
  spn::uniform(seed, {slice, stage, positions, channels, symbols}, to);
}

void* decoder_create(const Argument* arguments, int64_t count, void* helper, char* error, int64_t room) {
  return create<spn::Passes>(arguments, count, helper, error, room);
}

void decoder_destroy(void* passes) { delete static_cast<spn::Passes*>(passes); }

// Passes of about `budget` tokens until every row is final; returns how many.
int64_t decoder_run(void* passes, int64_t budget) { return static_cast<spn::Passes*>(passes)->run(budget); }
}
