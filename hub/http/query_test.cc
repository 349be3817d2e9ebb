#include "hub/http/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ParseQuery, TakesPairsApart) {
  EXPECT_THAT(ParseQuery(""), IsEmpty());
  EXPECT_THAT(ParseQuery("a=1&b=2"), ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_THAT(ParseQuery("collect%5B%5D=host&collect[]=jobs"),
              ElementsAre(Pair("collect[]", "host"), Pair("collect[]", "jobs")));
  EXPECT_THAT(ParseQuery("id=a+b%20c%3D%26"), ElementsAre(Pair("id", "a b c=&")));
}

TEST(ParseQuery, TakesAnyBytes) {
  EXPECT_THAT(ParseQuery("&&a&=1&"), ElementsAre(Pair("a", ""), Pair("", "1")));
  EXPECT_THAT(ParseQuery("a=%&b=%zz&c=%4"), ElementsAre(Pair("a", "%"), Pair("b", "%zz"), Pair("c", "%4")));
  EXPECT_THAT(ParseQuery("a=b=c"), ElementsAre(Pair("a", "b=c")));
}

TEST(QueryValue, IsTheFirstOfItsName) {
  EXPECT_EQ(QueryValue("id=1&id=2", "id"), "1");
  EXPECT_EQ(QueryValue("x=1", "id"), "");
}

}  // namespace
}  // namespace muster::hub
