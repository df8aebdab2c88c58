// A second thread for the products of one image, while a core has nothing else to do.

#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "linear.hpp"

namespace spn {

// Tells the processor that a loop waits for memory to change.
inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// While fewer than `threads` callers are at work, the helper takes parts of the work of one of them. It sleeps while none or all are.
//
// The caller takes parts too and never waits for one that nobody has begun. It does wait for a part that the helper has begun, so give a
// process as many threads as it has cores.
class Helper {
 public:
  explicit Helper(int64_t threads) : threads(static_cast<int32_t>(threads)) {
    if (threads < 2) return;
    try {
      thread = std::thread([this] { help(); });
    } catch (const std::system_error&) {  // a limit of the system: callers work alone
    }
  }

  ~Helper() {
    if (!thread.joinable()) return;
    stopped = true;
    callers++;
    callers.notify_all();
    thread.join();
  }

  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

 private:
  friend class Caller;

  static constexpr int64_t PATIENCE = 64;  // turns of a waiting loop before the thread lets others have the core

  const int32_t threads;
  std::atomic<int32_t> callers{0};
  std::atomic<bool> taken{false};
  std::atomic<bool> stopped{false};
  // What is shared: `begun` parts of `parts` have a thread, `done` are over. `state` is round << 32 | parts << 16 | begun.
  alignas(64) std::atomic<uint64_t> state{0};
  void (*call)(const void*, int64_t) = nullptr;
  const void* work = nullptr;
  alignas(64) std::atomic<int64_t> done{0};
  std::thread thread;

  template <class Work>
  void run(int64_t parts, const Work& each) {
    call = [](const void* what, int64_t part) { (*static_cast<const Work*>(what))(part); };
    work = &each;
    done.store(0, std::memory_order_relaxed);
    const uint64_t round = (state.load(std::memory_order_relaxed) >> 32) + 1;
    state.store(round << 32 | static_cast<uint64_t>(parts) << 16, std::memory_order_release);
    while (take()) {
    }
    for (int64_t turns = 0; done.load(std::memory_order_acquire) < parts;) wait(turns);
  }

  // Runs the next part, if one is left.
  bool take() {
    uint64_t seen = state.load(std::memory_order_acquire);
    const auto left = [&] { return (seen & 0xFFFF) < (seen >> 16 & 0xFFFF); };
    while (left())
      if (state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) {
        call(work, static_cast<int64_t>(seen & 0xFFFF));
        done.fetch_add(1, std::memory_order_release);
        return true;
      }
    return false;
  }

  static void wait(int64_t& turns) {
    if (++turns % PATIENCE == 0)
      std::this_thread::yield();
    else
      relax();
  }

  void help() {
    for (int64_t turns = 0; !stopped;) {
      const int32_t now = callers.load();
      if (now == 0 || now >= threads)
        callers.wait(now);
      else if (!take())
        wait(turns);
    }
  }
};

// An object whose work can be shared, in one thread at a time.
class Caller {
 public:
  explicit Caller(Helper& with) : helper(with) {}

  // The time from the first to the last work of a call.
  class Working {
   public:
    explicit Working(Caller& of) : caller(of) { caller.count(1); }
    ~Working() {
      if (caller.helped) caller.helper.taken.store(false, std::memory_order_release);
      caller.helped = false;
      caller.count(-1);
    }

    Working(const Working&) = delete;
    Working& operator=(const Working&) = delete;

   private:
    Caller& caller;
  };

  // Runs work(0) to work(parts - 1), in any order and in two threads if the helper is free. `parts` < 2^16.
  template <class Work>
  void share(int64_t parts, const Work& work) {
    if (free())
      helper.run(parts, work);
    else
      for (int64_t part = 0; part < parts; part++) work(part);
  }

  // (rows, inputs) -> (rows, outputs)
  void multiply(const Linear& linear, const Element* x, int64_t rows, float* out) {
    const int64_t panels = linear.outputs / LANES;
    if (linear.inputs * linear.outputs * rows < WORTH || panels < FEWEST || !free()) return matmul(linear, x, rows, out);
    helper.run(2, [&](int64_t part) { matmul(linear, x, rows, out, panels * part / 2, panels * (part + 1) / 2); });
  }

 private:
  static constexpr int64_t WORTH = 1 << 13;  // products of two numbers; fewer are done before another core has noticed
  static constexpr int64_t FEWEST = 6;       // panels; of half of them a tile still has three

  Helper& helper;
  bool helped = false;  // by the helper, until the end of this call

  void count(int32_t change) {
    if (!helper.thread.joinable()) return;
    helper.callers += change;
    helper.callers.notify_all();
  }

  bool free() {
    if (!helper.thread.joinable() || helper.callers.load(std::memory_order_relaxed) >= helper.threads) return false;
    if (!helped && !helper.taken.load(std::memory_order_relaxed)) helped = !helper.taken.exchange(true, std::memory_order_acquire);
    return helped;
  }
};

}  // namespace spn
