// Passes over packed tokens: models/sampling/passes.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "head.hpp"
#include "layers.hpp"

namespace spn {

constexpr float PACE_STEP = SPN_PACE_STEP;

class Passes {
 public:
  Passes(Arguments a, Helper& helper)
      : s(a), weights(s, a), b(s, a), caller(helper), layers(s, weights, b, caller), head(s, weights, b, caller), n(s.positions()) {
    a.finish();
  }

  // The parts refer to each other, so the object stays where it is.
  Passes(const Passes&) = delete;
  Passes& operator=(const Passes&) = delete;

  // Passes of about `budget` tokens until every row is final; returns how many.
  int64_t run(int64_t budget) {
    const Caller::Working working(caller);
    int64_t count = 0;
    while (pass(budget)) count++;
    return count;
  }

 private:
  DecoderShape s;
  DecoderWeights weights;
  Board b;
  Caller caller;
  Layers layers;
  Head head;
  int64_t n;                     // N
  Tokens tokens;
  std::vector<int64_t> guesses;  // (M, C) of the conditional tokens

  // Advances every unfinished row by at least one pixel; returns whether there was one.
  bool pass(int64_t budget) {
    deal(budget);
    if (tokens.all.empty()) return false;
    for (int64_t m = 0; m < tokens.conditional; m++) forecast(tokens[m]);
    remember_guesses();
    add_twins();
    accept(head.sample(tokens, layers.run(tokens)));
    return true;
  }

  // models.sampling.deal.deal_by_pace: a token for each unfinished row, and the rest in proportion to pace.
  void deal(int64_t budget) {
    tokens.all.clear();
    tokens.window.assign(s.rows, 0);
    double pace = 0;
    int64_t busy = 0;
    for (int64_t row = 0; row < s.rows; row++) {
      if (b.front[row] >= n) continue;
      busy++;
      pace += b.pace[row];
    }
    const double spare = static_cast<double>(std::max<int64_t>(budget - busy, 0));
    for (int64_t row = 0; row < s.rows; row++) {
      if (b.front[row] >= n) continue;
      const double share = spare * b.pace[row] / std::max(pace, 1.0);  // exact for a row alone: it has all of them
      tokens.window[row] = std::min(1 + static_cast<int64_t>(share), n - b.front[row]);
      for (int64_t i = 0; i < tokens.window[row]; i++) tokens.all.push_back(token(row, 0, b.front[row] + i));
    }
    tokens.conditional = tokens.count();
  }

  Token token(int64_t row, int64_t side, int64_t position) const {
    const int64_t lane = row * s.lanes + side;
    const int64_t own = b.own[position];
    return {row, lane, position, lane * n + position, lane * s.slots() + own, row * s.slots() + own};
  }

  // Gives the tokens of guided rows a twin in the row's second lane.
  void add_twins() {
    tokens.twins.clear();
    for (int64_t m = 0; m < tokens.conditional; m++) {
      if (b.guidance[tokens[m].row] == 1.0f) continue;
      tokens.twins.push_back(m);
      tokens.all.push_back(token(tokens[m].row, 1, tokens[m].position));
    }
  }

  int64_t* value(int64_t slot) { return b.values + slot * s.channels; }
  int64_t* value(const Token& t, int64_t position) { return value(t.row * s.slots() + b.own[position]); }

  // The guess for a position that no pass has sampled: the mean of its known neighbours in the image, else the pixel above,
  // else the last pixel with a value.
  void forecast(const Token& t) {
    const int64_t seen = b.seen[t.row];
    if (t.position < seen) return;
    const int64_t* offset = b.offset + t.at * s.channels;
    const int64_t* around = b.forecasts + (t.at * IMAGE_FORECASTS + IMAGE_FORECASTS - 1) * s.channels;
    const int64_t above = t.position - s.side;
    const int64_t* guess = seen > 0 ? value(t, seen - 1) : offset;
    if (above >= 0 && above < seen) guess = value(t, above);
    for (int64_t c = 0; c < s.channels; c++) {
      const int64_t symbol = (around[c] == ABSENT ? guess[c] : around[c]) - offset[c];
      value(t.slot)[c] = offset[c] + std::clamp<int64_t>(symbol, 0, s.symbols - 1);
    }
  }

  void remember_guesses() {
    guesses.resize(tokens.conditional * s.channels);
    for (int64_t m = 0; m < tokens.conditional; m++) std::copy_n(value(tokens[m].slot), s.channels, &guesses[m * s.channels]);
  }

  // In each window the samples up to and including the first one that differs from its guess are final.
  void accept(const std::vector<int64_t>& samples) {
    for (int64_t first = 0; first < tokens.conditional;) {
      const int64_t row = tokens[first].row;
      const int64_t length = tokens.window[row];
      int64_t accepted = length;
      for (int64_t i = length; i-- > 0;) {
        const int64_t* sample = &samples[(first + i) * s.channels];
        if (!std::equal(sample, sample + s.channels, &guesses[(first + i) * s.channels])) accepted = i + 1;
        std::copy_n(sample, s.channels, value(tokens[first + i].slot));
      }
      b.pace[row] += (static_cast<float>(accepted) - b.pace[row]) * PACE_STEP;
      b.seen[row] = std::max(b.seen[row], b.front[row] + length);
      b.front[row] += accepted;
      first += length;
    }
  }
};

}  // namespace spn
