// The slice embedder: models/embedder.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "linear.hpp"

namespace spn {

struct EmbedderShape {
  int64_t side, subscale, planes, width, blocks, gates;
};

// models.embedder.Embedder from its planes on, and the two layers of the decoder that read nothing but its output.
class Embedder {
 public:
  Embedder(const EmbedderShape& shape, Pointers p) : s(shape) {
    window = 2 * s.subscale + 1, n = s.side * s.side, across = s.side * s.subscale + s.subscale + 1;
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

}  // namespace spn
