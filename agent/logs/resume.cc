#include "agent/logs/resume.h"

#include <fmt/format.h>

#include <algorithm>

namespace muster::agent {

BeginAt ChooseBegin(const LogContainer& container, const BeginFacts& facts) {
  // What a position from before the switch stands in front of was written while it was off.
  const bool was_off = facts.switched_on.has_value() && container.created <= *facts.switched_on;
  if (was_off && facts.position_time.value_or(absl::InfinitePast()) < *facts.switched_on) return BeginAt::kSwitchedOn;
  if (facts.position_time.has_value()) return BeginAt::kPosition;
  if (facts.lost_since.has_value()) {
    return container.created <= *facts.lost_since ? BeginAt::kLostSince : BeginAt::kFirstLine;
  }
  return container.created >= facts.first_settings ? BeginAt::kFirstLine : BeginAt::kLastLines;
}

std::string LogTarget(const LogContainer& container, const LogQuery& query) {
  constexpr std::int64_t kNanos = 1'000'000'000;
  if (!container.log_path.empty()) {
    std::string target = container.log_path + "&timestamps=true";
    if (query.follow) target += "&follow=true";
    if (query.since_ns.has_value()) {
      target += "&sinceTime=" + absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(*query.since_ns / kNanos),
                                                 absl::UTCTimeZone());
    }
    if (query.tail.has_value()) target += fmt::format("&tailLines={}", *query.tail);
    return target;
  }
  std::string target =
      fmt::format("/containers/{}/logs?follow={}&stdout=1&stderr=1&timestamps=1", container.id, query.follow ? 1 : 0);
  if (query.since_ns.has_value()) {
    target += fmt::format("&since={}.{:09}", *query.since_ns / kNanos, *query.since_ns % kNanos);
  }
  return target + (query.tail.has_value() ? fmt::format("&tail={}", *query.tail) : "&tail=all");
}

std::string_view RunsPath(const LogContainer& container) {
  constexpr std::string_view kPrevious = "&previous=true";
  std::string_view path = container.log_path;
  if (path.ends_with(kPrevious)) path.remove_suffix(kPrevious.size());
  return path;
}

std::int64_t SinceNs(const LogPlace& place, absl::Time now, std::int64_t clock_us, std::string_view boot_id) {
  const std::int64_t spread_ns = absl::ToInt64Nanoseconds(kStampSpread);
  std::int64_t since = std::min(place.last.time_ns, absl::ToUnixNanos(now)) - spread_ns;
  if (place.boot_id == boot_id && !boot_id.empty()) {
    const std::int64_t set_back_ns = std::max<std::int64_t>(0, place.clock_us - clock_us) * 1000;
    since = std::min(since, place.last.time_ns - spread_ns - set_back_ns);
  } else {
    // The boot, by today's clock.
    since = std::min(since, clock_us * 1000);
  }
  for (const StreamPlace& stream : place.streams) since = std::min(since, stream.state.open_line_ns.value_or(since));
  return std::max<std::int64_t>(0, since);
}

void PlaceSearch::See(const DockerMessage& message) {
  ++messages_;
  if (exact_.has_value()) ++exact_->behind;
  if (moved_.has_value()) ++moved_->behind;
  Run& run = runs_[StreamIndex(message.stream)];
  run.is_first = run.is_first && (run.run.count == 0 || run.run.time_ns == message.time_ns);
  run.run.Add(message.time_ns);
  const bool may_be = message.stream == last_.stream && message.time_ns == last_.time_ns && run.run.count <= count_;
  if (!may_be || IdOf(message) != last_) return;
  if (run.run.count == count_) {
    exact_ = Found{.behind = 0, .count = count_};
    exact_is_first_ = run.is_first;
  } else if (run.is_first) {
    moved_ = Found{.behind = 0, .count = run.run.count};
  }
}

std::optional<PlaceSearch::Found> PlaceSearch::Finish() const {
  // A cut within the messages of L's time makes counts wrong.
  if (exact_.has_value() && !(is_cut() && exact_is_first_)) return exact_;
  if (moved_.has_value() && !is_cut()) return moved_;
  return std::nullopt;
}

Absence ProveAbsence(std::int64_t since_ns, std::optional<std::int64_t> oldest_ns) {
  return oldest_ns.has_value() && *oldest_ns < since_ns ? Absence::kLostEnd : Absence::kRotated;
}

Skipper::Skipper(const LogPlace& place)
    : is_behind_(false), is_moment_(place.is_moment), last_(place.last), count_(place.is_moment ? 0 : place.count()) {}

bool Skipper::IsNew(const DockerMessage& message) {
  if (is_behind_) return true;
#ifdef MUSTER_MUTANT_LOG_SKIP_BY_TIME  // a negative control of tests/fault
  return is_behind_ = message.time_ns > last_.time_ns;
#endif
  if (is_moment_) return is_behind_ = message.time_ns > last_.time_ns;
  if (message.stream != last_.stream) return false;
  run_.Add(message.time_ns);
  is_behind_ = run_.count == count_ && message.time_ns == last_.time_ns && IdOf(message) == last_;
  return false;
}

}  // namespace muster::agent
