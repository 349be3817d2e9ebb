#include "hub/history/target_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;

constexpr char kHubAway[] = "the hub was not running";
constexpr char kHubAwayAgentRan[] = "the hub was not running; the agent was";
constexpr char kLinkDown[] = "the agent was running, the link was down";

std::vector<Presence> WhereRuntimeSeen(std::vector<Presence> presence) {
  std::erase_if(presence, [](const Presence& p) { return !p.runtime_seen; });
  return presence;
}

template <typename Fact>
void AddBoundaries(const std::vector<Fact>& facts, std::vector<absl::Time>& times) {
  for (const Fact& fact : facts) {
    times.push_back(fact.from);
    times.push_back(fact.to);
  }
}

// The beginnings of segments in which nothing changes: the window's own and what lies within it.
void CutToWindow(const TimeSpan& window, std::vector<absl::Time>& times) {
  times.push_back(window.from);
  std::erase_if(times, [&](absl::Time time) { return time < window.from || time >= window.to; });
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
}

bool Alike(const TargetPeriod& a, const TargetPeriod& b) { return a.state == b.state && a.reason == b.reason; }

bool Alike(const DeploymentPeriod& a, const DeploymentPeriod& b) {
  return a.status == b.status && a.message == b.message && a.application_version == b.application_version &&
         a.revision == b.revision;
}

void BeginAt(absl::Time time, TargetPeriod& period) { period.from = time; }

// A period that begins where no change was reported is the hub's judgement.
void BeginAt(absl::Time time, DeploymentPeriod& period) {
  if (period.from != time) period.agent_time.reset();
  period.from = time;
}

// `at(time)` says what holds from each of `times` up to the next.
template <typename Period, typename At>
std::vector<Period> ComposeSegments(const std::vector<absl::Time>& times, absl::Time end, At at) {
  std::vector<Period> periods;
  for (std::size_t i = 0; i < times.size(); ++i) {
    std::optional<Period> period = at(times[i]);
    if (!period) continue;
    BeginAt(times[i], *period);
    period->to = i + 1 < times.size() ? times[i + 1] : end;
    if (!periods.empty() && periods.back().to == period->from && Alike(periods.back(), *period)) {
      periods.back().to = period->to;
    } else {
      periods.push_back(*std::move(period));
    }
  }
  return periods;
}

// The last of `changes`, which are sorted, by `time`; null: none.
const DeploymentChange* LastBy(const std::vector<DeploymentChange>& changes, absl::Time time) {
  const auto later =
      std::upper_bound(changes.begin(), changes.end(), time,
                       [](absl::Time wanted, const DeploymentChange& change) { return wanted < change.at; });
  return later == changes.begin() ? nullptr : &*std::prev(later);
}

}  // namespace

TargetHistory::TargetHistory(const HubFacts& hub, TargetFacts facts)
    : intervals_(std::move(facts.intervals)),
      silences_(std::move(facts.silences)),
      presence_(facts.presence),
      runtime_seen_(WhereRuntimeSeen(std::move(facts.presence))),
      unheard_(UnheardSpans(hub)) {}

absl::Time TargetHistory::HeardAfter(absl::Time start) const {
  const absl::Time end = start + kHubGrace;
  const auto& intervals = intervals_.facts();
  const auto next = std::lower_bound(intervals.begin(), intervals.end(), start,
                                     [](const TargetPeriod& i, absl::Time time) { return i.from < time; });
  if (next != intervals.end() && next->from < end) return next->from;
  // Nothing is stored when a connected target goes on being heard. But the agent records its presence until it is.
  const TargetPeriod* interval = intervals_.At(start);
  if (interval == nullptr || interval->state != types::TARGET_STATE_CONNECTED) return end;
  const std::optional<absl::Time> reached = presence_.LastEndIn(start, end);
  // One that was not heard is stale sooner than that.
  return reached && interval->to >= *reached + kHubGrace ? *reached : end;
}

std::vector<TimeSpan> TargetHistory::UnheardSpans(const HubFacts& hub) const {
  std::vector<TimeSpan> runs = hub.runs;
  std::sort(runs.begin(), runs.end(), [](const TimeSpan& a, const TimeSpan& b) { return a.from < b.from; });
  std::vector<TimeSpan> unheard;
  absl::Time stopped = absl::InfiniteFuture();
  for (const TimeSpan& run : runs) {
    // A grace that is not over is not judged: until then the answer is what the fleet shows.
    const bool judged = run.from + kHubGrace <= hub.now;
    unheard.push_back({.from = std::min(stopped, run.from), .to = judged ? HeardAfter(run.from) : run.from});
    stopped = unheard.size() == 1 ? run.to : std::max(stopped, run.to);
  }
  // The live fleet's own word for it: it began to listen and heard nothing until it called the target stale.
  for (const TargetPeriod& interval : intervals_.facts()) {
    if (interval.state == types::TARGET_STATE_UNKNOWN) unheard.push_back({.from = interval.from, .to = interval.to});
  }
  return unheard;
}

std::vector<absl::Time> TargetHistory::Boundaries(const TimeSpan& window) const {
  std::vector<absl::Time> times;
  AddBoundaries(intervals_.facts(), times);
  AddBoundaries(presence_.facts(), times);
  AddBoundaries(unheard_.facts(), times);
  CutToWindow(window, times);
  return times;
}

std::vector<TargetPeriod> TargetHistory::Compose(const TimeSpan& window) const {
  if (window.from >= window.to) return {};
  return ComposeSegments<TargetPeriod>(Boundaries(window), window.to, [&](absl::Time time) { return At(time); });
}

std::vector<DeploymentPeriod> TargetHistory::ComposeDeployment(std::vector<DeploymentChange> changes,
                                                               const TimeSpan& window) const {
  if (window.from >= window.to) return {};
  std::stable_sort(changes.begin(), changes.end(),
                   [](const DeploymentChange& a, const DeploymentChange& b) { return a.at < b.at; });
  std::vector<absl::Time> times = Boundaries(window);
  AddBoundaries(silences_.facts(), times);
  for (const DeploymentChange& change : changes) times.push_back(change.at);
  CutToWindow(window, times);
  return ComposeSegments<DeploymentPeriod>(times, window.to, [&](absl::Time time) -> std::optional<DeploymentPeriod> {
    const DeploymentChange* change = LastBy(changes, time);
    return change == nullptr ? std::nullopt : DeploymentAt(*change, time);
  });
}

std::optional<TargetPeriod> TargetHistory::At(absl::Time time) const {
  const TargetPeriod* interval = intervals_.At(time);
  if (interval == nullptr) return std::nullopt;
  TargetPeriod period = *interval;
  period.to = absl::InfiniteFuture();
  // Who has no session with a hub has none either while that hub does not run.
  if (period.state == types::TARGET_STATE_NOT_CONNECTED) return period;
  const Presence* presence = presence_.At(time);
  const TimeSpan* unheard = unheard_.At(time);
  const bool stale = period.state == types::TARGET_STATE_STALE;
  // Silent before and still silent after: the hub's absence changed nothing.
  const bool outlasts = stale && presence != nullptr && unheard != nullptr && interval->to > unheard->to;
  if (unheard != nullptr && !outlasts) {
    period.from = std::max(period.from, unheard->from);
    if (presence != nullptr) period.from = std::max(period.from, presence->from);
    period.state = presence != nullptr ? types::TARGET_STATE_CONNECTED : types::TARGET_STATE_UNKNOWN;
    period.reason = presence != nullptr ? kHubAwayAgentRan : kHubAway;
  } else if (stale && presence != nullptr) {
    period.reason = period.reason.empty() ? kLinkDown : fmt::format("{}; {}", period.reason, kLinkDown);
  }
  return period;
}

std::optional<DeploymentPeriod> TargetHistory::DeploymentAt(const DeploymentChange& change, absl::Time time) const {
  if (change.status == types::DEPLOYMENT_STATUS_UNSPECIFIED) return std::nullopt;
  DeploymentPeriod period{.status = change.status,
                          .from = change.at,
                          .message = change.message,
                          .application_version = change.application_version,
                          .revision = change.revision,
                          .agent_time = change.agent_time};
  if (runtime_seen_.At(time) != nullptr) return period;
  if (const TimeSpan* unheard = unheard_.At(time)) {
    return DeploymentPeriod{.status = types::DEPLOYMENT_STATUS_UNKNOWN,
                            .from = std::max(unheard->from, change.at),
                            .message = kHubAway,
                            .application_version = "",
                            .revision = "",
                            .agent_time = {}};
  }
  if (const Silence* silence = silences_.At(time)) {
    period.status = types::DEPLOYMENT_STATUS_STALE;
    period.from = std::max(silence->from, change.at);
    period.message = silence->reason;
    period.agent_time.reset();
  }
  return period;
}

}  // namespace muster::hub
