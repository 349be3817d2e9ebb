#include "hub/cli/connect_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/status.h"

namespace muster::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string EndEnvelope(const std::string& payload) {
  std::string envelope = EncodeEnvelope(payload);
  envelope[0] = 2;
  return envelope;
}

struct Collected {
  std::vector<std::string> payloads;
  absl::Status status;
};

// Feeds `bytes` in pieces of `step`.
Collected Collect(EnvelopeParser* parser, const std::string& bytes, std::size_t step) {
  Collected collected;
  for (std::size_t pos = 0; pos < bytes.size() && collected.status.ok(); pos += step) {
    collected.status = parser->Feed(std::string_view(bytes).substr(pos, step), [&](Envelope envelope) {
      collected.payloads.push_back(envelope.end_of_stream ? "end:" + envelope.payload : envelope.payload);
      return absl::OkStatus();
    });
  }
  return collected;
}

TEST(EnvelopeParser, GivesTheSameMessagesHoweverTheBytesAreSplit) {
  const std::string bytes =
      EncodeEnvelope("{\"a\":1}") + EncodeEnvelope("") + EncodeEnvelope(std::string(300, 'x')) + EndEnvelope("{}");
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    EnvelopeParser parser;
    const Collected collected = Collect(&parser, bytes, step);
    ASSERT_TRUE(collected.status.ok()) << collected.status;
    EXPECT_THAT(collected.payloads, ElementsAre("{\"a\":1}", "", std::string(300, 'x'), "end:{}")) << step;
    EXPECT_TRUE(parser.ended());
  }
}

TEST(EnvelopeParser, HasNotEndedWhenTheStreamIsCut) {
  const std::string bytes = EncodeEnvelope("{}") + EndEnvelope("{}");
  EnvelopeParser parser;
  EXPECT_TRUE(Collect(&parser, bytes.substr(0, bytes.size() - 1), 4).status.ok());
  EXPECT_FALSE(parser.ended());
}

TEST(EnvelopeParser, RefusesWhatItDoesNotUnderstand) {
  const struct {
    const char* what;
    std::string bytes;
    const char* reason;
  } cases[] = {
      {"a compressed message", std::string("\x01\x00\x00\x00\x01x", 6), "BAD_REPLY"},
      {"unknown flags", std::string("\x80\x00\x00\x00\x01x", 6), "BAD_REPLY"},
      {"HTML", "<html>", "BAD_REPLY"},
      {"a message over the limit", std::string("\x00\x00\x00\x00\x09", 5), "REPLY_TOO_LARGE"},
      {"a length of 4 GiB", std::string("\x00\xff\xff\xff\xff", 5), "REPLY_TOO_LARGE"},
      {"bytes after the end", EndEnvelope("{}") + "x", "BAD_REPLY"},
  };
  for (const auto& c : cases) {
    EnvelopeParser parser(8);
    const Collected collected = Collect(&parser, c.bytes, 3);
    EXPECT_FALSE(collected.status.ok()) << c.what;
    EXPECT_EQ(ReasonOf(collected.status), c.reason) << c.what;
  }
}

TEST(EnvelopeParser, StopsWithTheErrorOfItsReader) {
  EnvelopeParser parser;
  const absl::Status status =
      parser.Feed(EncodeEnvelope("{}"), [](const Envelope&) { return absl::AbortedError("enough"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
}

TEST(ErrorOfReply, ReadsCodeMessageAndReason) {
  const HttpHead head{.status = 404, .content_type = "application/json; charset=utf-8", .date = {}};
  const struct {
    const char* what;
    const char* body;
    absl::StatusCode code;
    const char* message;
    const char* reason;
  } cases[] = {
      {"the readable detail",
       R"({"code":"not_found","message":"no target x","details":[{"type":"muster.fleet.v1.ErrorInfo","value":"","debug":{"reason":"TARGET_NOT_FOUND"}}]})",
       absl::StatusCode::kNotFound, "no target x", "TARGET_NOT_FOUND"},
      {"the detail's bytes, unpadded base64 of {1: \"GONE\"}",
       R"({"code":"permission_denied","message":"m","details":[{"type":"muster.fleet.v1.ErrorInfo","value":"CgRHT05F"}]})",
       absl::StatusCode::kPermissionDenied, "m", "GONE"},
      {"no details", R"({"code":"unavailable","message":"draining"})", absl::StatusCode::kUnavailable, "draining",
       "UNAVAILABLE"},
      {"details of strange shapes",
       R"({"code":"internal","message":"m","details":[1,null,{"type":7},{"type":"muster.fleet.v1.ErrorInfo","debug":[]}]})",
       absl::StatusCode::kInternal, "m", "INTERNAL"},
      {"no message", R"({"code":"data_loss"})", absl::StatusCode::kDataLoss, "the hub answered data_loss", "DATA_LOSS"},
  };
  for (const auto& c : cases) {
    const absl::Status status = ErrorOfReply(head, c.body, "https://hub");
    EXPECT_EQ(status.code(), c.code) << c.what;
    EXPECT_EQ(MessageOf(status), c.message) << c.what;
    EXPECT_EQ(ReasonOf(status), c.reason) << c.what;
  }
}

TEST(ErrorOfReply, SaysWhoAnsweredWhenItWasNoHub) {
  const absl::Status status = ErrorOfReply({.status = 502, .content_type = "text/html", .date = {}},
                                           "<html>Bad Gateway</html>", "https://hub.example.com");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(status), "NOT_A_HUB_REPLY");
  EXPECT_THAT(MessageOf(status), HasSubstr("https://hub.example.com answered HTTP 502 with text/html"));
  for (const char* body : {"", "{", "[]", "7", "{}", R"({"code":7})", R"({"code":"no_such_code"})"}) {
    EXPECT_EQ(ReasonOf(ErrorOfReply({.status = 500, .content_type = "application/json", .date = {}}, body, "u")),
              "NOT_A_HUB_REPLY")
        << body;
  }
}

TEST(ParseEndOfStream, TellsAnOrderlyEndFromAnError) {
  EXPECT_TRUE(ParseEndOfStream("{}").ok());
  EXPECT_TRUE(ParseEndOfStream(R"({"metadata":{"a":["b"]}})").ok());
  EXPECT_EQ(ParseEndOfStream(R"({"error":{"code":"unauthenticated","message":"revoked"}})").code(),
            absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ParseEndOfStream("").code(), absl::StatusCode::kInternal);
  EXPECT_EQ(ParseEndOfStream(R"({"error":7})").code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace muster::cli
