// What a slice sees of the image: visible and the planes of models/embedder.py, image_conditioning of models/decoder.py.

#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "arguments.hpp"

namespace spn {

constexpr int64_t ABSENT = SPN_ABSENT;
constexpr int64_t SLICE_FORECASTS = SPN_SLICE_FORECASTS;
constexpr int64_t IMAGE_FORECASTS = SPN_IMAGE_FORECASTS;

struct ImageShape {
  int64_t side;         // of a slice, h = w
  int64_t subscale;     // S
  int64_t channels;     // C
  int64_t coarse_bits;
  int64_t fine_bits;
  int64_t depth;            // 1 for the depth network, else 0
  int64_t radius;           // pixels that the embedder sees on each side
  const int64_t* rank;      // (K) slices before each
  const int64_t* distance;  // (K) pixels to the nearest known one
  const int64_t* spacing;   // (K) pixels between two that the embedder sees

  explicit ImageShape(Arguments& a)
      : side(a.number("side")),
        subscale(a.number("subscale")),
        channels(a.number("channels")),
        coarse_bits(a.number("coarse_bits")),
        fine_bits(a.number("fine_bits")),
        depth(a.number("depth")),
        radius(a.number("radius")),
        rank(a.take<int64_t>("rank", subscale * subscale)),
        distance(a.take<int64_t>("distance", subscale * subscale)),
        spacing(a.take<int64_t>("spacing", subscale * subscale)) {}
};

// Images are (H, W, C) coarse and fine values. What is hidden from slice k may hold anything.
class KnownImage {
 public:
  explicit KnownImage(const ImageShape& shape)
      : s(shape),
        size(s.side * s.subscale),
        margin(s.radius * *std::max_element(s.spacing, s.spacing + s.subscale * s.subscale)),
        middle((1 << s.fine_bits) / 2),
        coarse_numbers(numbers(s.coarse_bits)),
        fine_numbers(numbers(s.fine_bits)),
        full_numbers(numbers(s.coarse_bits + s.fine_bits)) {}

  // Input planes of the embedder: best value, coarse and fine value of each channel, two flags.
  int64_t planes() const { return 3 * s.channels + 2; }
  // Height and width of the planes, with the margin that windows reach.
  int64_t across() const { return size + 2 * margin; }
  // Where in the planes the window of the first pixel of slice k begins.
  int64_t first_window(int64_t k) const {
    const int64_t before = margin - s.radius * s.spacing[k];
    return ((before + k / s.subscale) * across() + before + k % s.subscale) * planes();
  }

  // The image as slice k sees it, (across, across, planes): -1 in the margin around it, 0 for what is hidden. Only rows and
  // columns that windows read are written, so that the work of a slice does not grow with the image.
  void fill_planes(const uint8_t* coarse, const uint8_t* fine, int64_t k, Element* to) const {
    const std::vector<int64_t> rows = read(k / s.subscale, s.spacing[k]);
    const std::vector<int64_t> columns = read(k % s.subscale, s.spacing[k]);
    for (const int64_t y : rows)
      for (const int64_t x : columns) {
        const int64_t at = (y * size + x) * s.channels;
        Element* pixel = to + ((y + margin) * across() + x + margin) * planes();
        if (inside(y, x))
          fill_pixel(coarse + at, fine + at, earlier(y, x, k), pixel);
        else
          std::fill_n(pixel, planes(), full_numbers.front());
      }
  }

  // For each pixel of slice k its forecasts, (N, IMAGE_FORECASTS, C), and its offset, (N, C).
  void forecast(const uint8_t* coarse, const uint8_t* fine, int64_t k, int64_t* forecasts, int64_t* offset) const {
    static_assert(IMAGE_FORECASTS == 3);
    for (int64_t y = k / s.subscale; y < size; y += s.subscale)
      for (int64_t x = k % s.subscale; x < size; x += s.subscale) {
        for (int64_t c = 0; c < s.channels; c++) {
          const auto known = [&](int64_t y, int64_t x) -> int64_t {
            if (!inside(y, x) || !earlier(y, x, k)) return ABSENT;
            const int64_t at = (y * size + x) * s.channels + c;
            return s.depth ? coarse[at] << s.fine_bits | fine[at] : coarse[at];
          };
          const int64_t away = s.distance[k];
          const int64_t left = known(y, x - away);
          const int64_t right = known(y, x + away);
          const int64_t above = known(y - away, x);
          const int64_t below = known(y + away, x);
          forecasts[c] = mean({left, right});
          forecasts[s.channels + c] = mean({above, below});
          forecasts[2 * s.channels + c] = mean({left, right, above, below});
          offset[c] = s.depth ? coarse[(y * size + x) * s.channels + c] << s.fine_bits : 0;
        }
        forecasts += IMAGE_FORECASTS * s.channels;
        offset += s.channels;
      }
  }

 private:
  ImageShape s;
  int64_t size;                         // H = W
  int64_t margin;                       // pixels around the image
  int64_t middle;                       // of the fine values
  std::vector<Element> coarse_numbers;  // of each coarse value a number in [-1, 1]
  std::vector<Element> fine_numbers;    // of each fine value
  std::vector<Element> full_numbers;    // of each full value

  // The coordinates that windows read around the pixels first, first + S and so on, in order.
  std::vector<int64_t> read(int64_t first, int64_t spacing) const {
    std::vector<uint8_t> seen(across());
    for (int64_t centre = first; centre < size; centre += s.subscale)
      for (int64_t i = -s.radius; i <= s.radius; i++) seen[margin + centre + i * spacing] = 1;
    std::vector<int64_t> found;
    for (int64_t at = 0; at < across(); at++)
      if (seen[at]) found.push_back(at - margin);
    return found;
  }

  bool inside(int64_t y, int64_t x) const { return 0 <= y && y < size && 0 <= x && x < size; }
  bool earlier(int64_t y, int64_t x, int64_t k) const { return s.rank[y % s.subscale * s.subscale + x % s.subscale] < s.rank[k]; }

  // The planes of one pixel; `known`: its slice is generated in this stage.
  void fill_pixel(const uint8_t* coarse, const uint8_t* fine, bool known, Element* to) const {
    const Element one = full_numbers.back();
    const Element minus_one = full_numbers.front();
    const bool has_coarse = s.depth || known;
    const bool has_fine = s.depth && known;
    for (int64_t c = 0; c < s.channels; c++) {
      to[c] = has_coarse ? full_numbers[coarse[c] << s.fine_bits | (has_fine ? fine[c] : middle)] : Element{};
      to[s.channels + c] = has_coarse ? coarse_numbers[coarse[c]] : Element{};
      to[2 * s.channels + c] = has_fine ? fine_numbers[fine[c]] : Element{};
    }
    to[3 * s.channels] = has_coarse ? one : minus_one;
    to[3 * s.channels + 1] = has_fine ? one : minus_one;
  }

  // A number in [-1, 1] for each value of so many bits.
  static std::vector<Element> numbers(int64_t bits) {
    const int64_t count = int64_t{1} << bits;
    const float step = static_cast<float>(2.0 / static_cast<double>(count - 1));
    std::vector<float> plain(rounded_up(count));
    std::vector<Element> packed(plain.size());
    for (int64_t v = 0; v < count; v++) {
      const float scaled = static_cast<float>(v) * step;
      plain[v] = scaled - 1.0f;
    }
    pack(packed.data(), plain.data(), static_cast<int64_t>(plain.size()));
    packed.resize(count);
    return packed;
  }

  // The rounded mean of what is known, else ABSENT.
  static int64_t mean(std::initializer_list<int64_t> values) {
    int64_t total = 0;
    int64_t count = 0;
    for (const int64_t v : values) {
      if (v < 0) continue;
      total += v;
      count++;
    }
    return count ? (2 * total + count) / (2 * count) : ABSENT;
  }
};

}  // namespace spn
