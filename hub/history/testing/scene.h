// Facts and periods in seconds and as text, for tests of what is composed.
#ifndef MUSTER_HUB_HISTORY_TESTING_SCENE_H_
#define MUSTER_HUB_HISTORY_TESTING_SCENE_H_

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "hub/history/target_history.h"

namespace muster::hub {

inline constexpr int kOn = 1'000'000'000;

inline absl::Time At(std::int64_t second) {
  return second >= kOn ? absl::InfiniteFuture() : absl::FromUnixSeconds(1'800'000'000 + second);
}

inline std::string Second(absl::Time time) {
  if (time == absl::InfiniteFuture()) return "...";
  const absl::Duration since = time - At(0);
  const std::int64_t micros = absl::ToInt64Microseconds(since) % 1'000'000;
  return micros == 0 ? fmt::format("{}", absl::ToInt64Seconds(since))
                     : fmt::format("{}us", since / absl::Microseconds(1));
}

inline std::string Word(types::v1::TargetState state) {
  static const auto& words =
      *new std::map<types::v1::TargetState, std::string>{{types::v1::TARGET_STATE_NOT_CONNECTED, "none"},
                                                         {types::v1::TARGET_STATE_CONNECTED, "connected"},
                                                         {types::v1::TARGET_STATE_STALE, "stale"},
                                                         {types::v1::TARGET_STATE_UNKNOWN, "unknown"}};
  return words.at(state);
}

inline std::string Word(types::v1::DeploymentStatus status) {
  static const auto& words =
      *new std::map<types::v1::DeploymentStatus, std::string>{{types::v1::DEPLOYMENT_STATUS_RUNNING, "running"},
                                                              {types::v1::DEPLOYMENT_STATUS_ERROR, "error"},
                                                              {types::v1::DEPLOYMENT_STATUS_STALE, "stale"},
                                                              {types::v1::DEPLOYMENT_STATUS_UNKNOWN, "unknown"}};
  return words.at(status);
}

// "10-20 connected: why".
inline std::string Text(const TargetPeriod& p) {
  return fmt::format("{}-{} {}: {}", Second(p.from), Second(p.to), Word(p.state), p.reason);
}

// "10-20 error: why @7", the last being the agent's time.
inline std::string Text(const DeploymentPeriod& p) {
  const std::string agent = p.agent_time ? fmt::format(" @{}", Second(*p.agent_time)) : "";
  return fmt::format("{}-{} {}: {}{}", Second(p.from), Second(p.to), Word(p.status), p.message, agent);
}

template <typename Period>
std::vector<std::string> Texts(const std::vector<Period>& periods) {
  std::vector<std::string> texts;
  for (const Period& period : periods) texts.push_back(Text(period));
  return texts;
}

inline constexpr char kAway[] = "the hub was not running";
inline constexpr char kAgentRan[] = "the hub was not running; the agent was";
inline constexpr char kLink[] = "the agent was running, the link was down";

inline TargetPeriod Interval(types::v1::TargetState state, int from, int to, const std::string& reason = "live") {
  return {.state = state, .from = At(from), .to = At(to), .reason = reason};
}
inline DeploymentChange Change(types::v1::DeploymentStatus status, int at, const std::string& message = "m",
                               int agent = -1) {
  return {.at = At(at),
          .agent_time = agent < 0 ? std::nullopt : std::optional(At(agent)),
          .status = status,
          .message = message,
          .application_version = "",
          .revision = ""};
}
inline Silence Silent(int from, int to) { return {.from = At(from), .to = At(to), .reason = "not reported"}; }
inline Presence Ran(int from, int to, bool seen = true) {
  return {.from = At(from), .to = At(to), .runtime_seen = seen};
}

// A hub that began at 0 and ran on, and a target connected at 100; each case changes what it is about.
struct Scene {
  std::vector<TimeSpan> runs = {{.from = At(0), .to = At(kOn)}};
  TargetFacts facts = {
      .intervals = {Interval(types::v1::TARGET_STATE_CONNECTED, 100, kOn)}, .silences = {}, .presence = {}};
  std::vector<DeploymentChange> changes = {Change(types::v1::DEPLOYMENT_STATUS_RUNNING, 110, "up", 109)};
  TimeSpan window = {};
  int now = 100'000;

  void Runs(const std::vector<std::pair<int, int>>& spans) {
    runs.clear();
    for (const auto& [from, to] : spans) runs.push_back({.from = At(from), .to = At(to)});
  }
  TargetHistory History() const { return TargetHistory({.runs = runs, .now = At(now)}, facts); }
  std::vector<std::string> Target() const { return Texts(History().Compose(window)); }
  std::vector<std::string> Deployment() const { return Texts(History().ComposeDeployment(changes, window)); }
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HISTORY_TESTING_SCENE_H_
