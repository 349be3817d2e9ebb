#include "agent/logs/rate_gate.h"

#include <algorithm>
#include <utility>

namespace muster::agent {

bool TokenBucket::Holds(std::int64_t tokens, Instant now) const {
  return TimeFor(tokens) <= std::min(now - empty_at_, kRateStock);
}

void TokenBucket::Take(std::int64_t tokens, Instant now) {
  empty_at_ = std::max(empty_at_, now - kRateStock) + TimeFor(tokens);
}

bool RateGate::Admit(std::int64_t bytes, std::int64_t time_ns, Instant now) {
  if (!refused_.has_value()) {
    if (lines_.Holds(1, now) && bytes_.Holds(bytes, now) && host_->Holds(bytes, now)) {
      lines_.Take(1, now);
      bytes_.Take(bytes, now);
      host_->Take(bytes, now);
      return true;
    }
    refused_ = RefusedLines{.lines = 0, .from_ns = time_ns, .to_ns = time_ns};
    refused_at_ = now;
  }
  ++refused_->lines;
  refused_->from_ns = std::min(refused_->from_ns, time_ns);
  refused_->to_ns = std::max(refused_->to_ns, time_ns);
  return false;
}

std::optional<RefusedLines> RateGate::TakeRefused(Instant now) {
  const std::optional<Instant> due = DueAt();
  if (!due.has_value() || now < *due) return std::nullopt;
  return Finish();
}

std::optional<Instant> RateGate::DueAt() const {
  if (!refused_.has_value()) return std::nullopt;
  return refused_at_ + kMarkerInterval;
}

std::optional<RefusedLines> RateGate::Finish() { return std::exchange(refused_, std::nullopt); }

}  // namespace muster::agent
