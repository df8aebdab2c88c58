// What a slice is told of the picture so far: visible, the planes and around of models/embedder.py, pictured of models/decoder.py.

#pragma once

#include <cstdint>
#include <vector>

#include "arguments.hpp"

namespace spn {

constexpr int64_t ABSENT = SPN_ABSENT, SLICE_FORECASTS = SPN_SLICE_FORECASTS, IMAGE_FORECASTS = SPN_IMAGE_FORECASTS;

// depth: 1 for the depth upscaler, else 0; rank: (slices), how many are drawn before each.
struct PictureShape {
  int64_t side, subscale, channels, coarse_bits, fine_bits, depth;
  const int64_t* rank;

  explicit PictureShape(Arguments& a)
      : side(a.number("side")),
        subscale(a.number("subscale")),
        channels(a.number("channels")),
        coarse_bits(a.number("coarse_bits")),
        fine_bits(a.number("fine_bits")),
        depth(a.number("depth")),
        rank(a.take<int64_t>("rank", subscale * subscale)) {}
};

// Pictures are (size, size, channels) symbols; what is hidden from slice k may hold anything.
class Picture {
 public:
  explicit Picture(const PictureShape& shape) : s(shape), size(s.side * s.subscale), middle((1 << s.fine_bits) / 2) {
    coarse_numbers = numbers(s.coarse_bits), fine_numbers = numbers(s.fine_bits), whole_numbers = numbers(s.coarse_bits + s.fine_bits);
  }

  int64_t planes() const { return 3 * s.channels + 2; }
  int64_t across() const { return size + s.subscale + 1; }

  // The picture as slice k sees it, (across, across, planes): a margin of -1 around it, 0 for what is hidden.
  void see(const uint8_t* coarse, const uint8_t* fine, int64_t k, Element* to) const {
    const Element one = whole_numbers.back(), minus_one = whole_numbers.front();
    const int64_t c = s.channels, top = k / s.subscale - s.subscale, left = k % s.subscale - s.subscale;
    for (int64_t y = top; y < top + across(); y++)
      for (int64_t x = left; x < left + across(); x++, to += planes()) {
        if (!inside(y, x)) {
          std::fill_n(to, planes(), minus_one);
          continue;
        }
        const bool drawn = earlier(y, x, k), has_coarse = s.depth || drawn, has_fine = s.depth && drawn;
        const uint8_t *high = coarse + (y * size + x) * c, *low = fine + (y * size + x) * c;
        for (int64_t i = 0; i < c; i++) {
          to[i] = has_coarse ? whole_numbers[high[i] << s.fine_bits | (has_fine ? low[i] : middle)] : Element{};
          to[c + i] = has_coarse ? coarse_numbers[high[i]] : Element{};
          to[2 * c + i] = has_fine ? fine_numbers[low[i]] : Element{};
        }
        to[3 * c] = has_coarse ? one : minus_one;
        to[3 * c + 1] = has_fine ? one : minus_one;
      }
  }

  // For each pixel of slice k three forecasts, (n, 3, channels), and its offset, (n, channels).
  void forecast(const uint8_t* coarse, const uint8_t* fine, int64_t k, int64_t* forecasts, int64_t* offset) const {
    for (int64_t y = k / s.subscale; y < size; y += s.subscale)
      for (int64_t x = k % s.subscale; x < size; x += s.subscale)
        for (int64_t c = 0; c < s.channels; c++) {
          const auto known = [&](int64_t y, int64_t x) -> int64_t {
            if (!inside(y, x) || !earlier(y, x, k)) return ABSENT;
            const int64_t at = (y * size + x) * s.channels + c;
            return s.depth ? coarse[at] << s.fine_bits | fine[at] : coarse[at];
          };
          const int64_t left = known(y, x - 1), right = known(y, x + 1), above = known(y - 1, x), below = known(y + 1, x);
          forecasts[c] = mean({left, right});
          forecasts[s.channels + c] = mean({above, below});
          forecasts[2 * s.channels + c] = mean({left, right, above, below});
          static_assert(IMAGE_FORECASTS == 3);
          *offset++ = s.depth ? coarse[(y * size + x) * s.channels + c] << s.fine_bits : 0;
          if (c + 1 == s.channels) forecasts += IMAGE_FORECASTS * s.channels;
        }
  }

 private:
  PictureShape s;
  int64_t size, middle;
  std::vector<Element> coarse_numbers, fine_numbers, whole_numbers;

  bool inside(int64_t y, int64_t x) const { return 0 <= y && y < size && 0 <= x && x < size; }
  bool earlier(int64_t y, int64_t x, int64_t k) const { return s.rank[y % s.subscale * s.subscale + x % s.subscale] < s.rank[k]; }

  // Every value of so many bits as a number in [-1, 1].
  static std::vector<Element> numbers(int64_t bits) {
    const int64_t count = int64_t{1} << bits;
    const float step = static_cast<float>(2.0 / static_cast<double>(count - 1));
    std::vector<float> plain(whole(count));
    std::vector<Element> found(plain.size());
    for (int64_t v = 0; v < count; v++) {
      const float scaled = static_cast<float>(v) * step;
      plain[v] = scaled - 1.0f;
    }
    put(found.data(), plain.data(), static_cast<int64_t>(plain.size()));
    found.resize(count);
    return found;
  }

  // Rounded mean of what is known, else ABSENT.
  static int64_t mean(std::initializer_list<int64_t> values) {
    int64_t total = 0, count = 0;
    for (const int64_t v : values)
      if (v >= 0) total += v, count++;
    return count ? (2 * total + count) / (2 * count) : ABSENT;
  }
};

}  // namespace spn
