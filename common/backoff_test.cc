#include "common/backoff.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(Backoff, DoublesItsCeilingUpToTheMaximum) {
  Backoff backoff({.initial = absl::Seconds(1), .maximum = absl::Seconds(60)}, [] { return 0.5; });
  const double expected[] = {0.5, 1, 2, 4, 8, 16, 30, 30};
  for (double seconds : expected) EXPECT_EQ(backoff.Next(), absl::Seconds(seconds));
}

TEST(Backoff, LowersTheCeilingOnce) {
  Backoff backoff({}, [] { return 1.0; });
  EXPECT_EQ(backoff.Next(absl::ZeroDuration()), absl::Seconds(1)) << "not below the first";
  EXPECT_EQ(backoff.Next(absl::Seconds(9)), absl::Seconds(2));
  EXPECT_EQ(backoff.Next(absl::Seconds(3)), absl::Seconds(3));
  EXPECT_EQ(backoff.Next(), absl::Seconds(8));
}

TEST(Backoff, StartsAgainAfterReset) {
  Backoff backoff({}, [] { return 1.0; });
  backoff.Next();
  backoff.Next();
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::Seconds(1));
}

TEST(Backoff, SystemUniformStaysInRange) {
  auto uniform = SystemUniform();
  for (int i = 0; i < 1000; ++i) {
    const double value = uniform();
    EXPECT_GE(value, 0.0);
    EXPECT_LT(value, 1.0);
  }
}

}  // namespace
}  // namespace muster
