// The decoder's weights, and the board it works on: models/decoder.py, models/sampling/board.py.

#pragma once

#include <cstdint>
#include <vector>

#include "linear.hpp"

namespace spn {

struct DecoderShape {
  int64_t rows, lanes, side, reach, width, heads, conv, blocks, expansion, channels, symbols, value_bits, kernels;

  int64_t taps() const { return 2 * reach * (reach + 1); }  // pixels within reach before the own one
};

struct Block {
  Norm near_norm, far_norm, feed_norm;
  Linear narrow, gates, near_out, qkv, far_out, feed_in, feed_out;
};

struct Decoder {
  std::vector<const float*> tables;  // (symbols, conv) a channel
  const float *number, *number_bias;  // (channels, conv), (conv)
  Linear first;
  std::vector<Block> blocks;
  Norm norm;
  Linear hidden;
  std::vector<const float*> earlier;  // (symbols, later channels * width) a channel but the last
  std::vector<Linear> out;

  Decoder(const DecoderShape& s, Pointers& p) {
    const int64_t w = s.width, c = s.conv, taps = s.taps();
    for (int64_t i = 0; i < s.channels; i++) tables.push_back(p.take<const float>());
    number = p.take<const float>(), number_bias = p.take<const float>();
    first = p.linear(taps * c, w);
    for (int64_t i = 0; i < s.blocks; i++) {
      Block block;
      block.near_norm = p.norm(), block.far_norm = p.norm(), block.feed_norm = p.norm();
      block.narrow = p.linear(w, c);
      block.gates = p.linear((taps + 1) * c, 2 * w);
      block.near_out = p.linear(w, w);
      block.qkv = p.linear(w, 3 * w);
      block.far_out = p.linear(w, w);
      block.feed_in = p.linear(w, s.expansion * w);
      block.feed_out = p.linear(s.expansion * w, w);
      blocks.push_back(block);
    }
    norm = p.norm();
    hidden = p.linear(w, s.channels * w);
    for (int64_t i = 0; i + 1 < s.channels; i++) earlier.push_back(p.take<const float>());
    for (int64_t i = 0; i < s.channels; i++) out.push_back(p.linear(w, s.symbols * (1 + s.kernels)));
  }
};

// models.sampling.board.Board and its Raster.
struct Board {
  const float *start, *gates;
  const int64_t *forecasts, *offset;
  const float *noise, *temperature, *guidance;
  int64_t* values;
  float* pixels;
  std::vector<float*> grids;
  std::vector<Element*> keys, contents;  // a lane and head: panels over positions, panels over channels
  int64_t *front, *seen;
  float* pace;
  const int64_t *own, *previous, *taps;

  Board(const DecoderShape& s, Pointers& p) {
    start = p.take<const float>(), gates = p.take<const float>();
    forecasts = p.take<const int64_t>(), offset = p.take<const int64_t>();
    noise = p.take<const float>(), temperature = p.take<const float>(), guidance = p.take<const float>();
    values = p.take<int64_t>(), pixels = p.take<float>();
    for (int64_t i = 0; i < s.blocks; i++) grids.push_back(p.take<float>());
    for (auto* caches : {&keys, &contents})
      for (int64_t i = 0; i < s.blocks; i++) caches->push_back(p.take<Element>());
    front = p.take<int64_t>(), seen = p.take<int64_t>(), pace = p.take<float>();
    own = p.take<const int64_t>(), previous = p.take<const int64_t>(), taps = p.take<const int64_t>();
  }
};

}  // namespace spn
