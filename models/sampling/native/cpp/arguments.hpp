// What Python hands over when it makes an object, by name: numbers and tensors of models/sampling/native/binding.py.

#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "linear.hpp"

// One of them. A number is an int64 tensor of one.
struct Argument {
  const char *name, *dtype;
  void* data;
  int64_t count;
};

namespace spn {

inline int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

template <class T>
constexpr const char* dtype_of() {
  if (std::is_same_v<T, float>) return "float32";
  if (std::is_same_v<T, int64_t>) return "int64";
  static_assert(std::is_same_v<T, float> || std::is_same_v<T, int64_t> || std::is_same_v<T, uint16_t>);
  return "bfloat16";
}

// Each is taken once, with the size and dtype that the reader expects; what nobody takes is an error too. All throw std::invalid_argument.
class Arguments {
 public:
  Arguments(const Argument* first, int64_t count) {
    for (const Argument* each = first; each < first + count; each++)
      if (!left.emplace(each->name, *each).second) throw std::invalid_argument(std::string(each->name) + " comes twice");
  }

  int64_t number(const std::string& name) { return *take<int64_t>(name, 1); }

  template <class T>
  T* take(const std::string& name, int64_t count) {
    const Argument found = remove(name);
    if (found.count != count || found.dtype != std::string(dtype_of<T>())) refuse(found, std::to_string(count) + " of " + dtype_of<T>());
    return static_cast<T*>(found.data);
  }

  // Float32 memory that the code lays out its own way: room for at least so many.
  template <class T>
  T* memory(const std::string& name, int64_t count) {
    const Argument found = remove(name);
    if (found.count < count || found.dtype != std::string("float32")) refuse(found, "at least " + std::to_string(count) + " of float32");
    return static_cast<T*>(found.data);
  }

  Linear linear(const std::string& name, int64_t inputs, int64_t outputs) {
    const int64_t pitch = whole(inputs), rows = whole(outputs);
    const Element* weight = take<Element>(name + ".weight", rows * pitch);
    return {pitch, pitch, rows, weight, take<float>(name + ".bias", rows)};
  }

  Norm norm(const std::string& name, int64_t width) {
    const float* weight = take<float>(name + ".weight", width);
    return {weight, take<float>(name + ".bias", width)};
  }

  void finish() const {
    if (left.empty()) return;
    std::string names;
    for (const auto& each : left) names += (names.empty() ? "" : ", ") + each.first;
    throw std::invalid_argument("no use for " + names);
  }

 private:
  std::map<std::string, Argument> left;

  Argument remove(const std::string& name) {
    const auto at = left.find(name);
    if (at == left.end()) throw std::invalid_argument(name + " is missing");
    const Argument found = at->second;
    left.erase(at);
    return found;
  }

  [[noreturn]] static void refuse(const Argument& found, const std::string& expected) {
    throw std::invalid_argument(std::string(found.name) + ": expected " + expected + ", got " + std::to_string(found.count) + " of " + found.dtype);
  }
};

}  // namespace spn
