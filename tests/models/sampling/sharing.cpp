// Products of callers at once and in turn, with a helper: the same numbers as alone, and the helper does some of them. It sleeps while
// nobody or everybody works.
// Compiled and run by test_native_code.py, also with the compiler's thread sanitizer.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "helper.hpp"

namespace {

constexpr int64_t INPUTS = 64;
constexpr int64_t OUTPUTS = 192;
constexpr int64_t ROWS = 5;
constexpr int64_t PARTS = 7;

void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

struct Layer {
  std::vector<spn::Element> weight, x;
  std::vector<float> bias, alone;
  spn::Linear linear;

  explicit Layer(int64_t seed) : weight(INPUTS * OUTPUTS), x(ROWS * INPUTS), bias(OUTPUTS), alone(ROWS * OUTPUTS) {
    const auto fill = [seed](std::vector<float>& to) {
      for (size_t i = 0; i < to.size(); i++) to[i] = static_cast<float>((i * 37 + seed * 11) % 101) / 50.0f - 1.0f;
    };
    const auto fill_packed = [&](std::vector<spn::Element>& to) {
      std::vector<float> numbers(to.size());
      fill(numbers);
      spn::pack(to.data(), numbers.data(), static_cast<int64_t>(numbers.size()));
    };
    fill_packed(weight);
    fill_packed(x);
    fill(bias);
    linear = {INPUTS, INPUTS, OUTPUTS, weight.data(), bias.data()};
    spn::matmul(linear, x.data(), ROWS, alone.data());
  }
};

// A call of `rounds` products and shared loops; returns the threads that ran the loops.
std::set<std::thread::id> call(spn::Helper& helper, int64_t seed, int64_t rounds) {
  const Layer layer(seed);
  std::vector<float> found(ROWS * OUTPUTS);
  std::set<std::thread::id> threads;
  std::mutex lock;
  spn::Caller caller(helper);
  const spn::Caller::Working working(caller);
  for (int64_t round = 0; round < rounds; round++) {
    found.assign(found.size(), 0.0f);
    caller.multiply(layer.linear, layer.x.data(), ROWS, found.data());
    if (found != layer.alone) fail("a shared product has other numbers");
    std::vector<int64_t> counts(PARTS);
    caller.share(PARTS, [&](int64_t part) {
      counts[part]++;
      const std::lock_guard guard(lock);
      threads.insert(std::this_thread::get_id());
    });
    for (const int64_t count : counts)
      if (count != 1) fail("a part was not run once");
  }
  return threads;
}

// The processor time of this process, in seconds, while the calling thread sleeps for a fifth of a second.
double spent_asleep() {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the helper falls asleep
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  return static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
}

}  // namespace

int main() {
  spn::Helper none(1);
  if (call(none, 0, 10).size() != 1) fail("there is a helper for one thread");
  spn::Helper helper(2);
  for (int64_t turn = 0; call(helper, turn, 200).size() != 2; turn++)
    if (turn == 1000) fail("the helper never helped");
  if (spent_asleep() > 0.02) fail("the helper does not sleep while nobody works");
  {
    spn::Caller one(helper), other(helper);
    const spn::Caller::Working first(one);
    const spn::Caller::Working second(other);
    if (spent_asleep() > 0.02) fail("the helper does not sleep while all threads work");
  }
  spn::Helper busy(3);
  for (int64_t turn = 0; turn < 20; turn++) {
    std::vector<std::thread> callers;
    for (int64_t i = 0; i < 4; i++) callers.emplace_back([&busy, i] { call(busy, i, 20); });
    for (std::thread& each : callers) each.join();
  }
}
