#include "agent/deployments/names.h"

#include <gtest/gtest.h>

#include "agent/present.h"
#include "common/text.h"

namespace muster::agent {
namespace {

TEST(ImageTag, TellsTheVersionFromTheImage) {
  EXPECT_EQ(ImageTag("nginx:1.25"), "1.25");
  EXPECT_EQ(ImageTag("registry:5000/team/nginx:1.25"), "1.25");
  EXPECT_EQ(ImageTag("registry:5000/team/nginx"), "latest");
  EXPECT_EQ(ImageTag("nginx"), "latest");
  EXPECT_EQ(ImageTag("nginx:1.25@sha256:0123456789abcdef0123"), "1.25");
  EXPECT_EQ(ImageTag("nginx@sha256:0123456789abcdef0123"), "0123456789ab");
  EXPECT_EQ(ImageTag("sha256:0123456789abcdef0123"), "0123456789ab");
  EXPECT_EQ(ImageTag(""), "");
  EXPECT_EQ(ImageTag(":"), "");
}

TEST(BoundedIdentity, LongNamesThatBeginAlikeStayApart) {
  EXPECT_EQ(BoundedIdentity("web"), "web");
  const std::string first = BoundedIdentity(std::string(300, 'a') + "1");
  EXPECT_LE(first.size(), kMaxIdentityBytes);
  EXPECT_NE(first, BoundedIdentity(std::string(300, 'a') + "2"));
  EXPECT_EQ(first, BoundedIdentity(std::string(300, 'a') + "1"));
  std::string umlauts;
  for (int i = 0; i < 200; ++i) umlauts += "\xC3\xBC";
  EXPECT_TRUE(IsValidUtf8(BoundedIdentity(umlauts, kMaxNameBytes)));
  EXPECT_LE(BoundedIdentity(umlauts, kMaxNameBytes).size(), kMaxNameBytes);
}

TEST(FirstLine, SkipsBlankOnesAndCuts) {
  EXPECT_EQ(FirstLine("\n \r\n refused\nagain", 100), "refused");
  EXPECT_EQ(FirstLine(" \n", 100), "");
  EXPECT_EQ(FirstLine(std::string(50, 'x'), 10).size(), 10U);
}

}  // namespace
}  // namespace muster::agent
