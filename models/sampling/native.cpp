// A slice on a processor: the slice embedder, then the passes of models/sampling/passes.py until every row is drawn.
//
// Same arithmetic as the torch modules, own loops: products on packed weights (bfloat16 with float32 sums where the processor has it),
// attention over the part of a cache that a token may see, nothing computed for tokens without work. Every token goes through the same
// operations in the same order whatever shares its tile, so its result depends neither on its company nor on how many tokens a pass has.
//
// Widths are multiples of LANES; pointers come in the order of models/sampling/native.py. One thread.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#if defined(__AVX512BF16__) && !defined(FLOAT32)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t LANES = 16;
constexpr int64_t ABSENT = -1;
constexpr float PACE_STEP = 0.25f;
constexpr float EPSILON = 1e-5f;  // of torch's LayerNorm

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Integers __attribute__((vector_size(4 * LANES)));

Lanes load(const float* from) {
  Lanes x;
  std::memcpy(&x, from, sizeof x);
  return x;
}

void store(float* to, Lanes x) { std::memcpy(to, &x, sizeof x); }

Lanes spread(float x) { return x - Lanes{}; }

float sum(Lanes x) {
  float total = 0;
  for (int64_t i = 0; i < LANES; i++) total += x[i];
  return total;
}

float greatest(Lanes x) {
  float most = x[0];
  for (int64_t i = 1; i < LANES; i++) most = std::max(most, x[i]);
  return most;
}

// ---- functions, 16 numbers at once -------------------------------------------------------------------------------------------

// 2^n by its exponent bits, times a polynomial on [-ln 2 / 2, ln 2 / 2]: within two units in the last place.
Lanes exponential(Lanes x) {
  const Lanes low = spread(-87.0f), high = spread(88.0f), magic = spread(12582912.0f);
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Lanes n = (x * 1.44269504f + magic) - magic;
  const Lanes r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Lanes p = spread(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) p = p * r + c;
  p = p * r * r + r + 1.0f;
  const Integers power = (__builtin_convertvector(n, Integers) + 127) << 23;
  return p * std::bit_cast<Lanes>(power);
}

Lanes sigmoid(Lanes x) { return 1.0f / (1.0f + exponential(-x)); }

Lanes hyperbolic_tangent(Lanes x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

// x times the normal distribution function; erf by Abramowitz & Stegun 7.1.26, within 1.5e-7.
Lanes gelu(Lanes x) {
  const Lanes size = (x < 0.0f ? -x : x) * 0.70710678f;
  const Lanes t = 1.0f / (1.0f + 0.3275911f * size);
  Lanes p = spread(1.061405429f);
  for (float c : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) p = p * t + c;
  const Lanes tail = 0.5f * p * t * exponential(-size * size);
  return x * (x < 0.0f ? tail : 1.0f - tail);
}

// ---- products ----------------------------------------------------------------------------------------------------------------

#if defined(__AVX512BF16__) && !defined(FLOAT32)
constexpr int64_t GROUP = 2;  // neighbouring inputs that one instruction multiplies and adds
using Element = uint16_t;
using Weights = __m512bh;
using Spread = __m512bh;

void put(float* to, Lanes x) { store(to, x); }
void put(Element* to, Lanes x) {
  const __m256bh narrow = _mm512_cvtneps_pbh(std::bit_cast<__m512>(x));
  std::memcpy(to, &narrow, sizeof narrow);
}
Spread spread(const Element* group) {
  int32_t both;
  std::memcpy(&both, group, sizeof both);
  return std::bit_cast<Spread>(_mm512_set1_epi32(both));
}
Lanes multiply_add(Lanes total, Weights w, Spread x) {
  return std::bit_cast<Lanes>(_mm512_dpbf16_ps(std::bit_cast<__m512>(total), w, x));
}
#else
constexpr int64_t GROUP = 1;
using Element = float;
using Weights = Lanes;
using Spread = Lanes;

void put(Element* to, Lanes x) { store(to, x); }
Spread spread(const Element* group) { return spread(*group); }
Lanes multiply_add(Lanes total, Weights w, Spread x) { return total + w * x; }
#endif

void put(Element* to, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) put(to + i, load(from + i));
}

void add(const float* from, float* to, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) store(to + i, load(to + i) + load(from + i));
}

// Panels of 16 outputs, each (pitch / GROUP, 16, GROUP), of which `inputs` are used; rows of inputs are `pitch` apart too.
struct Linear {
  int64_t inputs, pitch, outputs;
  const Element* weight;
  const float* bias;
};

template <int ROWS, int PANELS>
void tile(const Linear& linear, int64_t panel, const Element* x, float* out) {
  const Element* weight = linear.weight + panel * linear.pitch * LANES;
  Lanes total[ROWS][PANELS];
  for (auto& row : total)
    for (int p = 0; p < PANELS; p++) row[p] = linear.bias ? load(linear.bias + (panel + p) * LANES) : Lanes{};
  for (int64_t i = 0; i < linear.inputs; i += GROUP) {
    Weights w[PANELS];
    for (int p = 0; p < PANELS; p++) std::memcpy(&w[p], weight + (p * linear.pitch + i) * LANES, sizeof w[p]);
    for (int r = 0; r < ROWS; r++) {
      const Spread all = spread(x + r * linear.pitch + i);
      for (int p = 0; p < PANELS; p++) total[r][p] = multiply_add(total[r][p], w[p], all);
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int p = 0; p < PANELS; p++) store(out + r * linear.outputs + (panel + p) * LANES, total[r][p]);
}

// The same panels for all rows, so that weights are fetched once.
template <int PANELS>
void stripe(const Linear& linear, int64_t panel, const Element* x, int64_t rows, float* out) {
  const auto next = [&](int64_t done) { x += done * linear.pitch, out += done * linear.outputs, rows -= done; };
  if constexpr (PANELS <= 3)
    for (; rows >= 8; next(8)) tile<8, PANELS>(linear, panel, x, out);
  for (; rows >= 4; next(4)) tile<4, PANELS>(linear, panel, x, out);
  for (; rows >= 1; next(1)) tile<1, PANELS>(linear, panel, x, out);
}

// (rows, inputs) -> (rows, outputs). Few rows take more panels at once: sums enough to keep the multipliers busy.
void product(const Linear& linear, const Element* x, int64_t rows, float* out) {
  const int64_t panels = linear.outputs / LANES;
  int64_t panel = 0;
  if (rows < 8)
    for (; panel + 6 <= panels; panel += 6) stripe<6>(linear, panel, x, rows, out);
  for (; panel + 3 <= panels; panel += 3) stripe<3>(linear, panel, x, rows, out);
  for (; panel < panels; panel++) stripe<1>(linear, panel, x, rows, out);
}

struct Norm {
  const float *weight, *bias;
};

template <class Out>
void normalise(const Norm& norm, const float* x, int64_t width, Out* out) {
  Lanes total{}, squares{};
  for (int64_t i = 0; i < width; i += LANES) total += load(x + i);
  const float mean = sum(total) / width;
  for (int64_t i = 0; i < width; i += LANES) squares += (load(x + i) - mean) * (load(x + i) - mean);
  const float scale = 1.0f / std::sqrt(sum(squares) / width + EPSILON);
  for (int64_t i = 0; i < width; i += LANES)
    put(out + i, (load(x + i) - mean) * scale * load(norm.weight + i) + load(norm.bias + i));
}

// What Python hands over, one address after another.
struct Pointers {
  const void* const* next;

  template <class T>
  T* take() {
    return static_cast<T*>(const_cast<void*>(*next++));
  }

  Linear linear(int64_t inputs, int64_t outputs) {
    const Element* weight = take<const Element>();
    return {inputs, inputs, whole(outputs), weight, take<const float>()};
  }

  Norm norm() {
    const float* weight = take<const float>();
    return {weight, take<const float>()};
  }

  static int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }
};

// ---- the slice embedder ------------------------------------------------------------------------------------------------------

struct EmbedderShape {
  int64_t side, subscale, planes, width, blocks, gates;
};

// models.embedder.Embedder from its planes on, and the two layers of the decoder that read nothing but its output.
class Embedder {
 public:
  Embedder(const EmbedderShape& shape, const void* const* pointers) : s(shape) {
    window = 2 * s.subscale + 1, n = s.side * s.side, across = s.side * s.subscale + s.subscale + 1;
    Pointers p{pointers};
    first = p.linear(Pointers::whole(window * window * s.planes), s.width);
    for (int64_t i = 0; i < s.blocks; i++) {
      spreads.push_back(p.linear(9 * s.width, s.width));
      mixes.push_back(p.linear(s.width, s.width));
    }
    norm = p.norm();
    condition = p.linear(s.width, s.gates);
    position = p.take<const float>();
    x.resize(n * s.width), wide.resize(n * s.width), in.resize(n * std::max(first.pitch, 9 * s.width));
    seen.resize(Pointers::whole(across * across * s.planes)), grid.resize((s.side + 2) * (s.side + 2) * s.width);
  }

  // planes (across, across, planes), padded to whole registers; asked (width) -> start (n, width), gates (n, gates)
  void run(const float* planes, const float* asked, float* start, float* gates) {
    put(seen.data(), planes, seen.size());
    gather(first.pitch, seen, across, s.planes, window, s.subscale);
    product(first, in.data(), n, x.data());
    for (int64_t m = 0; m < n; m++) add(asked, &x[m * s.width], s.width);
    for (int64_t i = 0; i < s.blocks; i++) block(spreads[i], mixes[i]);
    for (int64_t m = 0; m < n; m++) {
      add(asked, &x[m * s.width], s.width);
      normalise(norm, &x[m * s.width], s.width, start + m * s.width);
    }
    put(in.data(), start, n * s.width);
    product(condition, in.data(), n, gates);
    add(position, start, n * s.width);
  }

 private:
  EmbedderShape s;
  int64_t window, n, across;
  Linear first, condition;
  std::vector<Linear> spreads, mixes;
  Norm norm;
  const float* position;
  std::vector<float> x, wide;
  std::vector<Element> in, seen, grid;

  // Windows of `size` x `size` of a picture, `step` apart, one after another `pitch` apart.
  void gather(int64_t pitch, const std::vector<Element>& picture, int64_t line, int64_t depth, int64_t size, int64_t step) {
    for (int64_t m = 0; m < n; m++)
      for (int64_t y = 0; y < size; y++) {
        const Element* from = &picture[((m / s.side * step + y) * line + m % s.side * step) * depth];
        std::copy_n(from, size * depth, &in[m * pitch + y * size * depth]);
      }
  }

  void block(const Linear& spread, const Linear& mix) {
    for (int64_t m = 0; m < n; m++)
      for (int64_t i = 0; i < s.width; i += LANES)
        put(&grid[((m / s.side + 1) * (s.side + 2) + m % s.side + 1) * s.width + i], gelu(load(&x[m * s.width + i])));
    gather(spread.pitch, grid, s.side + 2, s.width, 3, 1);
    product(spread, in.data(), n, wide.data());
    for (int64_t i = 0; i < n * s.width; i += LANES) put(&in[i], gelu(load(&wide[i])));
    product(mix, in.data(), n, wide.data());
    add(wide.data(), x.data(), n * s.width);
  }
};

// ---- the decoder -------------------------------------------------------------------------------------------------------------

struct DecoderShape {
  int64_t rows, side, reach, width, heads, conv, blocks, expansion, channels, symbols, value_bits, kernels;
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
};

// models.sampling.board.Board and its Raster.
struct Board {
  const float *start, *gates;
  const int64_t *forecasts, *offset;
  const float *noise, *temperature;
  int64_t* values;
  float* pixels;
  std::vector<float*> grids;
  std::vector<Element*> keys, contents;  // a row and head: panels over positions, panels over channels
  int64_t *front, *seen;
  float* pace;
  const int64_t *own, *previous, *taps;
};

struct Token {
  int64_t row, position, place, at, own;  // at: row * positions + position; own: slot of the padded grid
};

class Passes {
 public:
  Passes(const DecoderShape& shape, const void* const* pointers) : s(shape) {
    n = s.side * s.side, slots = (s.side + s.reach) * (s.side + 2 * s.reach) + 1;
    taps = 2 * s.reach * (s.reach + 1), depth = s.width / s.heads;
    Pointers p{pointers};
    read(p);
    attach(p);
  }

  // Advances every unfinished row by at least one pixel; returns the tokens it took, 0 when all are finished.
  int64_t run(int64_t budget) {
    deal(budget);
    if (tokens.empty()) return 0;
    reserve();
    for (const Token& t : tokens) forecast(t);
    guessed.resize(tokens.size() * s.channels);
    for (size_t i = 0; i < tokens.size(); i++) copy_value(&guessed[i * s.channels], tokens[i]);
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
  std::vector<Token> tokens;
  std::vector<int64_t> window, guessed, drawn, options;
  std::vector<float> x, wide, scores, found, logits, hiddens;
  std::vector<Element> in, queries, shares;

  // -- reading what Python hands over

  void read(Pointers& p) {
    const int64_t w = s.width, c = s.conv;
    for (int64_t i = 0; i < s.channels; i++) d.tables.push_back(p.take<const float>());
    d.number = p.take<const float>(), d.number_bias = p.take<const float>();
    d.first = p.linear(taps * c, w);
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
      d.blocks.push_back(block);
    }
    d.norm = p.norm();
    d.hidden = p.linear(w, s.channels * w);
    for (int64_t i = 0; i + 1 < s.channels; i++) d.earlier.push_back(p.take<const float>());
    for (int64_t i = 0; i < s.channels; i++) d.out.push_back(p.linear(w, s.symbols * (1 + s.kernels)));
  }

  void attach(Pointers& p) {
    b.start = p.take<const float>(), b.gates = p.take<const float>();
    b.forecasts = p.take<const int64_t>(), b.offset = p.take<const int64_t>();
    b.noise = p.take<const float>(), b.temperature = p.take<const float>();
    b.values = p.take<int64_t>(), b.pixels = p.take<float>();
    for (int64_t i = 0; i < s.blocks; i++) b.grids.push_back(p.take<float>());
    for (auto* caches : {&b.keys, &b.contents})
      for (int64_t i = 0; i < s.blocks; i++) caches->push_back(p.take<Element>());
    b.front = p.take<int64_t>(), b.seen = p.take<int64_t>(), b.pace = p.take<float>();
    b.own = p.take<const int64_t>(), b.previous = p.take<const int64_t>(), b.taps = p.take<const int64_t>();
  }

  void reserve() {
    const size_t m = tokens.size(), w = s.width;
    x.resize(m * w);
    wide.resize(m * std::max<size_t>({3, static_cast<size_t>(s.expansion), 2}) * w);
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
      for (int64_t i = 0; i < window[r]; i++) {
        const int64_t position = b.front[r] + i;
        tokens.push_back({r, position, i, r * n + position, r * slots + b.own[position]});
      }
    }
  }

  int64_t* value(int64_t slot) { return b.values + slot * s.channels; }
  int64_t slot(const Token& t, int64_t position) { return t.row * slots + b.own[position]; }
  void copy_value(int64_t* to, const Token& t) { std::copy_n(value(t.own), s.channels, to); }

  // A position that no pass has drawn yet: as its known neighbours in the picture, else the pixel above, else the last with a value.
  void forecast(const Token& t) {
    const int64_t seen = b.seen[t.row];
    if (t.position < seen) return;
    const int64_t *offset = b.offset + t.at * s.channels, *near = b.forecasts + (t.at * 3 + 2) * s.channels;
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

  // Embeds the pixel before each token, then the first layer on the pixels near each.
  void embed() {
    const float unit = 2.0f / static_cast<float>((int64_t{1} << s.value_bits) - 1);
    for (const Token& t : tokens) {
      const int64_t slot = t.row * slots + b.previous[t.position];
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
    for (size_t m = 0; m < tokens.size(); m++) gather(b.pixels, tokens[m], &in[m * taps * s.conv]);
    product(d.first, in.data(), tokens.size(), x.data());
    for (size_t m = 0; m < tokens.size(); m++) add(b.start + tokens[m].at * s.width, &x[m * s.width], s.width);
  }

  void gather(const float* grid, const Token& t, Element* to) {
    for (int64_t i = 0; i < taps; i++) put(to + i * s.conv, grid + (t.row * slots + taps_of(t)[i]) * s.conv, s.conv);
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
    for (size_t m = 0; m < tokens.size(); m++) std::copy_n(&wide[m * s.conv], s.conv, grid + tokens[m].own * s.conv);
    for (size_t m = 0; m < tokens.size(); m++) {
      gather(grid, tokens[m], &in[m * inputs]);
      put(&in[m * inputs + taps * s.conv], grid + tokens[m].own * s.conv, s.conv);
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

  // Masked self-attention: the tokens of one row together, against its cache.
  void far(const Block& block, int64_t layer) {
    product(block.qkv, in.data(), tokens.size(), wide.data());
    for (size_t m = 0; m < tokens.size(); m++) remember(tokens[m], &wide[m * 3 * s.width], layer);
    for (size_t first = 0; first < tokens.size(); first += window[tokens[first].row])
      for (int64_t head = 0; head < s.heads; head++) attend(first, head, layer);
    residual(block.far_out);
  }

  int64_t cache_of(const Token& t, int64_t head) { return (t.row * s.heads + head) * n * depth; }

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
      for (size_t m = 0; m < tokens.size(); m++) {
        const int64_t symbol = draw_one(tokens[m], c, &logits[m * d.out[c].outputs]);
        drawn[m * s.channels + c] = b.offset[tokens[m].at * s.channels + c] + symbol;
        const int64_t later = (s.channels - c - 1) * w;
        if (later) add(d.earlier[c] + (symbol & (s.symbols - 1)) * later, &hiddens[m * all + (c + 1) * w], later);
      }
    }
  }

  // Plain logits and a kernel around each forecast, then Gumbel-max; ties to the lowest symbol, `symbols` if one is NaN.
  int64_t draw_one(const Token& t, int64_t c, float* logit) {
    const int64_t low = s.symbols - 1, offset = b.offset[t.at * s.channels + c];
    const auto near = [&](int64_t tap) { return value(t.row * slots + taps_of(t)[tap])[c]; };
    const int64_t over = taps - 2 * s.reach - 1, left = near(taps - 1), above = near(over), corner = near(over - 1);
    const bool three = left >= 0 && above >= 0 && corner >= 0;
    const int64_t plane = three ? std::max<int64_t>(left + above - corner, 0) : ABSENT;
    const int64_t* image = b.forecasts + t.at * 3 * s.channels + c;
    const int64_t options[] = {left, above, plane, image[0], image[s.channels], image[2 * s.channels]};
    for (int64_t k = 0; k < s.kernels; k++) {
      if (options[k] < 0) continue;
      const int64_t symbol = std::clamp<int64_t>(options[k] - offset, 0, low);
      const float* kernel = logit + (k + 1) * s.symbols;
      for (int64_t v = 0; v < s.symbols; v++) logit[v] += kernel[(v - symbol) & low];
    }
    const float* noise = b.noise + (t.at * s.channels + c) * s.symbols;
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
    for (size_t first = 0; first < tokens.size();) {
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

}  // namespace

extern "C" {

// Neighbouring inputs that share a register lane in packed weights: 2 for bfloat16, 1 for float32.
int64_t group() { return GROUP; }

void* embedder_create(const EmbedderShape* shape, const void* const* pointers) { return new Embedder(*shape, pointers); }
void embedder_destroy(void* embedder) { delete static_cast<Embedder*>(embedder); }
void embedder_run(void* embedder, const float* planes, const float* asked, float* start, float* gates) {
  static_cast<Embedder*>(embedder)->run(planes, asked, start, gates);
}

void* decoder_create(const DecoderShape* shape, const void* const* pointers) { return new Passes(*shape, pointers); }
void decoder_destroy(void* passes) { delete static_cast<Passes*>(passes); }
// Passes of about `budget` tokens until every row is finished; returns how many.
int64_t decoder_run(void* passes, int64_t budget) {
  int64_t count = 0;
  while (static_cast<Passes*>(passes)->run(budget)) count++;
  return count;
}
}
