#include "agent/journal/presence.h"

#include <utility>

#include "common/time_format.h"

namespace muster::agent {

std::vector<v1::Record> Presence::OnTick(const Tick& tick) {
  std::vector<v1::Record> records;
  const Instant now = tick.now.monotonic;
  const bool has_paused = last_tick_.has_value() && now - *last_tick_ > kMaxTickGap;
  if (has_paused) {
    if (open_.has_value()) Close(*last_tick_, tick.now, &records);
    paused_at_ = *last_tick_;
    resumed_at_ = now;
  }
  if (tick.heard_at != heard_at_) {
    heard_at_ = tick.heard_at;
    observed_since_heard_ = true;
  }
  observed_since_heard_ = observed_since_heard_ && tick.observed;
  if (!tick.connected && !open_.has_value()) Open(tick, &records);
  if (open_.has_value()) {
    open_->observed = open_->observed && tick.observed;
    const bool is_due = now - open_->from >= kPresenceInterval;
    if (tick.connected || is_due) Close(now, tick.now, &records);
    if (!tick.connected && is_due) open_ = Span{.from = now};
  }
  last_tick_ = now;
  return records;
}

std::vector<v1::Record> Presence::Finish(Moment now) {
  std::vector<v1::Record> records;
  if (open_.has_value()) Close(now.monotonic, now, &records);
  return records;
}

void Presence::Open(const Tick& tick, std::vector<v1::Record>* records) {
  const Instant now = tick.now.monotonic;
  // After the last record, and after what the hub acknowledged.
  Instant from = closed_at_.value_or(now);
  if (tick.heard_at.has_value() && (!closed_at_.has_value() || *tick.heard_at > *closed_at_)) from = *tick.heard_at;
  if (resumed_at_.has_value() && *resumed_at_ > from) {
    if (paused_at_ > from) {
      open_ = Span{.from = from, .observed = observed_since_heard_};
      Close(paused_at_, tick.now, records);
    }
    from = *resumed_at_;
  }
  open_ = Span{.from = from, .observed = observed_since_heard_};
}

void Presence::Close(Instant until, Moment now, std::vector<v1::Record>* records) {
  const Span span = *std::exchange(open_, std::nullopt);
  closed_at_ = until;
  if (until <= span.from) return;
  // Both ends by today's wall clock, so that their difference is what the monotonic clock measured.
  const absl::Time to = now.wall - (now.monotonic - until);
  v1::Record& record = records->emplace_back();
  *record.mutable_observed_at() = ToProto(to);
  *record.mutable_presence()->mutable_from() = ToProto(to - (until - span.from));
  *record.mutable_presence()->mutable_to() = ToProto(to);
  record.mutable_presence()->set_deployments_observed(span.observed);
}

}  // namespace muster::agent
