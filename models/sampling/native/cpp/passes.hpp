// Passes over packed tokens: models/sampling/passes.py.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "decoder.hpp"

namespace spn {

constexpr float PACE_STEP = SPN_PACE_STEP;

// A position of a row, in one of its lanes (models/sampling/board.py).
struct Token {
  int64_t row, lane, position;
  int64_t at, cell;  // what its lane has: lane * positions + position, and the slot of the padded grid
  int64_t own;       // the slot of its value, which the lanes of a row share
};

class Passes {
 public:
  explicit Passes(Arguments a) : s(a), d(s, a), b(s, a) {
    a.finish();
    n = s.positions(), slots = s.slots();
    taps = s.taps(), depth = s.width / s.heads;
  }

  // Advances every unfinished row by at least one pixel; returns the tokens it took, 0 when all are finished.
  int64_t run(int64_t budget) {
    deal(budget);
    if (tokens.empty()) return 0;
    for (size_t i = 0; i < leads; i++) forecast(tokens[i]);
    guessed.resize(leads * s.channels);
    for (size_t i = 0; i < leads; i++) copy_value(&guessed[i * s.channels], tokens[i]);
    shadow();
    reserve();
    embed();
    for (int64_t layer = 0; layer < s.blocks; layer++) block(layer);
    draw();
    accept();
    return static_cast<int64_t>(tokens.size());
  }

 private:
  DecoderShape s;
  Decoder d;
  Board b;
  int64_t n, slots, taps, depth;
  std::vector<Token> tokens;   // the windows of all rows, then the shadows: the same positions of guided rows in their second lane
  size_t leads;                // tokens that are no shadows
  std::vector<size_t> source;  // of each shadow the token that it shadows
  std::vector<int64_t> window, guessed, drawn;
  std::vector<float> x, wide, scores, found, logits, hiddens;
  std::vector<Element> in, queries, shares;

  void reserve() {
    const size_t m = tokens.size(), w = s.width;
    x.resize(m * w);
    wide.resize(m * std::max<size_t>(3, s.expansion) * w);
    hiddens.resize(m * s.channels * w);
    logits.resize(m * d.out[0].outputs);
    in.resize(m * std::max<size_t>((taps + 1) * s.conv, std::max<int64_t>(s.expansion, s.channels) * w));
    scores.resize(m * n);
    shares.resize(m * n);
    queries.resize(m * depth);
    found.resize(m * depth);
    drawn.resize(m * s.channels);
  }

  // -- dealing and forecasting

  // As models.sampling.parallel.deal: one token for every row that is not finished, the rest by what each has lately accepted.
  void deal(int64_t budget) {
    tokens.clear();
    window.assign(s.rows, 0);
    float weight = 0;
    int64_t busy = 0;
    for (int64_t r = 0; r < s.rows; r++)
      if (b.front[r] < n) busy++, weight += b.pace[r];
    const float spare = static_cast<float>(std::max<int64_t>(budget - busy, 0)) / std::max(weight, 1.0f);
    for (int64_t r = 0; r < s.rows; r++) {
      if (b.front[r] >= n) continue;
      window[r] = std::min(1 + static_cast<int64_t>(spare * b.pace[r]), n - b.front[r]);
      for (int64_t i = 0; i < window[r]; i++) tokens.push_back(token(r, 0, b.front[r] + i));
    }
    leads = tokens.size();
  }

  Token token(int64_t row, int64_t side, int64_t position) const {
    const int64_t lane = row * s.lanes + side, slot = b.own[position];
    return {row, lane, position, lane * n + position, lane * slots + slot, row * slots + slot};
  }

  bool guided(const Token& t) const { return b.guidance[t.row] != 1.0f; }

  void shadow() {
    source.clear();
    for (size_t m = 0; m < leads; m++)
      if (guided(tokens[m])) source.push_back(m), tokens.push_back(token(tokens[m].row, 1, tokens[m].position));
  }

  int64_t* value(int64_t slot) { return b.values + slot * s.channels; }
  int64_t slot(const Token& t, int64_t position) { return t.row * slots + b.own[position]; }
  void copy_value(int64_t* to, const Token& t) { std::copy_n(value(t.own), s.channels, to); }

  // A position that no pass has drawn yet: as its known neighbours in the picture, else the pixel above, else the last with a value.
  void forecast(const Token& t) {
    const int64_t seen = b.seen[t.row];
    if (t.position < seen) return;
    const int64_t *offset = b.offset + t.at * s.channels, *near = b.forecasts + (t.at * IMAGE_FORECASTS + 2) * s.channels;
    const int64_t above = t.position - s.side;
    const int64_t* guess = seen > 0 ? value(slot(t, seen - 1)) : offset;
    if (above >= 0 && above < seen) guess = value(slot(t, above));
    for (int64_t c = 0; c < s.channels; c++) {
      const int64_t v = near[c] == ABSENT ? guess[c] : near[c];
      value(t.own)[c] = offset[c] + std::clamp<int64_t>(v - offset[c], 0, s.symbols - 1);
    }
  }

  // -- layers

  const int64_t* taps_of(const Token& t) { return b.taps + t.position * taps; }

  // Embeds the pixel before each token, then the first layer on the pixels near each, which a shadow has in common.
  void embed() {
    const float unit = 2.0f / static_cast<float>((int64_t{1} << s.value_bits) - 1);
    for (size_t m = 0; m < leads; m++) {
      const int64_t slot = tokens[m].row * slots + b.previous[tokens[m].position];
      const int64_t* v = value(slot);
      float* pixel = b.pixels + slot * s.conv;
      const bool known = std::all_of(v, v + s.channels, [](int64_t v) { return v >= 0; });
      for (int64_t i = 0; i < s.conv; i += LANES) {
        Lanes total = load(d.number_bias + i);
        for (int64_t c = 0; known && c < s.channels; c++) {
          total += load(d.number + c * s.conv + i) * (static_cast<float>(v[c]) * unit - 1.0f);
          total += load(d.tables[c] + (v[c] & (s.symbols - 1)) * s.conv + i);
        }
        store(pixel + i, known ? total : Lanes{});
      }
    }
    for (size_t m = 0; m < leads; m++) gather(b.pixels, tokens[m].row, tokens[m], &in[m * taps * s.conv]);
    product(d.first, in.data(), leads, x.data());
    for (size_t i = 0; i < source.size(); i++) std::copy_n(&x[source[i] * s.width], s.width, &x[(leads + i) * s.width]);
    for (size_t m = 0; m < tokens.size(); m++) add(b.start + tokens[m].at * s.width, &x[m * s.width], s.width);
  }

  // The neighbours of a token in the `which`th of the padded grids.
  void gather(const float* grids, int64_t which, const Token& t, Element* to) {
    for (int64_t i = 0; i < taps; i++) put(to + i * s.conv, grids + (which * slots + taps_of(t)[i]) * s.conv, s.conv);
  }

  void normalise_all(const Norm& norm) {
    for (size_t m = 0; m < tokens.size(); m++) normalise(norm, &x[m * s.width], s.width, &in[m * s.width]);
  }

  // x += linear(in)
  void residual(const Linear& linear) {
    product(linear, in.data(), tokens.size(), wide.data());
    add(wide.data(), x.data(), tokens.size() * s.width);
  }

  void block(int64_t layer) {
    const Block& block = d.blocks[layer];
    normalise_all(block.near_norm);
    near(block, layer);
    normalise_all(block.far_norm);
    far(block, layer);
    normalise_all(block.feed_norm);
    product(block.feed_in, in.data(), tokens.size(), wide.data());
    for (size_t i = 0; i < tokens.size() * s.expansion * s.width; i += LANES) put(&in[i], gelu(load(&wide[i])));
    residual(block.feed_out);
  }

  // Masked gated convolution.
  void near(const Block& block, int64_t layer) {
    const int64_t w = s.width, inputs = (taps + 1) * s.conv;
    float* grid = b.grids[layer];
    product(block.narrow, in.data(), tokens.size(), wide.data());
    for (size_t m = 0; m < tokens.size(); m++) std::copy_n(&wide[m * s.conv], s.conv, grid + tokens[m].cell * s.conv);
    for (size_t m = 0; m < tokens.size(); m++) {
      gather(grid, tokens[m].lane, tokens[m], &in[m * inputs]);
      put(&in[m * inputs + taps * s.conv], grid + tokens[m].cell * s.conv, s.conv);
    }
    product(block.gates, in.data(), tokens.size(), wide.data());
    for (size_t m = 0; m < tokens.size(); m++) {
      const float* gate = b.gates + (tokens[m].at * s.blocks + layer) * 2 * w;
      for (int64_t i = 0; i < w; i += LANES) {
        const Lanes content = load(&wide[m * 2 * w + i]) + load(gate + i);
        const Lanes open = load(&wide[m * 2 * w + w + i]) + load(gate + w + i);
        put(&in[m * w + i], hyperbolic_tangent(content) * sigmoid(open));
      }
    }
    residual(block.near_out);
  }

  // Masked self-attention: the tokens of one lane together, against its cache.
  void far(const Block& block, int64_t layer) {
    product(block.qkv, in.data(), tokens.size(), wide.data());
    for (size_t m = 0; m < tokens.size(); m++) remember(tokens[m], &wide[m * 3 * s.width], layer);
    for (size_t first = 0; first < tokens.size(); first += window[tokens[first].row])
      for (int64_t head = 0; head < s.heads; head++) attend(first, head, layer);
    residual(block.far_out);
  }

  int64_t cache_of(const Token& t, int64_t head) { return (t.lane * s.heads + head) * n * depth; }

  void remember(const Token& t, const float* qkv, int64_t layer) {
    Element narrow[LANES];
    const int64_t across = t.position / LANES * depth * LANES + t.position % LANES * GROUP;
    const int64_t along = t.position / GROUP * LANES * GROUP + t.position % GROUP;
    for (int64_t i = 0; i < s.width; i += LANES) {
      const int64_t cache = cache_of(t, i / depth), from = i % depth;
      put(narrow, load(qkv + s.width + i));
      Element* key = b.keys[layer] + cache + across + from * LANES;
      for (int64_t l = 0; l < LANES; l++) key[l / GROUP * LANES * GROUP + l % GROUP] = narrow[l];
      put(narrow, load(qkv + 2 * s.width + i));
      Element* content = b.contents[layer] + cache + from * n + along;
      for (int64_t l = 0; l < LANES; l++) content[l * GROUP] = narrow[l];
    }
  }

  // A window's tokens from `first` on, up to the last one's position in whole registers: what lies past a token gets no share.
  void attend(size_t first, int64_t head, int64_t layer) {
    const Token& t = tokens[first];
    const int64_t count = window[t.row], end = (t.position + count + LANES - 1) / LANES * LANES;
    const float scale = 1.0f / std::sqrt(static_cast<float>(depth));
    for (int64_t m = 0; m < count; m++)
      for (int64_t i = 0; i < depth; i += LANES)
        put(&queries[m * depth + i], load(&wide[(first + m) * 3 * s.width + head * depth + i]) * scale);
    product({depth, depth, end, b.keys[layer] + cache_of(t, head), nullptr}, queries.data(), count, scores.data());
    for (int64_t m = 0; m < count; m++) softmax(&scores[m * end], t.position + m + 1, end, &shares[m * n]);
    product({end, n, depth, b.contents[layer] + cache_of(t, head), nullptr}, shares.data(), count, found.data());
    for (int64_t m = 0; m < count; m++)
      put(&in[(first + m) * s.width + head * depth], &found[m * depth], depth);
  }

  // Over the first `seen` scores of `end`, the rest get nothing.
  static void softmax(float* score, int64_t seen, int64_t end, Element* share) {
    std::fill(score + seen, score + end, -std::numeric_limits<float>::infinity());
    Lanes most = load(score), total{};
    for (int64_t j = LANES; j < end; j += LANES) most = load(score + j) > most ? load(score + j) : most;
    const float top = greatest(most);
    for (int64_t j = 0; j < end; j += LANES) store(score + j, exponential(load(score + j) - top));
    std::fill(score + seen, score + end, 0.0f);
    for (int64_t j = 0; j < end; j += LANES) total += load(score + j);
    const float norm = 1.0f / sum(total);
    for (int64_t j = 0; j < end; j += LANES) put(share + j, load(score + j) * norm);
  }

  // -- drawing

  void draw() {
    const int64_t w = s.width, all = s.channels * w;
    normalise_all(d.norm);
    product(d.hidden, in.data(), tokens.size(), hiddens.data());
    for (int64_t c = 0; c < s.channels; c++) {
      for (size_t m = 0; m < tokens.size(); m++)
        for (int64_t i = 0; i < w; i += LANES) put(&in[m * w + i], gelu(load(&hiddens[m * all + c * w + i])));
      product(d.out[c], in.data(), tokens.size(), logits.data());
      for (size_t m = 0; m < tokens.size(); m++) add_kernels(tokens[m], c, &logits[m * d.out[c].outputs]);
      for (size_t i = 0; i < source.size(); i++)
        guide(tokens[leads + i], &logits[source[i] * d.out[c].outputs], &logits[(leads + i) * d.out[c].outputs]);
      for (size_t m = 0; m < leads; m++) {
        const int64_t symbol = draw_one(tokens[m], c, &logits[m * d.out[c].outputs]);
        drawn[m * s.channels + c] = b.offset[tokens[m].at * s.channels + c] + symbol;
        tell(m, c, symbol);
      }
      for (size_t i = 0; i < source.size(); i++) {
        const size_t at = source[i] * s.channels + c;
        tell(leads + i, c, drawn[at] - b.offset[tokens[source[i]].at * s.channels + c]);
      }
    }
  }

  // Lets the channels after c know its symbol.
  void tell(size_t m, int64_t c, int64_t symbol) {
    const int64_t w = s.width, later = (s.channels - c - 1) * w;
    if (later) add(d.earlier[c] + (symbol & (s.symbols - 1)) * later, &hiddens[m * s.channels * w + (c + 1) * w], later);
  }

  // models.sampling.guidance.guided: from the logits given all controls, into these.
  void guide(const Token& t, float* given, const float* free) {
    const float strength = b.guidance[t.row];
    for (int64_t v = 0; v < s.symbols; v++) given[v] = free[v] + strength * (given[v] - free[v]);
  }

  // Adds a kernel around each forecast to plain logits.
  void add_kernels(const Token& t, int64_t c, float* logit) {
    const int64_t low = s.symbols - 1, offset = b.offset[t.at * s.channels + c];
    const auto near = [&](int64_t tap) { return value(t.row * slots + taps_of(t)[tap])[c]; };
    const int64_t over = taps - 2 * s.reach - 1, left = near(taps - 1), above = near(over), corner = near(over - 1);
    const bool three = left >= 0 && above >= 0 && corner >= 0;
    const int64_t plane = three ? std::max<int64_t>(left + above - corner, 0) : ABSENT;
    const int64_t* image = b.forecasts + t.at * IMAGE_FORECASTS * s.channels + c;
    const int64_t options[FORECASTS] = {left, above, plane, image[0], image[s.channels], image[2 * s.channels]};
    for (int64_t k = 0; k < FORECASTS; k++) {
      if (options[k] < 0) continue;
      const int64_t symbol = std::clamp<int64_t>(options[k] - offset, 0, low);
      const float* kernel = logit + (k + 1) * s.symbols;
      for (int64_t v = 0; v < s.symbols; v++) logit[v] += kernel[(v - symbol) & low];
    }
  }

  // Gumbel-max; ties to the lowest symbol, `symbols` if one is NaN.
  int64_t draw_one(const Token& t, int64_t c, const float* logit) {
    const float* noise = b.noise + ((t.row * n + t.position) * s.channels + c) * s.symbols;
    int64_t best = 0;
    float top = -std::numeric_limits<float>::infinity();
    bool numbers = true;
    for (int64_t v = 0; v < s.symbols; v++) {
      const float score = logit[v] / b.temperature[t.row] + noise[v];
      numbers &= score == score;
      if (score > top) top = score, best = v;
    }
    return numbers ? best : s.symbols;
  }

  // Of each window the draws up to and including the first that disagrees with its forecast are final.
  void accept() {
    for (size_t first = 0; first < leads;) {
      const int64_t row = tokens[first].row, length = window[row];
      int64_t accepted = length;
      for (int64_t i = length; i-- > 0;) {
        const size_t m = (first + i) * s.channels;
        if (!std::equal(&drawn[m], &drawn[m] + s.channels, &guessed[m])) accepted = i + 1;
        std::copy_n(&drawn[m], s.channels, value(tokens[first + i].own));
      }
      b.pace[row] += (static_cast<float>(accepted) - b.pace[row]) * PACE_STEP;
      b.seen[row] = std::max(b.seen[row], b.front[row] + length);
      b.front[row] += accepted;
      first += length;
    }
  }
};

}  // namespace spn
