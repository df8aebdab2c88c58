// A slice on a processor: its noise, the slice embedder, then the passes of models/sampling/passes.py until every row is drawn.
//
// Same arithmetic as the torch modules, own loops: products on packed weights (bfloat16 with float32 sums where the processor has it),
// attention over the part of a cache that a token may see, nothing computed for tokens without work. Every token goes through the same
// operations in the same order whatever shares its tile, so its result depends neither on its company nor on how many tokens a pass has.
//
// What models/sampling/native/binding.py calls. Any thread may call, an object one at a time.

#include <cstdint>
#include <cstdio>
#include <exception>

#include "embedder.hpp"
#include "noise.hpp"
#include "passes.hpp"

namespace {

// A new object, or null and why not.
template <class T>
T* made(const Argument* arguments, int64_t count, char* error, int64_t room) {
  try {
    return new T(spn::Arguments(arguments, count));
  } catch (const std::exception& found) {
    std::snprintf(error, room, "%s", found.what());
    return nullptr;
  }
}

}  // namespace

extern "C" {

// Numbers in a register, the width of the panels of packed weights.
int64_t lanes() { return spn::LANES; }

// Neighbouring inputs that share a register lane in packed weights: 2 for bfloat16, 1 for float32.
int64_t group() { return spn::GROUP; }

void* embedder_create(const Argument* arguments, int64_t count, char* error, int64_t room) {
  return made<spn::Embedder>(arguments, count, error, room);
}
void embedder_destroy(void* embedder) { delete static_cast<spn::Embedder*>(embedder); }
void embedder_run(void* embedder, const uint8_t* coarse, const uint8_t* fine, int64_t k, const float* asked, float* start, float* gates,
                  int64_t* forecasts, int64_t* offset) {
  static_cast<spn::Embedder*>(embedder)->run(coarse, fine, k, asked, start, gates, forecasts, offset);
}

void uniform(uint64_t seed, int64_t slice, int64_t stage, int64_t positions, int64_t channels, int64_t symbols, double* to) {
  spn::uniform(seed, {slice, stage, positions, channels, symbols}, to);
}

void* decoder_create(const Argument* arguments, int64_t count, char* error, int64_t room) {
  return made<spn::Passes>(arguments, count, error, room);
}
void decoder_destroy(void* passes) { delete static_cast<spn::Passes*>(passes); }
// Passes of about `budget` tokens until every row is finished; returns how many.
int64_t decoder_run(void* passes, int64_t budget) {
  int64_t count = 0;
  while (static_cast<spn::Passes*>(passes)->run(budget)) count++;
  return count;
}
}
