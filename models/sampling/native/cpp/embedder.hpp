// The slice embedder: models/embedder.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "linear.hpp"
#include "picture.hpp"

namespace spn {

struct EmbedderShape {
  PictureShape picture;
  int64_t width, blocks, gates;

  explicit EmbedderShape(Arguments& a) : picture(a), width(a.number("width")), blocks(a.number("blocks")), gates(a.number("gates")) {}
};

// models.embedder.Embedder and the layers of the decoder that read nothing but its output.
class Embedder {
 public:
  explicit Embedder(Arguments a) : s(a), picture(s.picture), side(s.picture.side), window(2 * s.picture.subscale + 1), n(side * side) {
    first = a.linear("first", window * window * picture.planes(), s.width);
    for (int64_t i = 0; i < s.blocks; i++) {
      const std::string block = "blocks." + std::to_string(i);
      spreads.push_back(a.linear(block + ".spread", 9 * s.width, s.width));
      mixes.push_back(a.linear(block + ".mix", s.width, s.width));
    }
    norm = a.norm("last", s.width);
    condition = a.linear("condition", s.width, s.gates);
    position = a.take<float>("positions", n * s.width);
    a.finish();
    x.resize(n * s.width), wide.resize(n * s.width), in.resize(n * std::max(first.pitch, 9 * s.width));
    seen.resize(picture.across() * picture.across() * picture.planes()), grid.resize((side + 2) * (side + 2) * s.width);
  }

  // What a slice is conditioned on, into the four parts of models.decoder.Conditioning; asked (n, width).
  void run(const uint8_t* coarse, const uint8_t* fine, int64_t k, const float* asked, float* start, float* gates, int64_t* forecasts,
           int64_t* offset) {
    picture.forecast(coarse, fine, k, forecasts, offset);
    picture.see(coarse, fine, k, seen.data());
    gather(first.pitch, seen, picture.across(), picture.planes(), window, s.picture.subscale);
    product(first, in.data(), n, x.data());
    add(asked, x.data(), n * s.width);
    for (int64_t i = 0; i < s.blocks; i++) block(spreads[i], mixes[i]);
    for (int64_t m = 0; m < n; m++) {
      add(asked + m * s.width, &x[m * s.width], s.width);
      normalise(norm, &x[m * s.width], s.width, start + m * s.width);
    }
    put(in.data(), start, n * s.width);
    product(condition, in.data(), n, gates);
    add(position, start, n * s.width);
  }

 private:
  EmbedderShape s;
  Picture picture;
  int64_t side, window, n;
  Linear first, condition;
  std::vector<Linear> spreads, mixes;
  Norm norm;
  const float* position;
  std::vector<float> x, wide;
  std::vector<Element> in, seen, grid;

  // Windows of `size` x `size` of `whole`, `step` apart, one after another `pitch` apart.
  void gather(int64_t pitch, const std::vector<Element>& whole, int64_t line, int64_t depth, int64_t size, int64_t step) {
    for (int64_t m = 0; m < n; m++)
      for (int64_t y = 0; y < size; y++) {
        const Element* from = &whole[((m / side * step + y) * line + m % side * step) * depth];
        std::copy_n(from, size * depth, &in[m * pitch + y * size * depth]);
        // The padding has weights of zero; what an earlier image left there may be NaN.
        if (y + 1 == size) std::fill(&in[m * pitch] + size * size * depth, &in[m * pitch] + pitch, Element{});
      }
  }

  void block(const Linear& spread, const Linear& mix) {
    for (int64_t m = 0; m < n; m++)
      for (int64_t i = 0; i < s.width; i += LANES)
        put(&grid[((m / side + 1) * (side + 2) + m % side + 1) * s.width + i], gelu(load(&x[m * s.width + i])));
    gather(spread.pitch, grid, side + 2, s.width, 3, 1);
    product(spread, in.data(), n, wide.data());
    for (int64_t i = 0; i < n * s.width; i += LANES) put(&in[i], gelu(load(&wide[i])));
    product(mix, in.data(), n, wide.data());
    add(wide.data(), x.data(), n * s.width);
  }
};

}  // namespace spn
