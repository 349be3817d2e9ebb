#include "common/secret.h"

#include <gtest/gtest.h>

#include <set>

namespace muster {
namespace {

TEST(Secret, RandomOnesHaveAPrefixAndDiffer) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const Secret secret = Secret::Random(kTargetSecretPrefix);
    EXPECT_TRUE(secret.Reveal().starts_with("mst_"));
    EXPECT_EQ(secret.Reveal().size(), 47u);
    seen.insert(secret.Reveal());
  }
  EXPECT_EQ(seen.size(), 100u);
}

TEST(Secret, HashIsSha256) {
  const SecretHash hash = HashSecret("abc");
  EXPECT_EQ(ToHex(hash.data(), hash.size()), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(SameHash(hash, HashSecret("abc")));
  EXPECT_FALSE(SameHash(hash, HashSecret("abd")));
}

TEST(DerivedId, SamePartsGiveTheSameIdAndPartsDoNotRunTogether) {
  EXPECT_EQ(DerivedId("dep_", "t1", "compose/a"), DerivedId("dep_", "t1", "compose/a"));
  EXPECT_NE(DerivedId("dep_", "t1", "xcompose/a"), DerivedId("dep_", "t1x", "compose/a"));
  EXPECT_EQ(DerivedId("dep_", "a", "b").size(), 24u);
}

}  // namespace
}  // namespace muster
