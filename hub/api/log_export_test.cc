#include "hub/api/log_export.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "hub/api/connect_rpc_codec.h"
#include "hub/api/testing/log_calls_fixture.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogExportTest : public LogCallsFixture {
 protected:
  ExportStream Export(LogExportFormat format, ExportStream stream = nullptr) {
    ExportLogsRequest request;
    request.mutable_selection()->set_deployment("dep_1");
    request.set_format(format);
    return Open<ExportLogsResponse>("ExportLogs", request, viewer_, std::move(stream));
  }
  static std::string FileOf(const ExportStream& stream) {
    std::string file;
    for (const ExportLogsResponse& message : stream->written) file += message.data();
    return file;
  }
  // The last message; nothing when there is none.
  static std::optional<LogExportTrailer> TrailerOf(const ExportStream& stream) {
    if (stream->written.empty() || !stream->written.back().has_trailer()) return std::nullopt;
    return stream->written.back().trailer();
  }
  std::string TextOf(int first, int last) const {
    std::string file;
    for (int i = first; i <= last; ++i) file += fmt::format("{} web-1 {}\n", FormatRfc3339(At(i - 1)), i);
    return file;
  }
};

TEST_F(LogExportTest, TextIsTimeResourceText) {
  AddLines(3);
  log_reader_.Add(LineAt(9, "of the agent", ""), "");
  const ExportStream stream = Export(LOG_EXPORT_FORMAT_TEXT);
  EXPECT_EQ(FileOf(stream), TextOf(1, 3));
  EXPECT_EQ(TrailerOf(stream)->lines(), 3);
  EXPECT_EQ(EndOf(stream), "OK");
  ExportLogsRequest agent;
  agent.mutable_selection()->set_target("one");
  agent.set_format(LOG_EXPORT_FORMAT_TEXT);
  EXPECT_EQ(FileOf(Open<ExportLogsResponse>("ExportLogs", agent, viewer_)), FormatRfc3339(At(9)) + " - of the agent\n");
}

TEST_F(LogExportTest, JsonLinesAreEntries) {
  AddLines(2);
  log_reader_.Add(LineAt(5, "quote \" \x1B nul " + std::string(1, '\0')));
  log_reader_.Add(
      FoundGap{.from_us = TimeUs(0), .to_us = TimeUs(1), .lines = 7, .reason = "RATE", .resource = "web-1"});
  const ExportStream stream = Export(LOG_EXPORT_FORMAT_JSON_LINES);
  std::istringstream file(FileOf(stream));
  std::vector<nlohmann::json> entries;
  for (std::string line; std::getline(file, line);) entries.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0]["gap"]["reason"], "RATE");
  EXPECT_EQ(entries[0]["gap"]["lines"], "7");
  EXPECT_EQ(entries[1]["line"]["text"], "1");
  EXPECT_EQ(entries[1]["line"]["number"], "1");
  EXPECT_THAT(entries[3]["line"]["text"].get<std::string>(), HasSubstr("quote \" \x1B nul"));
  EXPECT_EQ(TrailerOf(stream)->lines(), 3);
  ASSERT_EQ(TrailerOf(stream)->gaps_size(), 1);
  EXPECT_EQ(TrailerOf(stream)->gaps(0).lines(), 7);
}

TEST_F(LogExportTest, JsonLinesReadAsProtobufsOwn) {
  FoundLine line = LineAt(7, "\x1B[31m\xE2\x82\xAC \\ \" \t \x7F </script> \xE2\x80\xA8");
  line.text += std::string(1, '\0');
  line.place.time_us += 120;
  line.shift_us = -1'500'000;
  line.kind = {.stream = LogStream::kStderr, .level = LogLevel::kFatal, .is_continued = true};
  line.place.number = log_reader_.Add(line);
  const FoundGap gap{
      .from_us = TimeUs(0), .to_us = TimeUs(1), .lines = 7, .records = 3, .reason = "RATE", .resource = "r"};
  log_reader_.Add(gap);
  std::istringstream file(FileOf(Export(LOG_EXPORT_FORMAT_JSON_LINES)));
  for (const FoundEntry& entry : {FoundEntry(gap), FoundEntry(line)}) {
    std::string text;
    std::getline(file, text);
    LogEntry read;
    const absl::Status decoded = DecodeMessage(ConnectEncoding::kJson, text, &read);
    ASSERT_TRUE(decoded.ok()) << decoded << text;
    EXPECT_EQ(read.SerializeAsString(), ToMessage(entry).SerializeAsString()) << text;
    // No field is left out, and none is of another kind.
    nlohmann::json mine = nlohmann::json::parse(text);
    nlohmann::json theirs = nlohmann::json::parse(*EncodeMessage(ConnectEncoding::kJson, read));
    for (nlohmann::json* json : {&mine, &theirs}) {
      for (auto& [name, value] : json->begin()->items()) {
        if (name.find("time") != std::string::npos) value = nullptr;
      }
    }
    EXPECT_EQ(mine, theirs);
  }
}

TEST_F(LogExportTest, NothingIsAnEmptyFileWithATrailer) {
  const ExportStream stream = Export(LOG_EXPORT_FORMAT_TEXT);
  EXPECT_EQ(FileOf(stream), "");
  EXPECT_EQ(TrailerOf(stream)->lines(), 0);
  EXPECT_EQ(EndOf(stream), "OK");
}

TEST_F(LogExportTest, StepsJoinedAreAllThereIs) {
  AddLines(10'000);
  for (const std::size_t stop_after : {0U, 1U, 999U}) {
    if (stop_after == 1) continue;
    log_reader_.stop_after = stop_after;
    const ExportStream stream = Export(LOG_EXPORT_FORMAT_TEXT);
    EXPECT_TRUE(FileOf(stream) == TextOf(1, 10'000)) << stop_after;
    EXPECT_EQ(TrailerOf(stream)->lines(), 10'000);
  }
}

TEST_F(LogExportTest, AClientThatStopsReadingHoldsNothingAndLosesNothing) {
  std::string all;
  for (int i = 0; i < 60; ++i) {
    const std::string text = fmt::format("{} {}", i, std::string(50'000, 'x'));
    log_reader_.Add(LineAt(i, text));
    all += fmt::format("{} web-1 {}\n", FormatRfc3339(At(i)), text);
  }
  auto slow = std::make_shared<FakeStreamOf<ExportLogsResponse>>();
  slow->reading = false;
  Export(LOG_EXPORT_FORMAT_TEXT, slow);
  EXPECT_EQ(slow->written.size(), 2U) << "as much as the stream takes";
  const int calls = log_reader_.calls();
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(absl::Seconds(20));
    Stored();
    Tick();
  }
  EXPECT_EQ(log_reader_.calls(), calls);
  for (int i = 0; i < 100 && !slow->ended; ++i) {
    EXPECT_FALSE(TrailerOf(slow)) << "the trailer is the last";
    Drain(slow);
  }
  EXPECT_TRUE(FileOf(slow) == all) << FileOf(slow).size();
  EXPECT_EQ(TrailerOf(slow)->lines(), 60);
  EXPECT_EQ(EndOf(slow), "OK");
}

TEST_F(LogExportTest, AClientThatGoesAwayEndsIt) {
  AddLines(10'000);
  auto slow = std::make_shared<FakeStreamOf<ExportLogsResponse>>();
  slow->reading = false;
  Export(LOG_EXPORT_FORMAT_TEXT, slow);
  const int calls = log_reader_.calls();
  slow->GoAway();
  Drain(slow);
  Tick();
  EXPECT_EQ(log_reader_.calls(), calls);
  EXPECT_FALSE(TrailerOf(slow));
  EXPECT_EQ(slow.use_count(), 1);
}

TEST_F(LogExportTest, AnErrorEndsItWithoutTrailer) {
  AddLines(3);
  log_reader_.failure = MakeError(absl::StatusCode::kDataLoss, "STORE_BROKEN", "no");
  const ExportStream stream = Export(LOG_EXPORT_FORMAT_TEXT);
  EXPECT_EQ(EndOf(stream), "STORE_BROKEN");
  EXPECT_THAT(stream->written, IsEmpty());
}

TEST_F(LogExportTest, NoMoreThanFour) {
  AddLines(10'000);
  std::vector<ExportStream> streams;
  for (std::size_t i = 0; i < LogCalls::kMaxExports; ++i) {
    streams.push_back(std::make_shared<FakeStreamOf<ExportLogsResponse>>());
    streams.back()->reading = false;
    Export(LOG_EXPORT_FORMAT_TEXT, streams.back());
  }
  EXPECT_EQ(EndOf(Export(LOG_EXPORT_FORMAT_TEXT)), "API_BUSY");
  streams[0]->reading = true;
  Drain(streams[0]);
  EXPECT_EQ(EndOf(streams[0]), "OK");
  EXPECT_EQ(EndOf(Export(LOG_EXPORT_FORMAT_TEXT)), "OK");
}

TEST_F(LogExportTest, TheTrailerSumsUpWhatItCannotHold) {
  for (int i = 0; i < 1500; ++i) {
    log_reader_.Add(
        FoundGap{.from_us = TimeUs(i), .to_us = TimeUs(i + 1), .lines = 2, .reason = "RATE", .resource = ""});
  }
  const ExportStream stream = Export(LOG_EXPORT_FORMAT_TEXT);
  const LogExportTrailer trailer = *TrailerOf(stream);
  ASSERT_EQ(trailer.gaps_size(), 1001);
  EXPECT_EQ(trailer.gaps(999).reason(), "RATE");
  EXPECT_EQ(trailer.gaps(1000).reason(), "OTHERS");
  EXPECT_EQ(trailer.gaps(1000).lines(), 1000);
  EXPECT_EQ(FromProto(trailer.gaps(1000).from_time()), At(1000));
  EXPECT_EQ(FromProto(trailer.gaps(1000).to_time()), At(1500));
}

// A filter that finds nothing for minutes looked like a hub that hangs.
TEST_F(LogExportTest, ALongSearchShowsThatItLives) {
  AddLines(40);
  log_reader_.stop_after = 1;
  log_reader_.OnCall([this] { clock_.Advance(absl::Seconds(1)); });
  ExportLogsRequest request;
  request.mutable_selection()->set_deployment("dep_1");
  request.mutable_selection()->set_text("nowhere");
  request.set_format(LOG_EXPORT_FORMAT_TEXT);
  const auto stream = Open<ExportLogsResponse>("ExportLogs", request, viewer_);
  EXPECT_EQ(stream->written.size(), 4U) << "at once, after 15 and 30 seconds, and the trailer";
  EXPECT_EQ(FileOf(stream), "");
  EXPECT_EQ(EndOf(stream), "OK");
}

}  // namespace
}  // namespace muster::hub
