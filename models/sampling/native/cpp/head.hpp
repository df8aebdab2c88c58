// Logits and samples of the tokens of a pass: Head of models/decoder.py, models/sampling/noise.py, models/sampling/guidance.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "board.hpp"
#include "helper.hpp"

namespace spn {

class Head {
 public:
  Head(const DecoderShape& shape, const DecoderWeights& weights, const Board& board, Caller& calling)
      : s(shape), d(weights), b(board), caller(calling) {}

  // The values that the model samples at the conditional tokens, (M, C). features: (M, D).
  const std::vector<int64_t>& sample(const Tokens& tokens, const std::vector<float>& features) {
    const int64_t all = tokens.count();
    input.resize(all * s.width);
    hiddens.resize(all * s.channels * s.width);
    logits.resize(all * d.head_out[0].outputs);
    samples.resize(tokens.conditional * s.channels);
    for (int64_t m = 0; m < all; m++) layer_norm(d.head_norm, &features[m * s.width], s.width, &input[m * s.width]);
    caller.multiply(d.head_hidden, input.data(), all, hiddens.data());
    for (int64_t c = 0; c < s.channels; c++) sample_channel(tokens, c);
    return samples;
  }

 private:
  const DecoderShape& s;
  const DecoderWeights& d;
  const Board& b;
  Caller& caller;
  std::vector<Element> input;    // (M, D)
  std::vector<float> hiddens;    // (M, C, D)
  std::vector<float> logits;     // (M, outputs): plain logits, then one kernel for each forecast, (V) each
  std::vector<int64_t> samples;  // (M, C)

  void sample_channel(const Tokens& tokens, int64_t c) {
    const Linear& out = d.head_out[c];
    for (int64_t m = 0; m < tokens.count(); m++) {
      const float* hidden = &hiddens[(m * s.channels + c) * s.width];
      for (int64_t i = 0; i < s.width; i += LANES) pack(&input[m * s.width + i], gelu(load(hidden + i)));
    }
    caller.multiply(out, input.data(), tokens.count(), logits.data());
    for (int64_t m = 0; m < tokens.count(); m++) add_kernels(tokens[m], c, &logits[m * out.outputs]);
    for (size_t i = 0; i < tokens.twins.size(); i++)
      guide(tokens.twin(i), &logits[tokens.twins[i] * out.outputs], &logits[(tokens.conditional + i) * out.outputs]);
    for (int64_t m = 0; m < tokens.conditional; m++) {
      const int64_t symbol = gumbel_max(tokens[m], c, &logits[m * out.outputs]);
      samples[m * s.channels + c] = offset_of(tokens[m], c) + symbol;
      condition_on(m, c, symbol);
    }
    for (size_t i = 0; i < tokens.twins.size(); i++) {
      const int64_t m = tokens.twins[i];
      condition_on(tokens.conditional + i, c, samples[m * s.channels + c] - offset_of(tokens[m], c));
    }
  }

  int64_t offset_of(const Token& t, int64_t c) { return b.offset[t.at * s.channels + c]; }

  // Adds a channel's symbol to the hidden values of the channels after it.
  void condition_on(int64_t m, int64_t c, int64_t symbol) {
    const int64_t later = (s.channels - c - 1) * s.width;
    if (later) add(d.head_earlier[c] + (symbol & (s.symbols - 1)) * later, &hiddens[(m * s.channels + c + 1) * s.width], later);
  }

  // models.sampling.guidance.guided, into the conditional logits.
  void guide(const Token& t, float* conditional, const float* unconditional) {
    const float strength = b.guidance[t.row];
    for (int64_t v = 0; v < s.symbols; v++) conditional[v] = unconditional[v] + strength * (conditional[v] - unconditional[v]);
  }

  // Adds the kernel of each forecast to the plain logits.
  void add_kernels(const Token& t, int64_t c, float* logit) {
    const int64_t top = s.symbols - 1;
    const int64_t offset = offset_of(t, c);
    const int64_t* image = b.forecasts + t.at * IMAGE_FORECASTS * s.channels + c;
    const int64_t left = neighbour(t, s.taps() - 1, c);
    const int64_t over = s.taps() - 2 * s.reach - 1;
    const int64_t above = neighbour(t, over, c);
    const int64_t above_left = neighbour(t, over - 1, c);
    const int64_t above_right = neighbour(t, over + 1, c);
    const bool three = left >= 0 && above >= 0 && above_left >= 0;
    const int64_t plane = three ? std::max<int64_t>(left + above - above_left, 0) : ABSENT;
    const int64_t forecasts[FORECASTS] = {left,  above,    above_left,        above_right,
                                          plane, image[0], image[s.channels], image[2 * s.channels]};
    for (int64_t k = 0; k < FORECASTS; k++) {
      if (forecasts[k] < 0) continue;
      const int64_t symbol = std::clamp<int64_t>(forecasts[k] - offset, 0, top);
      const float* kernel = logit + (k + 1) * s.symbols;
      for (int64_t v = 0; v < s.symbols; v++) logit[v] += kernel[(v - symbol) & top];
    }
  }

  // The value of a causal neighbour, ABSENT outside the slice.
  int64_t neighbour(const Token& t, int64_t tap, int64_t c) {
    const int64_t slot = t.row * s.slots() + b.taps[t.position * s.taps() + tap];
    return b.values[slot * s.channels + c];
  }

  // A sample of softmax(logits / temperature): ties to the lowest symbol, V if one is NaN.
  int64_t gumbel_max(const Token& t, int64_t c, const float* logit) {
    const float* noise = b.noise + ((t.row * s.positions() + t.position) * s.channels + c) * s.symbols;
    int64_t best = 0;
    float top = -std::numeric_limits<float>::infinity();
    bool numbers = true;
    for (int64_t v = 0; v < s.symbols; v++) {
      const float score = logit[v] / b.temperature[t.row] + noise[v];
      numbers &= score == score;
      if (score > top) {
        top = score;
        best = v;
      }
    }
    return numbers ? best : s.symbols;
  }
};

}  // namespace spn
