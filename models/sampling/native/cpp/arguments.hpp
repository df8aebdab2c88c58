// What Python passes when it makes an object: numbers and tensors by name (models/sampling/native/binding.py).

#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "linear.hpp"

// A tensor. A number is an int64 tensor of one.
struct Argument {
  const char* name;
  const char* dtype;
  void* data;
  int64_t count;
};

namespace spn {

// The next multiple of a register's lanes.
inline int64_t rounded_up(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

template <class T>
constexpr const char* dtype_of() {
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, int64_t> || std::is_same_v<T, uint16_t>);
  if (std::is_same_v<T, float>) return "float32";
  if (std::is_same_v<T, int64_t>) return "int64";
  return "bfloat16";
}

// Each argument is taken once, with the size and dtype that the reader expects. Arguments that are never taken are an error
// too. All errors are std::invalid_argument.
class Arguments {
 public:
  Arguments(const Argument* first, int64_t count) {
    for (const Argument* each = first; each < first + count; each++)
      if (!remaining.emplace(each->name, *each).second) throw std::invalid_argument(std::string(each->name) + " comes twice");
  }

  int64_t number(const std::string& name) { return *take<int64_t>(name, 1); }

  template <class T>
  T* take(const std::string& name, int64_t count) {
    const Argument argument = remove(name);
    if (argument.count != count || argument.dtype != std::string(dtype_of<T>()))
      refuse(argument, std::to_string(count) + " of " + dtype_of<T>());
    return static_cast<T*>(argument.data);
  }

  // Float32 memory of at least `count` numbers, which the code lays out in its own way.
  template <class T>
  T* memory(const std::string& name, int64_t count) {
    const Argument argument = remove(name);
    if (argument.count < count || argument.dtype != std::string("float32"))
      refuse(argument, "at least " + std::to_string(count) + " of float32");
    return static_cast<T*>(argument.data);
  }

  // A packed layer: `name`.weight and `name`.bias.
  Linear linear(const std::string& name, int64_t inputs, int64_t outputs) {
    const int64_t pitch = rounded_up(inputs);
    const int64_t rows = rounded_up(outputs);
    const Element* weight = take<Element>(name + ".weight", rows * pitch);
    return {pitch, pitch, rows, weight, take<float>(name + ".bias", rows)};
  }

  Norm norm(const std::string& name, int64_t width) {
    const float* weight = take<float>(name + ".weight", width);
    return {weight, take<float>(name + ".bias", width)};
  }

  // Throws if an argument was never taken.
  void finish() const {
    if (remaining.empty()) return;
    std::string names;
    for (const auto& each : remaining) names += (names.empty() ? "" : ", ") + each.first;
    throw std::invalid_argument("no use for " + names);
  }

 private:
  std::map<std::string, Argument> remaining;

  Argument remove(const std::string& name) {
    const auto at = remaining.find(name);
    if (at == remaining.end()) throw std::invalid_argument(name + " is missing");
    const Argument argument = at->second;
    remaining.erase(at);
    return argument;
  }

  [[noreturn]] static void refuse(const Argument& argument, const std::string& expected) {
    const std::string got = std::to_string(argument.count) + " of " + argument.dtype;
    throw std::invalid_argument(std::string(argument.name) + ": expected " + expected + ", got " + got);
  }
};

}  // namespace spn
