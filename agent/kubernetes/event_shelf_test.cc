#include "agent/kubernetes/event_shelf.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "agent/kubernetes/testing/make_objects.h"

namespace muster::agent {
namespace {

KubeEvent Event(const std::string& uid, const std::string& about, const std::string& reason, absl::Duration ago) {
  KubeEvent event;
  event.meta.uid = uid;
  event.about_uid = about;
  event.reason = reason;
  event.message = uid;
  event.last_seen = kTestNow - ago;
  return event;
}

TEST(EventShelf, KeepsTheNewestOfEachReason) {
  EventShelf shelf;
  EXPECT_TRUE(shelf.Put(Event("e1", "pod", "Unhealthy", absl::Minutes(2))));
  EXPECT_TRUE(shelf.Put(Event("e2", "pod", "Unhealthy", absl::Minutes(1))));
  EXPECT_FALSE(shelf.Put(Event("e3", "pod", "Unhealthy", absl::Minutes(3))));
  EXPECT_TRUE(shelf.Put(Event("e4", "pod", "BackOff", absl::Minutes(3))));
  EXPECT_EQ(shelf.size(), 2U);
  EXPECT_EQ(NewestWarning(shelf.About("pod"), "Unhealthy")->message, "e2");
  EXPECT_EQ(NewestWarning(shelf.About("pod"), "")->message, "e2");
  EXPECT_EQ(NewestWarning(shelf.About("pod"), "Killing"), nullptr);
  // The same event, seen again.
  EXPECT_TRUE(shelf.Put(Event("e4", "pod", "BackOff", absl::ZeroDuration())));
  EXPECT_EQ(NewestWarning(shelf.About("pod"), "")->message, "e4");
  EXPECT_EQ(shelf.Remove("e2"), "pod");
  EXPECT_EQ(shelf.Remove("e2"), "");
  EXPECT_EQ(shelf.Uids(), std::vector<std::string>{"e4"});
  shelf.Forget("pod");
  EXPECT_EQ(shelf.size(), 0U);
  EXPECT_FALSE(shelf.Put(Event("e5", "", "BackOff", absl::ZeroDuration())));
}

TEST(EventShelf, IsBoundedByObjectAndInAll) {
  EventShelf shelf;
  for (int i = 0; i < 10; ++i)
    shelf.Put(Event(fmt::format("e{}", i), "pod", fmt::format("R{}", i), absl::Minutes(10 - i)));
  EXPECT_EQ(shelf.About("pod").size(), kMaxReasonsPerObject);
  EXPECT_EQ(NewestWarning(shelf.About("pod"), "")->message, "e9");
  for (std::size_t i = 0; i < 2 * kMaxKubeEvents; ++i) {
    shelf.Put(Event(fmt::format("x{}", i), fmt::format("p{}", i), "R", absl::Hours(10) - absl::Seconds(i)));
  }
  EXPECT_LE(shelf.size(), kMaxKubeEvents);
  EXPECT_EQ(NewestWarning(shelf.About("pod"), "")->message, "e9") << "the oldest go first";
}

}  // namespace
}  // namespace muster::agent
