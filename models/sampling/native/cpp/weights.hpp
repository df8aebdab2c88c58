// The decoder's sizes and weights: models/decoder.py, models/layers.py. Names are those of the torch modules.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image.hpp"

namespace spn {

constexpr int64_t FORECASTS = SLICE_FORECASTS + IMAGE_FORECASTS;

struct DecoderShape {
  int64_t rows;        // R
  int64_t lanes;       // of a row: 2 where the network is guided
  int64_t side;        // of a slice, h = w
  int64_t reach;       // of the masked convolution
  int64_t width;       // D
  int64_t heads;
  int64_t conv;        // P: channels of the masked convolution
  int64_t blocks;
  int64_t expansion;   // of the feed-forward layer
  int64_t channels;    // C
  int64_t symbols;     // V
  int64_t value_bits;

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

  // N
  int64_t positions() const { return side * side; }
  // T: pixels within reach before the own one.
  int64_t taps() const { return 2 * reach * (reach + 1); }
  // Of the padded grid; the last one is idle.
  int64_t slots() const { return (side + reach) * (side + 2 * reach) + 1; }
  // Of an attention head.
  int64_t depth() const { return width / heads; }
};

// Linear layers are written inputs -> outputs.
struct BlockWeights {
  Norm convolution_norm;  // (D): near_norm
  Linear narrow;          // D -> P
  Linear gates;           // (T + 1) P -> 2 D
  Linear convolution_out; // D -> D: near_out
  Norm attention_norm;    // (D): far_norm
  Linear qkv;             // D -> 3 D
  Linear attention_out;   // D -> D: far_out
  Norm feed_norm;         // (D)
  Linear feed_in;         // D -> expansion D: feed.0
  Linear feed_out;        // expansion D -> D: feed.2

  BlockWeights(const DecoderShape& s, Arguments& a, const std::string& name)
      : convolution_norm(a.norm(name + ".near_norm", s.width)),
        narrow(a.linear(name + ".narrow", s.width, s.conv)),
        gates(a.linear(name + ".gates", (s.taps() + 1) * s.conv, 2 * s.width)),
        convolution_out(a.linear(name + ".near_out", s.width, s.width)),
        attention_norm(a.norm(name + ".far_norm", s.width)),
        qkv(a.linear(name + ".qkv", s.width, 3 * s.width)),
        attention_out(a.linear(name + ".far_out", s.width, s.width)),
        feed_norm(a.norm(name + ".feed_norm", s.width)),
        feed_in(a.linear(name + ".feed.0", s.width, s.expansion * s.width)),
        feed_out(a.linear(name + ".feed.2", s.expansion * s.width, s.width)) {}
};

struct DecoderWeights {
  std::vector<const float*> pixel_tables;  // C of (V, P)
  const float* pixel_number;               // (C, P)
  const float* pixel_number_bias;          // (P)
  Linear first;                            // T P -> D
  std::vector<BlockWeights> blocks;
  Norm head_norm;                          // (D)
  Linear head_hidden;                      // D -> C D
  std::vector<const float*> head_earlier;  // C - 1 of (V, (C - c - 1) D)
  std::vector<Linear> head_out;            // C of D -> (1 + FORECASTS) V

  DecoderWeights(const DecoderShape& s, Arguments& a) {
    for (int64_t c = 0; c < s.channels; c++)
      pixel_tables.push_back(a.take<float>("pixel.tables." + std::to_string(c) + ".weight", s.symbols * s.conv));
    pixel_number = a.take<float>("pixel.number.weight", s.channels * s.conv);
    pixel_number_bias = a.take<float>("pixel.number.bias", s.conv);
    first = a.linear("first", s.taps() * s.conv, s.width);
    for (int64_t i = 0; i < s.blocks; i++) blocks.emplace_back(s, a, "blocks." + std::to_string(i));
    head_norm = a.norm("head.norm", s.width);
    head_hidden = a.linear("head.hidden", s.width, s.channels * s.width);
    for (int64_t c = 0; c + 1 < s.channels; c++) {
      const std::string name = "head.earlier." + std::to_string(c) + ".weight";
      head_earlier.push_back(a.take<float>(name, s.symbols * (s.channels - c - 1) * s.width));
    }
    for (int64_t c = 0; c < s.channels; c++)
      head_out.push_back(a.linear("head.out." + std::to_string(c), s.width, s.symbols * (1 + FORECASTS)));
  }
};

}  // namespace spn
