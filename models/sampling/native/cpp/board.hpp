// The memory of a pass, shared with Python: models/sampling/board.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "weights.hpp"

namespace spn {

// L lanes are rows * lanes; slots are those of the padded grid.
struct Board {
  const float* start;                // (L, N, D)
  const float* gates;                // (L, N, blocks, 2 D)
  const int64_t* forecasts;          // (L, N, IMAGE_FORECASTS, C)
  const int64_t* offset;             // (L, N, C)
  const float* noise;                // (R, N, C, V)
  const float* temperature;          // (R)
  const float* guidance;             // (R)
  int64_t* values;                   // (R, slots, C)
  float* pixels;                     // (R, slots, P)
  std::vector<float*> grids;         // of each block (L, slots, P)
  std::vector<Element*> keys;        // of each block, lane and head: panels over positions
  std::vector<Element*> contents;    // of each block, lane and head: panels over channels
  int64_t* front;                    // (R) positions below are final
  int64_t* seen;                     // (R) positions below hold a guess or a sample
  float* pace;                       // (R) pixels accepted by recent passes
  const int64_t* own;                // (N + 1) slot of a position
  const int64_t* previous;           // (N + 1) slot of the position before
  const int64_t* taps;               // (N + 1, T) slots of the causal neighbours

  Board(const DecoderShape& s, Arguments& a) {
    const int64_t n = s.positions();
    const int64_t lanes = s.rows * s.lanes;
    start = a.take<float>("start", lanes * n * s.width);
    gates = a.take<float>("gates", lanes * n * s.blocks * 2 * s.width);
    forecasts = a.take<int64_t>("forecasts", lanes * n * IMAGE_FORECASTS * s.channels);
    offset = a.take<int64_t>("offset", lanes * n * s.channels);
    noise = a.take<float>("noise", s.rows * n * s.channels * s.symbols);
    temperature = a.take<float>("temperature", s.rows);
    guidance = a.take<float>("guidance", s.rows);
    values = a.take<int64_t>("values", s.rows * s.slots() * s.channels);
    pixels = a.take<float>("pixels", s.rows * s.slots() * s.conv);
    for (int64_t i = 0; i < s.blocks; i++) {
      const std::string block = "." + std::to_string(i);
      grids.push_back(a.take<float>("grids" + block, lanes * s.slots() * s.conv));
      keys.push_back(a.memory<Element>("keys" + block, lanes * n * s.width));
      contents.push_back(a.memory<Element>("contents" + block, lanes * n * s.width));
    }
    front = a.take<int64_t>("front", s.rows);
    seen = a.take<int64_t>("seen", s.rows);
    pace = a.take<float>("pace", s.rows);
    own = a.take<int64_t>("own", n + 1);
    previous = a.take<int64_t>("previous", n + 1);
    taps = a.take<int64_t>("taps", (n + 1) * s.taps());
  }
};

// A position of a row, in one of its lanes.
struct Token {
  int64_t row;
  int64_t lane;      // row * lanes, or the next one: the unconditional side of guidance
  int64_t position;
  int64_t at;        // lane * N + position
  int64_t cell;      // slot in the lane's grids
  int64_t slot;      // slot in the row's values and pixels
};

// The tokens of a pass: the windows of all rows, then the unconditional twins of guided rows' tokens.
struct Tokens {
  std::vector<Token> all;
  int64_t conditional;         // tokens that are no twins
  std::vector<int64_t> twins;  // of each twin: the index of its conditional token
  std::vector<int64_t> window; // (R) tokens of each row

  int64_t count() const { return static_cast<int64_t>(all.size()); }
  const Token& operator[](int64_t m) const { return all[m]; }
  const Token& twin(int64_t i) const { return all[conditional + i]; }
};

}  // namespace spn
