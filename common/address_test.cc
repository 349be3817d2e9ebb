#include "common/address.h"

#include <gtest/gtest.h>

namespace muster {
namespace {

TEST(ParseHostPort, ReadsWhatFlagsWrite) {
  EXPECT_EQ(ParseHostPort(":7443")->ToString(), ":7443");
  EXPECT_EQ(ParseHostPort("127.0.0.1:0")->ToString(), "127.0.0.1:0");
  EXPECT_EQ(ParseHostPort("[::1]:8080")->host, "::1");
  EXPECT_EQ(ParseHostPort("[::1]:8080")->ToString(), "[::1]:8080");
  EXPECT_EQ(ParseHostPort("hub.example:443")->port, 443);
}

TEST(ParseHostPort, RefusesTheRest) {
  for (const char* bad : {"", "7443", ":", ":x", ":70000", ":-1", "::1:80", "[::1:80", "::1]:80", "a:80 "}) {
    EXPECT_FALSE(ParseHostPort(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace muster
