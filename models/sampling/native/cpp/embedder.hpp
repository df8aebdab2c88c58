// The slice embedder: models/embedder.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "helper.hpp"
#include "image.hpp"

namespace spn {

struct EmbedderShape {
  ImageShape image;
  int64_t width;   // D
  int64_t blocks;  // residual convolutions
  int64_t gates;   // outputs of `condition`

  explicit EmbedderShape(Arguments& a) : image(a), width(a.number("width")), blocks(a.number("blocks")), gates(a.number("gates")) {}
};

// models.embedder.Embedder, and the layers of the decoder that read nothing but its output.
class Embedder {
 public:
  Embedder(Arguments a, Helper& helper)
      : s(a), image(s.image), caller(helper), side(s.image.side), window(2 * s.image.radius + 1), n(side * side) {
    first = a.linear("first", window * window * image.planes(), s.width);
    sums_mix = a.linear("sums.mix", 4 * s.width, s.width);
    for (int64_t i = 0; i < s.blocks; i++) {
      const std::string block = "blocks." + std::to_string(i);
      spreads.push_back(a.linear(block + ".spread", 9 * s.width, s.width));
      mixes.push_back(a.linear(block + ".mix", s.width, s.width));
    }
    last = a.norm("last", s.width);
    condition = a.linear("condition", s.width, s.gates);
    positions = a.take<float>("positions", n * s.width);
    a.finish();
    x.resize(n * s.width);
    hidden.resize(n * s.width);
    input.resize(n * std::max(first.pitch, 9 * s.width));
    planes.resize(image.across() * image.across() * image.planes());
    grid.resize((side + 2) * (side + 2) * s.width);
  }

  // Fills the four parts of models.decoder.Conditioning for slice k. context: (N, D), of Embedder.context.
  void run(const uint8_t* coarse, const uint8_t* fine, int64_t k, const float* context, float* start, float* gates, int64_t* forecasts,
           int64_t* offset) {
    const Caller::Working working(caller);
    image.forecast(coarse, fine, k, forecasts, offset);
    image.fill_planes(coarse, fine, k, planes.data());
    const Windows seen{window, s.image.spacing[k], s.image.subscale};
    by_line([&](int64_t m) {
      gather(&planes[image.first_window(k)], m, first.pitch, image.across(), image.planes(), seen);
      matmul(first, &input[m * first.pitch], side, &x[m * s.width]);
      add(context + m * s.width, &x[m * s.width], side * s.width);
    });
    directional_sums();
    for (int64_t i = 0; i < s.blocks; i++) residual_convolution(spreads[i], mixes[i]);
    by_line([&](int64_t m) {
      add(context + m * s.width, &x[m * s.width], side * s.width);
      for (int64_t i = m * s.width; i < (m + side) * s.width; i += s.width) layer_norm(last, &x[i], s.width, start + i);
      pack(&input[m * s.width], start + m * s.width, side * s.width);
      matmul(condition, &input[m * s.width], side, gates + m * s.gates);
      add(positions + m * s.width, start + m * s.width, side * s.width);
    });
  }

 private:
  EmbedderShape s;
  KnownImage image;
  Caller caller;
  int64_t side;
  int64_t window;               // of the first layer, 2 * radius + 1
  int64_t n;                    // N
  Linear first;                 // window * window * planes -> D
  Linear sums_mix;             // 4 D -> D
  std::vector<Linear> spreads;  // 9 D -> D
  std::vector<Linear> mixes;    // D -> D
  Norm last;                    // (D)
  Linear condition;             // D -> gates, of the decoder
  const float* positions;       // (N, D), of the decoder
  std::vector<float> x;         // (N, D)
  std::vector<float> hidden;    // (N, D)
  std::vector<Element> input;   // (N, inputs of a layer)
  std::vector<Element> planes;  // (across, across, planes)
  std::vector<Element> grid;    // (side + 2, side + 2, D), zero at its border

  // Windows of `size` x `size` pixels, `spacing` apart; the next window begins `stride` pixels further.
  struct Windows {
    int64_t size;
    int64_t spacing;
    int64_t stride;
  };

  // Calls f with the first position of each line of the slice; lines are shared with the helper.
  template <class F>
  void by_line(const F& f) {
    caller.share(side, [&](int64_t line) { f(line * side); });
  }

  // Writes the windows of a line of positions from `start` on to their rows of `input`, `pitch` apart. Lines of `from` have `across`
  // pixels of `depth` numbers.
  void gather(const Element* from, int64_t start, int64_t pitch, int64_t across, int64_t depth, const Windows& w) {
    const int64_t run = w.spacing == 1 ? w.size : 1;  // pixels that lie side by side
    for (int64_t m = start; m < start + side; m++) {
      Element* to = &input[m * pitch];
      const Element* corner = from + (m / side * across + m % side) * w.stride * depth;
      for (int64_t y = 0; y < w.size; y++)
        for (int64_t x = 0; x < w.size; x += run)
          to = std::copy_n(corner + (y * across + x) * w.spacing * depth, run * depth, to);
      // The padding has weights of zero; what an earlier image left there may be NaN.
      std::fill(to, &input[m * pitch] + pitch, Element{});
    }
  }

  // Sums over the positions to the left, right, above and below, the own one included, divided by the side.
  void directional_sums() {
    const float share = 1.0f / static_cast<float>(side);
    std::vector<float> total(s.width);
    for (int64_t i = 0; i < n * s.width; i += LANES) store(&hidden[i], gelu(load(&x[i])) * share);
    // The `side` positions from `start` on, `step` apart; their sums are part `part` of the inputs.
    const auto run = [&](int64_t start, int64_t step, int64_t part) {
      std::fill(total.begin(), total.end(), 0.0f);
      for (int64_t i = 0; i < side; i++) {
        const int64_t m = start + i * step;
        add(&hidden[m * s.width], total.data(), s.width);
        pack(&input[m * sums_mix.pitch + part * s.width], total.data(), s.width);
      }
    };
    for (int64_t i = 0; i < side; i++) {
      run(i * side, 1, 0);
      run((i + 1) * side - 1, -1, 1);
      run(i, side, 2);
      run(n - side + i, -side, 3);
    }
    by_line([&](int64_t m) { add_output(sums_mix, &input[m * sums_mix.pitch], m); });
  }

  void residual_convolution(const Linear& spread, const Linear& mix) {
    for (int64_t m = 0; m < n; m++) {
      Element* cell = &grid[((m / side + 1) * (side + 2) + m % side + 1) * s.width];
      for (int64_t i = 0; i < s.width; i += LANES) pack(cell + i, gelu(load(&x[m * s.width + i])));
    }
    by_line([&](int64_t m) {
      Element* line = &input[m * spread.pitch];
      gather(grid.data(), m, spread.pitch, side + 2, s.width, {3, 1, 1});
      matmul(spread, line, side, &hidden[m * s.width]);
      for (int64_t i = 0; i < side * s.width; i += LANES) pack(line + i, gelu(load(&hidden[m * s.width + i])));
      add_output(mix, line, m);
    });
  }

  // x += linear(from), for the line of positions from m on.
  void add_output(const Linear& linear, const Element* from, int64_t m) {
    matmul(linear, from, side, &hidden[m * s.width]);
    add(&hidden[m * s.width], &x[m * s.width], side * s.width);
  }
};

}  // namespace spn
