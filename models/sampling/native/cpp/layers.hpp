// The decoder on the tokens of a pass: models/decoder.py, models/layers.py.
//
// Every token goes through the same operations in the same order, whatever shares its tile. So its result depends neither on
// the other rows nor on how many tokens a pass has.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "board.hpp"
#include "helper.hpp"

namespace spn {

class Layers {
 public:
  Layers(const DecoderShape& shape, const DecoderWeights& weights, const Board& board, Caller& calling)
      : s(shape), d(weights), b(board), caller(calling), n(s.positions()), taps(s.taps()), depth(s.depth()) {}

  // The features of each token, (M, D). Writes the caches of the tokens' positions.
  const std::vector<float>& run(const Tokens& tokens) {
    reserve(tokens.count());
    embed_pixels(tokens);
    first_layer(tokens);
    for (int64_t layer = 0; layer < s.blocks; layer++) block(tokens, layer);
    return x;
  }

 private:
  const DecoderShape& s;
  const DecoderWeights& d;
  const Board& b;
  Caller& caller;
  int64_t n;                     // N
  int64_t taps;                  // T
  int64_t depth;                 // of a head
  std::vector<float> x;          // (M, D) residual stream
  std::vector<float> hidden;     // (M, outputs of a layer)
  std::vector<Element> input;    // (M, inputs of a layer)
  // Of each head, whose work is shared:
  std::vector<float> scores;     // (heads, window, N)
  std::vector<float> attended;   // (heads, window, depth)
  std::vector<Element> queries;  // (heads, window, depth)
  std::vector<Element> shares;   // (heads, window, N)

  void reserve(int64_t m) {
    x.resize(m * s.width);
    hidden.resize(m * std::max(s.conv, std::max<int64_t>(3, s.expansion) * s.width));
    input.resize(m * std::max((taps + 1) * s.conv, s.expansion * s.width));
    scores.resize(s.heads * m * n);
    shares.resize(s.heads * m * n);
    queries.resize(s.heads * m * depth);
    attended.resize(s.heads * m * depth);
  }

  // Embeds the pixel before each token.
  void embed_pixels(const Tokens& tokens) {
    for (int64_t m = 0; m < tokens.conditional; m++) {
      const int64_t slot = tokens[m].row * s.slots() + b.previous[tokens[m].position];
      embed_pixel(b.values + slot * s.channels, b.pixels + slot * s.conv);
    }
  }

  // values: (C); pixel: (P), zero if the values are absent.
  void embed_pixel(const int64_t* values, float* pixel) {
    const float unit = 2.0f / static_cast<float>((int64_t{1} << s.value_bits) - 1);
    const bool known = std::all_of(values, values + s.channels, [](int64_t value) { return value >= 0; });
    for (int64_t i = 0; i < s.conv; i += LANES) {
      Lanes total = load(d.pixel_number_bias + i);
      for (int64_t c = 0; known && c < s.channels; c++) {
        total += load(d.pixel_number + c * s.conv + i) * (static_cast<float>(values[c]) * unit - 1.0f);
        total += load(d.pixel_tables[c] + (values[c] & (s.symbols - 1)) * s.conv + i);
      }
      store(pixel + i, known ? total : Lanes{});
    }
  }

  // The first layer on the pixels before each token, which twins share, and what the slice is conditioned on.
  void first_layer(const Tokens& tokens) {
    for (int64_t m = 0; m < tokens.conditional; m++) gather(b.pixels, tokens[m].row, tokens[m], &input[m * taps * s.conv]);
    caller.multiply(d.first, input.data(), tokens.conditional, x.data());
    for (size_t i = 0; i < tokens.twins.size(); i++)
      std::copy_n(&x[tokens.twins[i] * s.width], s.width, &x[(tokens.conditional + i) * s.width]);
    for (int64_t m = 0; m < tokens.count(); m++) add(b.start + tokens[m].at * s.width, &x[m * s.width], s.width);
  }

  // Writes the causal neighbours of a token, (T, P), from padded grid number `which` of `grids`.
  void gather(const float* grids, int64_t which, const Token& t, Element* to) {
    const float* grid = grids + which * s.slots() * s.conv;
    const int64_t* neighbours = b.taps + t.position * taps;
    for (int64_t i = 0; i < taps; i++) pack(to + i * s.conv, grid + neighbours[i] * s.conv, s.conv);
  }

  void block(const Tokens& tokens, int64_t layer) {
    convolve(tokens, layer);
    attend(tokens, layer);
    feed_forward(tokens.count(), d.blocks[layer]);
  }

  // Masked gated convolution.
  void convolve(const Tokens& tokens, int64_t layer) {
    const BlockWeights& block = d.blocks[layer];
    const int64_t inputs = (taps + 1) * s.conv;
    float* grid = b.grids[layer];
    normalise(block.convolution_norm, tokens.count());
    caller.multiply(block.narrow, input.data(), tokens.count(), hidden.data());
    for (int64_t m = 0; m < tokens.count(); m++) std::copy_n(&hidden[m * s.conv], s.conv, grid + tokens[m].cell * s.conv);
    for (int64_t m = 0; m < tokens.count(); m++) {
      gather(grid, tokens[m].lane, tokens[m], &input[m * inputs]);
      pack(&input[m * inputs + taps * s.conv], grid + tokens[m].cell * s.conv, s.conv);
    }
    caller.multiply(block.gates, input.data(), tokens.count(), hidden.data());
    for (int64_t m = 0; m < tokens.count(); m++)
      gate(&hidden[m * 2 * s.width], b.gates + (tokens[m].at * s.blocks + layer) * 2 * s.width, &input[m * s.width]);
    add_output(block.convolution_out, tokens.count());
  }

  // tanh(value) * sigmoid(gate) of 2 D numbers, the slice's own share added before.
  void gate(const float* from, const float* conditioning, Element* to) {
    for (int64_t i = 0; i < s.width; i += LANES) {
      const Lanes value = load(from + i) + load(conditioning + i);
      const Lanes gate = load(from + s.width + i) + load(conditioning + s.width + i);
      pack(to + i, hyperbolic_tangent(value) * sigmoid(gate));
    }
  }

  // Masked self-attention: a window's tokens together, against the cache of their lane.
  void attend(const Tokens& tokens, int64_t layer) {
    const BlockWeights& block = d.blocks[layer];
    normalise(block.attention_norm, tokens.count());
    caller.multiply(block.qkv, input.data(), tokens.count(), hidden.data());
    for (int64_t m = 0; m < tokens.count(); m++) write_cache(tokens[m], &hidden[m * 3 * s.width], layer);
    for (int64_t first = 0; first < tokens.count(); first += tokens.window[tokens[first].row])
      caller.share(s.heads, [&](int64_t head) { attend_window(tokens, first, head, layer); });
    add_output(block.attention_out, tokens.count());
  }

  // Where the cache of a token's lane and head begins.
  int64_t cache_of(const Token& t, int64_t head) { return (t.lane * s.heads + head) * n * depth; }

  // qkv: (3, D) of one token.
  void write_cache(const Token& t, const float* qkv, int64_t layer) {
    Element packed[LANES];
    const int64_t across = t.position / LANES * depth * LANES + t.position % LANES * GROUP;
    const int64_t along = t.position / GROUP * LANES * GROUP + t.position % GROUP;
    for (int64_t i = 0; i < s.width; i += LANES) {
      const int64_t cache = cache_of(t, i / depth);
      const int64_t from = i % depth;
      pack(packed, load(qkv + s.width + i));
      Element* key = b.keys[layer] + cache + across + from * LANES;
      for (int64_t l = 0; l < LANES; l++) key[l / GROUP * LANES * GROUP + l % GROUP] = packed[l];
      pack(packed, load(qkv + 2 * s.width + i));
      Element* content = b.contents[layer] + cache + from * n + along;
      for (int64_t l = 0; l < LANES; l++) content[l * GROUP] = packed[l];
    }
  }

  // The window whose tokens start at `first`, against positions up to its last one, in whole registers.
  void attend_window(const Tokens& tokens, int64_t first, int64_t head, int64_t layer) {
    const Token& t = tokens[first];
    const int64_t count = tokens.window[t.row];
    const int64_t end = rounded_up(t.position + count);
    const float scale = 1.0f / std::sqrt(static_cast<float>(depth));
    Element* query = &queries[head * count * depth];
    float* score = &scores[head * count * n];
    Element* share = &shares[head * count * n];
    float* result = &attended[head * count * depth];
    for (int64_t m = 0; m < count; m++)
      for (int64_t i = 0; i < depth; i += LANES)
        pack(query + m * depth + i, load(&hidden[(first + m) * 3 * s.width + head * depth + i]) * scale);
    matmul({depth, depth, end, b.keys[layer] + cache_of(t, head), nullptr}, query, count, score);
    for (int64_t m = 0; m < count; m++) softmax(score + m * end, t.position + m + 1, end, share + m * n);
    matmul({end, n, depth, b.contents[layer] + cache_of(t, head), nullptr}, share, count, result);
    for (int64_t m = 0; m < count; m++) pack(&input[(first + m) * s.width + head * depth], result + m * depth, depth);
  }

  // Over the first `seen` scores of `end`; the rest get nothing.
  static void softmax(float* score, int64_t seen, int64_t end, Element* share) {
    std::fill(score + seen, score + end, -std::numeric_limits<float>::infinity());
    Lanes most = load(score);
    for (int64_t j = LANES; j < end; j += LANES) most = load(score + j) > most ? load(score + j) : most;
    const float top = maximum(most);
    for (int64_t j = 0; j < end; j += LANES) store(score + j, exponential(load(score + j) - top));
    std::fill(score + seen, score + end, 0.0f);
    Lanes total{};
    for (int64_t j = 0; j < end; j += LANES) total += load(score + j);
    const float norm = 1.0f / sum(total);
    for (int64_t j = 0; j < end; j += LANES) pack(share + j, load(score + j) * norm);
  }

  void feed_forward(int64_t m, const BlockWeights& block) {
    normalise(block.feed_norm, m);
    caller.multiply(block.feed_in, input.data(), m, hidden.data());
    for (int64_t i = 0; i < m * s.expansion * s.width; i += LANES) pack(&input[i], gelu(load(&hidden[i])));
    add_output(block.feed_out, m);
  }

  // input = norm(x), for m tokens.
  void normalise(const Norm& norm, int64_t m) {
    for (int64_t i = 0; i < m; i++) layer_norm(norm, &x[i * s.width], s.width, &input[i * s.width]);
  }

  // x += linear(input), for m tokens.
  void add_output(const Linear& linear, int64_t m) {
    caller.multiply(linear, input.data(), m, hidden.data());
    add(hidden.data(), x.data(), m * s.width);
  }
};

}  // namespace spn
