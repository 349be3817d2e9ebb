#include "common/backoff.h"

#include <algorithm>
#include <memory>
#include <random>
#include <utility>

namespace muster {

Backoff::Backoff(Options options, std::function<double()> uniform)
    : options_(options), uniform_(std::move(uniform)), ceiling_(options.initial) {}

absl::Duration Backoff::Next(absl::Duration at_most) {
  const absl::Duration delay = std::min(ceiling_, std::max(at_most, options_.initial)) * uniform_();
  ceiling_ = std::min(ceiling_ * 2, options_.maximum);
  return delay;
}

void Backoff::Reset() { ceiling_ = options_.initial; }

std::function<double()> SystemUniform() {
  auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
  return [engine] { return std::uniform_real_distribution<double>(0.0, 1.0)(*engine); };
}

}  // namespace muster
