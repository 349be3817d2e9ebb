// TargetHistory against a naive reading of the rules of docs/history.md, moment by moment, over random scenes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "hub/history/target_history.h"
#include "hub/history/testing/scene.h"

namespace muster::hub {
namespace {

using namespace types::v1;  // NOLINT(google-build-using-namespace): this file is about these words

// The rules once more, without any preparation.
class Naive {
 public:
  explicit Naive(const Scene& scene) : scene_(scene) {}

  std::string Target(absl::Time t) const {
    const TargetPeriod* live = Live(t);
    if (live == nullptr) return "";
    const bool ran = Covered(t, false);
    const auto unheard = Unheard(t);
    if (live->state == TARGET_STATE_NOT_CONNECTED) return "none: " + live->reason;
    const bool stale = live->state == TARGET_STATE_STALE;
    if (unheard && !(stale && ran && live->to > *unheard)) {
      return ran ? fmt::format("connected: {}", kAgentRan) : fmt::format("unknown: {}", kAway);
    }
    if (stale && ran) return fmt::format("stale: {}; {}", live->reason, kLink);
    return Word(live->state) + ": " + live->reason;
  }

  std::string Deployment(absl::Time t) const {
    const DeploymentChange* last = nullptr;
    for (const DeploymentChange& change : scene_.changes) {
      if (change.at <= t && (last == nullptr || change.at >= last->at)) last = &change;
    }
    if (last == nullptr || last->status == DEPLOYMENT_STATUS_UNSPECIFIED) return "";
    if (Covered(t, true)) return Word(last->status) + ": " + last->message;
    if (Unheard(t)) return fmt::format("unknown: {}", kAway);
    for (const Silence& silence : scene_.facts.silences) {
      if (silence.from <= t && t < silence.to) return "stale: " + silence.reason;
    }
    return Word(last->status) + ": " + last->message;
  }

 private:
  const TargetPeriod* Live(absl::Time t) const {
    for (const TargetPeriod& interval : scene_.facts.intervals) {
      if (interval.from <= t && t < interval.to) return &interval;
    }
    return nullptr;
  }
  bool Covered(absl::Time t, bool seen) const {
    for (const Presence& p : scene_.facts.presence) {
      if (p.from <= t && t < p.to && (p.runtime_seen || !seen)) return true;
    }
    return false;
  }
  bool Running(absl::Time t) const {
    bool before_first = true;
    for (const TimeSpan& run : scene_.runs) {
      if (run.from <= t && t < run.to) return true;
      before_first = before_first && t < run.from;
    }
    return before_first;
  }
  absl::Time Heard(absl::Time start) const {
    absl::Time heard = start + kHubGrace;
    for (const TargetPeriod& i : scene_.facts.intervals) {
      if (i.from >= start) heard = std::min(heard, i.from);
    }
    if (heard < start + kHubGrace) return heard;
    const TargetPeriod* live = Live(start);
    if (live == nullptr || live->state != TARGET_STATE_CONNECTED) return heard;
    absl::Time reached = start;
    for (const Presence& p : scene_.facts.presence) {
      if (p.to <= start + kHubGrace) reached = std::max(reached, p.to);
    }
    return reached > start && live->to >= reached + kHubGrace ? reached : heard;
  }
  bool Deaf(absl::Time t) const {
    if (!Running(t)) return true;
    for (const TimeSpan& run : scene_.runs) {
      if (run.from <= t && t < Heard(run.from) && run.from + kHubGrace <= At(scene_.now)) return true;
    }
    return false;
  }
  // When the target was heard, or could have been, after the start of the hub that ended its last absence by `t`.
  std::optional<absl::Time> Unheard(absl::Time t) const {
    if (!Deaf(t)) return std::nullopt;
    const auto heard = [&](absl::Time start) { return start + kHubGrace <= At(scene_.now) ? Heard(start) : start; };
    absl::Time next = absl::InfiniteFuture();
    absl::Time last = absl::InfinitePast();
    for (const TimeSpan& run : scene_.runs) {
      if (run.from > t) next = std::min(next, run.from);
      if (run.from <= t && heard(run.from) > t) last = std::max(last, run.from);
    }
    if (!Running(t)) return heard(next);
    return heard(last);
  }

  const Scene& scene_;
};

class RandomScene {
 public:
  explicit RandomScene(unsigned seed) : random_(seed) {}

  Scene Make() {
    Scene scene;
    scene.now = kEnd;
    scene.runs = Spans(Below(5), 150);
    std::erase_if(scene.runs, [](const TimeSpan& run) { return run.from == run.to; });
    if (!scene.runs.empty()) scene.runs.back().to = absl::InfiniteFuture();
    const TargetState states[] = {TARGET_STATE_NOT_CONNECTED, TARGET_STATE_CONNECTED, TARGET_STATE_STALE};
    scene.facts.intervals.clear();
    for (const TimeSpan& span : Chain(Below(6))) {
      scene.facts.intervals.push_back(
          {.state = states[Below(3)], .from = span.from, .to = span.to, .reason = Below(2) == 0 ? "a" : "b"});
    }
    for (const TimeSpan& s : Spans(Below(4), 100)) {
      scene.facts.silences.push_back({.from = s.from, .to = s.to, .reason = "s"});
    }
    for (const TimeSpan& s : Spans(Below(8), 60)) {
      scene.facts.presence.push_back({.from = s.from, .to = s.to, .runtime_seen = Below(3) > 0});
    }
    scene.changes.clear();
    const DeploymentStatus statuses[] = {DEPLOYMENT_STATUS_RUNNING, DEPLOYMENT_STATUS_ERROR,
                                         DEPLOYMENT_STATUS_UNSPECIFIED};
    for (int i = Below(8); i > 0; --i)
      scene.changes.push_back(Change(statuses[Below(3)], Below(kEnd), "m", Below(kEnd)));
    std::shuffle(scene.facts.intervals.begin(), scene.facts.intervals.end(), random_);
    std::shuffle(scene.facts.presence.begin(), scene.facts.presence.end(), random_);
    scene.window.from = At(Below(kEnd));
    scene.window.to = Below(4) == 0 ? absl::InfiniteFuture() : At(Below(kEnd));
    if (Below(4) == 0) scene.window.from = absl::InfinitePast();
    return scene;
  }

  static constexpr int kEnd = 600;

 private:
  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }

  // Anywhere, also over each other.
  std::vector<TimeSpan> Spans(int count, int longest) {
    std::vector<TimeSpan> spans;
    for (int i = 0; i < count; ++i) {
      const int from = Below(kEnd);
      spans.push_back({.from = At(from), .to = At(from + Below(longest))});
    }
    std::sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) { return a.from < b.from; });
    return spans;
  }
  // One after the other; the last may go on.
  std::vector<TimeSpan> Chain(int count) {
    std::set<int> starts;
    for (int i = 0; i < count; ++i) starts.insert(Below(kEnd));
    std::vector<TimeSpan> spans;
    for (const int start : starts) {
      if (!spans.empty()) spans.back().to = At(start);
      spans.push_back({.from = At(start), .to = Below(2) == 0 ? At(kEnd) : absl::InfiniteFuture()});
    }
    return spans;
  }

  std::mt19937 random_;
};

// What the periods say of `time`, as Naive writes it.
template <typename Period>
std::string Said(const std::vector<Period>& periods, absl::Time time) {
  for (const Period& p : periods) {
    if (p.from > time || time >= p.to) continue;
    if constexpr (std::is_same_v<Period, TargetPeriod>) {
      return Word(p.state) + ": " + p.reason;
    } else {
      return Word(p.status) + ": " + p.message;
    }
  }
  return "";
}

template <typename Period>
void ExpectWellFormed(const std::vector<Period>& periods, const TimeSpan& window) {
  for (std::size_t i = 0; i < periods.size(); ++i) {
    EXPECT_LT(periods[i].from, periods[i].to);
    EXPECT_GE(periods[i].from, window.from);
    EXPECT_LE(periods[i].to, window.to);
    if (i == 0) continue;
    EXPECT_LE(periods[i - 1].to, periods[i].from);
    const bool touch = periods[i - 1].to == periods[i].from;
    EXPECT_FALSE(touch && Said(periods, periods[i - 1].from) == Said(periods, periods[i].from)) << Text(periods[i]);
  }
}

TEST(TargetHistory, SaysAtEveryMomentWhatTheRulesSay) {
  constexpr unsigned kSeed = 20261121;
  constexpr int kScenes = 1500;
  RandomScene random(kSeed);
  for (int i = 0; i < kScenes; ++i) {
    SCOPED_TRACE(fmt::format("seed {} scene {}", kSeed, i));
    const Scene scene = random.Make();
    const TargetHistory history = scene.History();
    const auto target = history.Compose(scene.window);
    const auto deployment = history.ComposeDeployment(scene.changes, scene.window);
    ExpectWellFormed(target, scene.window);
    ExpectWellFormed(deployment, scene.window);
    const Naive naive(scene);
    for (int second = -1; second <= RandomScene::kEnd + 70; ++second) {
      for (const absl::Duration edge : {absl::ZeroDuration(), absl::Microseconds(999'999)}) {
        const absl::Time t = At(second) + edge;
        const bool inside = t >= scene.window.from && t < scene.window.to;
        ASSERT_EQ(Said(target, t), inside ? naive.Target(t) : "") << second << Second(t);
        ASSERT_EQ(Said(deployment, t), inside ? naive.Deployment(t) : "") << second << Second(t);
      }
    }
  }
}

}  // namespace
}  // namespace muster::hub
