#include "agent/logs/line_maker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "agent/logs/line_cleaner.h"
#include "common/text.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Line {
  std::string text;
  LogLevel level = LogLevel::kNone;
  bool is_continued = false;
  bool operator==(const Line&) const = default;
};

void PrintTo(const Line& line, std::ostream* out) {
  *out << '\'' << line.text.substr(0, 60) << "' (" << line.text.size() << ") " << static_cast<int>(line.level)
       << (line.is_continued ? " +" : "");
}

class LineMakerTest : public testing::Test {
 protected:
  static DockerMessage Message(std::string_view text, std::int64_t time_ns, bool ends_line) {
    return {.stream = LogStream::kStdout, .time_ns = time_ns, .text = text, .ends_line = ends_line};
  }
  std::vector<Line> Take(std::string_view text, std::int64_t time_ns, bool ends_line = true) {
    std::vector<Line> lines;
    maker_.Take(Message(text, time_ns, ends_line), &state_, [&](const LogLine& line) {
      EXPECT_TRUE(IsValidUtf8(line.text));
      EXPECT_LE(line.text.size(), kMaxLineBytes);
      lines.push_back({std::string(line.text), line.level, line.is_continued});
    });
    return lines;
  }
  std::vector<Line> TakePiece(std::string_view text, std::int64_t time_ns) { return Take(text, time_ns, false); }
  void Skip(std::string_view text, std::int64_t time_ns, bool ends_line = true) {
    maker_.Skip(Message(text, time_ns, ends_line), &state_);
  }

  const Masker masker_ = *Masker::Create({});
  LineMaker maker_{&masker_};
  StreamState state_;
};

TEST_F(LineMakerTest, CleansMasksAndFindsTheLevel) {
  EXPECT_THAT(Take("2026-11-21 05:24:21 ERROR token=hunter2 \xFF\r", 1),
              ElementsAre(Line{"2026-11-21 05:24:21 ERROR token=*** \uFFFD", LogLevel::kError}));
  EXPECT_THAT(Take("\tat x.y(Z.java:1)", 2), ElementsAre(Line{"\tat x.y(Z.java:1)", LogLevel::kError}));
  EXPECT_THAT(Take("", 3), ElementsAre(Line{"", LogLevel::kError}));
  EXPECT_THAT(Take("ready", 4), ElementsAre(Line{"ready", LogLevel::kNone}));
}

TEST_F(LineMakerTest, PiecesOfALineHaveItsLevelAndAreContinued) {
  EXPECT_THAT(TakePiece("INFO 12 \xE2\x82", 1), ElementsAre(Line{"INFO 12 ", LogLevel::kInfo, true}));
  EXPECT_THAT(TakePiece("\xAC ERROR\r", 1), ElementsAre(Line{"\u20AC ERROR", LogLevel::kInfo, true}));
  EXPECT_THAT(Take("", 1), ElementsAre(Line{"", LogLevel::kInfo, false}));
  EXPECT_THAT(Take("ERROR", 1), ElementsAre(Line{"ERROR", LogLevel::kError})) << "a line of the same time";
}

TEST_F(LineMakerTest, ALineThatNeverEndsLeavesNothingToTheNext) {
  EXPECT_THAT(TakePiece("INFO half \xE2\x82", 1), ElementsAre(Line{"INFO half ", LogLevel::kInfo, true}));
  EXPECT_THAT(Take("\xAC ready", 2), ElementsAre(Line{"\uFFFD ready", LogLevel::kNone}));
}

TEST_F(LineMakerTest, APieceThatIsKeptBackIsNoLine) {
  EXPECT_THAT(TakePiece("\xE2\x82", 1), IsEmpty());
  EXPECT_THAT(Take("\xAC", 1), ElementsAre(Line{"\u20AC"}));
}

TEST_F(LineMakerTest, TextThatGrewIsSplit) {
  const std::vector<Line> lines = Take("ERROR " + std::string(kMaxMessageTextBytes - 6, '\xFF'), 1);
  ASSERT_EQ(lines.size(), 3U);
  std::string text;
  for (const Line& line : lines) {
    EXPECT_EQ(line.level, LogLevel::kError);
    EXPECT_EQ(line.is_continued, &line != &lines.back());
    text += line.text;
  }
  EXPECT_EQ(text.size(), 6 + 3 * (kMaxMessageTextBytes - 6));
}

TEST_F(LineMakerTest, ALineOfTenMegabytesComesInPartsOfSixteenKibibytes) {
  DockerFrames frames(DockerFrames::Format::kTty);
  std::string bytes = "2026-11-21T05:24:21.123456789Z ";
  std::int64_t parts = 0;
  std::int64_t size = 0;
  const auto visit = [&](const DockerMessage& message) {
    maker_.Take(message, &state_, [&](const LogLine& line) {
      ++parts;
      size += static_cast<std::int64_t>(line.text.size());
      EXPECT_LE(line.text.size(), kMaxLineBytes);
      EXPECT_EQ(line.is_continued, parts < 641);
    });
  };
  ASSERT_TRUE(frames.Feed(bytes, visit).ok());
  for (int i = 0; i < 640; ++i) ASSERT_TRUE(frames.Feed(std::string(kMaxMessageTextBytes, 'x'), visit).ok());
  ASSERT_TRUE(frames.Feed("y\n", visit).ok());
  EXPECT_EQ(parts, 641);
  EXPECT_EQ(size, 640 * 16'384 + 1);
}

TEST_F(LineMakerTest, WhatIsSkippedDoesNotLeadAstray) {
  Take("-- ERROR", 1);
  Skip("-----BEGIN RSA PRIVATE KEY-----", 2);
  EXPECT_THAT(Take("MIIEowIBAAKCAQEA", 3), ElementsAre(Line{"***"}));
  Skip("-----END RSA PRIVATE KEY-----", 4);
  EXPECT_THAT(Take("  indented", 5), ElementsAre(Line{"  indented"})) << "the level before is not known";
  TakePiece("INFO \xE2\x82", 6);
  Skip("\xAC ...", 6, false);
  EXPECT_THAT(Take("\xAC", 6), ElementsAre(Line{"\uFFFD"}));
}

}  // namespace
}  // namespace muster::agent
