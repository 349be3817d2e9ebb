#include "hub/history/timeline.h"

#include <gtest/gtest.h>

#include <string>

#include "hub/history/facts.h"

namespace muster::hub {
namespace {

absl::Time At(int second) { return absl::FromUnixSeconds(1'800'000'000 + second); }

Silence Of(int from, int to, const std::string& reason = "") {
  return {.from = At(from), .to = At(to), .reason = reason};
}

std::string ReasonAt(const Timeline<Silence>& timeline, absl::Time time) {
  const Silence* silence = timeline.At(time);
  return silence == nullptr ? "-" : silence->reason;
}

TEST(Timeline, HoldsFromItsBeginningToBeforeItsEnd) {
  const Timeline<Silence> timeline({Of(30, 40, "b"), Of(10, 20, "a")});
  EXPECT_EQ(ReasonAt(timeline, At(10) - absl::Microseconds(1)), "-");
  EXPECT_EQ(ReasonAt(timeline, At(10)), "a");
  EXPECT_EQ(ReasonAt(timeline, At(20) - absl::Microseconds(1)), "a");
  EXPECT_EQ(ReasonAt(timeline, At(20)), "-");
  EXPECT_EQ(ReasonAt(timeline, At(30)), "b");
  EXPECT_EQ(ReasonAt(timeline, absl::InfiniteFuture()), "-");
  EXPECT_EQ(ReasonAt(timeline, absl::InfinitePast()), "-");
  EXPECT_EQ(ReasonAt(Timeline<Silence>({}), At(0)), "-");
}

TEST(Timeline, OfOverlappingFactsTheLatestBegunHolds) {
  const Timeline<Silence> timeline({Of(0, 100, "long"), Of(10, 20, "a"), Of(15, 18, "b"), Of(30, 30, "empty")});
  EXPECT_EQ(ReasonAt(timeline, At(5)), "long");
  EXPECT_EQ(ReasonAt(timeline, At(12)), "a");
  EXPECT_EQ(ReasonAt(timeline, At(15)), "b");
  EXPECT_EQ(ReasonAt(timeline, At(18)), "a");
  EXPECT_EQ(ReasonAt(timeline, At(20)), "long");
  EXPECT_EQ(ReasonAt(timeline, At(30)), "long") << "what has no length never holds";
  EXPECT_EQ(ReasonAt(timeline, At(100)), "-");
}

TEST(Timeline, TellsTheLastEnd) {
  const Timeline<Silence> timeline({Of(0, 50), Of(10, 20), Of(25, 30)});
  EXPECT_EQ(timeline.LastEndIn(At(0), At(60)), At(50));
  EXPECT_EQ(timeline.LastEndIn(At(0), At(40)), At(30));
  EXPECT_EQ(timeline.LastEndIn(At(20), At(29)), std::nullopt) << "after, not at";
  EXPECT_EQ(timeline.LastEndIn(At(29), At(30)), At(30)) << "by includes";
  EXPECT_EQ(timeline.LastEndIn(At(50), At(99)), std::nullopt);
}

}  // namespace
}  // namespace muster::hub
