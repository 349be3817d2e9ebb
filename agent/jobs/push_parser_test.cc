#include "agent/jobs/push_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/jobs/testing/pushes.h"
#include "common/status.h"

namespace muster::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

TEST(PushParserTest, ReadsAWholePushInPiecesOfAnySize) {
  const std::string text =
      "# a comment\n\n"
      "push backup id=run-1 ttl=25h period=1d success\r\n"
      "counter backup_bytes_total{disk=\"a\", site=\"b\\\"\\\\\\nc d\"} 1048576\n"
      "gauge\tbackup_files -3.5\n"
      "histogram backup_seconds{} 0.5 12.5\n"
      "buckets backup_seconds 1 5 15\n"
      "help backup_seconds How long it took\n"
      "unit backup_seconds seconds\n"
      "end\nping\ndelete backup\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, text.size()}) {
    const std::vector<PushRequest> requests = ParseAll(text, piece);
    ASSERT_EQ(requests.size(), 3u);
    const Push& push = requests[0].push;
    EXPECT_EQ(push.group, "backup");
    EXPECT_EQ(push.id, "run-1");
    EXPECT_EQ(push.time_to_live, absl::Hours(25));
    EXPECT_EQ(push.period, absl::Hours(24));
    EXPECT_EQ(push.result, RunResult::kSuccess);
    ASSERT_EQ(push.samples.size(), 3u);
    EXPECT_EQ(push.samples[0].type, v1::JOB_METRIC_TYPE_COUNTER);
    EXPECT_THAT(push.samples[0].labels, ElementsAre(Pair("disk", "a"), Pair("site", "b\"\\\nc d")));
    EXPECT_THAT(push.samples[0].numbers, ElementsAre(1048576));
    EXPECT_THAT(push.samples[1].numbers, ElementsAre(-3.5));
    EXPECT_THAT(push.samples[2].numbers, ElementsAre(0.5, 12.5));
    ASSERT_EQ(push.declarations.size(), 3u);
    EXPECT_THAT(push.declarations[0].buckets, ElementsAre(1, 5, 15));
    EXPECT_EQ(push.declarations[1].help, "How long it took");
    EXPECT_EQ(push.declarations[2].unit, "seconds");
    EXPECT_EQ(requests[1].kind, PushRequest::Kind::kPing);
    EXPECT_TRUE(requests[2].push.is_deletion);
  }
}

struct Refused {
  std::string statement;
  std::string reason;
  std::string sentence;
};

class PushParserRefusalTest : public testing::TestWithParam<Refused> {};

TEST_P(PushParserRefusalTest, SaysWhyAndGoesOnBehindTheEnd) {
  const std::vector<PushRequest> requests =
      ParseAll("push g\n" + GetParam().statement + "\ngauge fine 1\nend\npush h\nend\n");
  ASSERT_EQ(requests.size(), 2u) << GetParam().statement;
  EXPECT_EQ(requests[0].kind, PushRequest::Kind::kRefused);
  EXPECT_EQ(requests[0].push.group, "g");
  EXPECT_EQ(ReasonOf(requests[0].error), GetParam().reason) << MessageOf(requests[0].error);
  EXPECT_THAT(MessageOf(requests[0].error), HasSubstr(GetParam().sentence));
  EXPECT_THAT(MessageOf(requests[0].error), HasSubstr("line 2"));
  EXPECT_EQ(requests[1].push.group, "h");
}

INSTANTIATE_TEST_SUITE_P(
    Statements, PushParserRefusalTest,
    testing::Values(
        Refused{"counter a_total NaN", "BAD_VALUE", "NaN"}, Refused{"gauge a nan", "BAD_VALUE", "NaN"},
        Refused{"counter a_total -1", "BAD_VALUE", "does not go down"},
        Refused{"counter a_total +Inf", "BAD_VALUE", "infinite"},
        Refused{"counter a_total 1e999", "BAD_VALUE", "beyond"}, Refused{"histogram a 1 inf", "BAD_VALUE", "infinite"},
        Refused{"counter a", "BAD_PUSH", "no number"}, Refused{"counter a_total 1 2", "BAD_PUSH", "more than one"},
        Refused{"counter a_total 1x", "BAD_PUSH", "1x"}, Refused{"counter a_total +-1", "BAD_PUSH", "not a number"},
        Refused{"count a 1", "BAD_PUSH", "\"count\""}, Refused{"ping", "BAD_PUSH", "ping"},
        Refused{"counter 1a 1", "BAD_NAME", "1a"}, Refused{"counter a-b 1", "BAD_NAME", "a-b"},
        Refused{"gauge up 1", "BAD_NAME", "taken"}, Refused{"gauge distr_x 1", "BAD_NAME", "taken"},
        Refused{"gauge process_x 1", "BAD_NAME", "taken"}, Refused{"gauge muster_x 1", "BAD_NAME", "taken"},
        Refused{"gauge scrape_x 1", "BAD_NAME", "taken"}, Refused{"counter a_total{__b=\"\"} 1", "BAD_NAME", "__b"},
        Refused{"counter a_total{le=\"1\"} 1", "BAD_NAME", "le"},
        Refused{"counter a_total{job=\"1\"} 1", "BAD_NAME", "job"},
        Refused{"counter a_total{b:c=\"1\"} 1", "BAD_NAME", "b:c"},
        Refused{"counter a_total{b=\"1\",b=\"2\"} 1", "BAD_NAME", "twice"},
        Refused{"counter a_total{b=1} 1", "BAD_PUSH", "quotes"},
        Refused{"counter a_total{b=\"1} 1", "BAD_PUSH", "does not end"},
        Refused{"counter a_total{b=\"\\t\"} 1", "BAD_PUSH", "backslash"},
        Refused{"counter a_total{b 1", "BAD_PUSH", "labels"},
        Refused{"counter a_total{b=\"1\" c=\"2\"} 1", "BAD_PUSH", "comma"},
        Refused{"counter a_total{b=\"" + std::string(1025, 'x') + "\"} 1", "TOO_LARGE", "1025"},
        Refused{"counter " + std::string(201, 'x') + " 1", "TOO_LARGE", "201"},
        Refused{"buckets a", "BAD_PUSH", "at least one"}, Refused{"buckets a 1 1", "BAD_VALUE", "rise"},
        Refused{"buckets a 1 +Inf", "BAD_VALUE", "finite"}, Refused{"unit a_bytes seconds", "BAD_NAME", "_seconds"},
        Refused{"unit a_bytes by tes", "BAD_PUSH", "unit NAME WORD"}, Refused{"gauge a\xff 1", "BAD_PUSH", "UTF-8"},
        Refused{"help a " + std::string(kMaxPushLineBytes, 'x'), "TOO_LARGE", "65536"}));

TEST(PushParserTest, RefusesHeaders) {
  for (const char* header : {"push", "push a/b", "push g id=", "push g id=a,b", "push g ttl=0s", "push g ttl=soon",
                             "push g period=500d", "push g success failure", "push g colour=red"}) {
    const auto requests = ParseAll(std::string(header) + "\nend\n");
    ASSERT_EQ(requests.size(), 1u) << header;
    EXPECT_EQ(ReasonOf(requests[0].error), "BAD_PUSH") << header;
  }
}

TEST(PushParserTest, AUnitStandsBeforeTotal) {
  EXPECT_EQ(PushOf("push g\ncounter a_bytes_total 1\nunit a_bytes_total bytes").declarations.size(), 1u);
}

TEST(PushParserTest, AnEmptyLabelIsNone) {
  EXPECT_TRUE(PushOf("push g\ncounter a_total{b=\"\"} 1").samples[0].labels.empty());
}

TEST(PushParserTest, AnswersGarbageOnceAndUnderstandsTheNextRequest) {
  const auto requests = ParseAll("GET / HTTP/1.1\r\nHost: x\r\n\r\nping\n");
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].kind, PushRequest::Kind::kRefused);
  EXPECT_EQ(requests[1].kind, PushRequest::Kind::kPing);
}

TEST(PushParserTest, AForgottenEndCostsOnlyItsOwnPush) {
  const auto requests = ParseAll("push a\ncounter x_total 1\npush b\nend\n");
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].push.group, "a");
  EXPECT_EQ(ReasonOf(requests[0].error), "BAD_PUSH");
  EXPECT_EQ(requests[1].push.group, "b");
}

TEST(PushParserTest, BoundsStatementsAndBytes) {
  std::string text = "push g\n";
  for (std::size_t i = 0; i <= kMaxPushStatements; ++i) text += "counter a_total 1\n";
  EXPECT_EQ(ReasonOf(ParseAll(text + "end\n")[0].error), "TOO_LARGE");
  text = "push g\n";
  for (std::size_t i = 0; i * 1000 <= kMaxPushBytes; ++i) text += "help a " + std::string(1000, 'x') + "\n";
  EXPECT_EQ(ReasonOf(ParseAll(text + "end\n")[0].error), "TOO_LARGE");
}

TEST(PushParserTest, HoldsLittleOfAnEndlessLineAndGivesItUp) {
  PushParser parser;
  std::vector<PushRequest> requests;
  const std::string piece(1000, 'x');
  while (!parser.hopeless()) {
    parser.Feed(piece, &requests);
    ASSERT_LE(parser.cost(), kMaxPushLineBytes);
  }
  EXPECT_TRUE(requests.empty());
}

}  // namespace
}  // namespace muster::agent
