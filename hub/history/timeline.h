// Facts with `from` and `to`, asked by time: the one that holds is the latest begun that has not ended. Building sorts
// once; asking is a binary search for facts that do not overlap, which is how all of ours are written. Values only.
#ifndef MUSTER_HUB_HISTORY_TIMELINE_H_
#define MUSTER_HUB_HISTORY_TIMELINE_H_

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace muster::hub {

template <typename Fact>
class Timeline {
 public:
  explicit Timeline(std::vector<Fact> facts) : facts_(std::move(facts)) {
    std::stable_sort(facts_.begin(), facts_.end(), [](const Fact& a, const Fact& b) { return a.from < b.from; });
    absl::Time latest = absl::InfinitePast();
    for (const Fact& fact : facts_) latest_end_.push_back(latest = std::max(latest, fact.to));
  }

  // What holds at `time`; null: nothing does.
  const Fact* At(absl::Time time) const {
    const auto later = std::upper_bound(facts_.begin(), facts_.end(), time,
                                        [](absl::Time wanted, const Fact& fact) { return wanted < fact.from; });
    for (auto i = later - facts_.begin(); i > 0 && latest_end_[i - 1] > time; --i) {
      if (facts_[i - 1].to > time) return &facts_[i - 1];
    }
    return nullptr;
  }

  // The last end in (after, by]; absent: nothing ends there.
  std::optional<absl::Time> LastEndIn(absl::Time after, absl::Time by) const {
    std::optional<absl::Time> last;
    const auto later = std::lower_bound(facts_.begin(), facts_.end(), by,
                                        [](const Fact& fact, absl::Time wanted) { return fact.from < wanted; });
    for (auto i = later - facts_.begin(); i > 0 && latest_end_[i - 1] > after; --i) {
      const absl::Time end = facts_[i - 1].to;
      if (end > after && end <= by) last = std::max(last.value_or(end), end);
    }
    return last;
  }

  // By their beginnings.
  const std::vector<Fact>& facts() const { return facts_; }

 private:
  std::vector<Fact> facts_;
  // Of each fact and those before it.
  std::vector<absl::Time> latest_end_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HISTORY_TIMELINE_H_
