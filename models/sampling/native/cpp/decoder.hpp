// The decoder's weights, and the board it works on: models/decoder.py, models/sampling/board.py.

#pragma once

#include <cstdint>
#include <vector>

#include "picture.hpp"

namespace spn {

constexpr int64_t FORECASTS = SLICE_FORECASTS + IMAGE_FORECASTS;

struct DecoderShape {
  int64_t rows, lanes, side, reach, width, heads, conv, blocks, expansion, channels, symbols, value_bits;

  explicit DecoderShape(Arguments& a)
      : rows(a.number("rows")),
        lanes(a.number("lanes")),
        side(a.number("side")),
        reach(a.number("reach")),
        width(a.number("width")),
        heads(a.number("heads")),
        conv(a.number("conv")),
        blocks(a.number("blocks")),
        expansion(a.number("expansion")),
        channels(a.number("channels")),
        symbols(a.number("symbols")),
        value_bits(a.number("value_bits")) {}

  int64_t positions() const { return side * side; }
  int64_t taps() const { return 2 * reach * (reach + 1); }                             // pixels within reach before the own one
  int64_t slots() const { return (side + reach) * (side + 2 * reach) + 1; }  // of the padded grid, the last one idle
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

  Decoder(const DecoderShape& s, Arguments& a) {
    const int64_t w = s.width, c = s.conv, taps = s.taps();
    for (int64_t i = 0; i < s.channels; i++) tables.push_back(a.take<float>("pixel.tables." + std::to_string(i) + ".weight", s.symbols * c));
    number = a.take<float>("pixel.number.weight", s.channels * c);
    number_bias = a.take<float>("pixel.number.bias", c);
    first = a.linear("first", taps * c, w);
    for (int64_t i = 0; i < s.blocks; i++) {
      const std::string name = "blocks." + std::to_string(i) + ".";
      Block block;
      block.near_norm = a.norm(name + "near_norm", w);
      block.far_norm = a.norm(name + "far_norm", w);
      block.feed_norm = a.norm(name + "feed_norm", w);
      block.narrow = a.linear(name + "narrow", w, c);
      block.gates = a.linear(name + "gates", (taps + 1) * c, 2 * w);
      block.near_out = a.linear(name + "near_out", w, w);
      block.qkv = a.linear(name + "qkv", w, 3 * w);
      block.far_out = a.linear(name + "far_out", w, w);
      block.feed_in = a.linear(name + "feed.0", w, s.expansion * w);
      block.feed_out = a.linear(name + "feed.2", s.expansion * w, w);
      blocks.push_back(block);
    }
    norm = a.norm("head.norm", w);
    hidden = a.linear("head.hidden", w, s.channels * w);
    for (int64_t i = 0; i + 1 < s.channels; i++)
      earlier.push_back(a.take<float>("head.earlier." + std::to_string(i) + ".weight", s.symbols * (s.channels - i - 1) * w));
    for (int64_t i = 0; i < s.channels; i++) out.push_back(a.linear("head.out." + std::to_string(i), w, s.symbols * (1 + FORECASTS)));
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

  Board(const DecoderShape& s, Arguments& a) {
    const int64_t n = s.positions(), lanes = s.rows * s.lanes, cached = lanes * n * s.width;
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
      const std::string layer = "." + std::to_string(i);
      grids.push_back(a.take<float>("grids" + layer, lanes * s.slots() * s.conv));
      keys.push_back(a.memory<Element>("keys" + layer, cached));
      contents.push_back(a.memory<Element>("contents" + layer, cached));
    }
    front = a.take<int64_t>("front", s.rows);
    seen = a.take<int64_t>("seen", s.rows);
    pace = a.take<float>("pace", s.rows);
    own = a.take<int64_t>("own", n + 1);
    previous = a.take<int64_t>("previous", n + 1);
    taps = a.take<int64_t>("taps", (n + 1) * s.taps());
  }
};

}  // namespace spn
