#include "hub/cli/log_rows.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "common/time_format.h"

namespace muster::cli {
namespace {

const absl::Time kTime = absl::FromUnixMillis(1'795'238'661'123);

fleet::v1::LogEntry Line(const std::string& resource, const std::string& text, absl::Duration later = {}) {
  fleet::v1::LogEntry entry;
  fleet::v1::LogLine* line = entry.mutable_line();
  *line->mutable_time() = ToProto(kTime + later);
  line->set_resource(resource);
  line->set_stream(types::v1::LOG_STREAM_STDOUT);
  line->set_level(types::v1::LOG_LEVEL_ERROR);
  line->set_text(text);
  return entry;
}

fleet::v1::LogEntry Continued(fleet::v1::LogEntry entry) {
  entry.mutable_line()->set_continued(true);
  return entry;
}

fleet::v1::LogEntry Gap(const std::string& reason, std::int64_t lines, std::int64_t records = 0,
                        absl::Duration length = absl::Seconds(101)) {
  fleet::v1::LogEntry entry;
  fleet::v1::LogGap* gap = entry.mutable_gap();
  *gap->mutable_from_time() = ToProto(kTime);
  *gap->mutable_to_time() = ToProto(kTime + length);
  gap->set_lines(lines);
  gap->set_records(records);
  gap->set_reason(reason);
  return entry;
}

std::string Row(const fleet::v1::LogEntry& entry, const LogRowOptions& options = {}) {
  return LogRows(options).Next(entry);
}

TEST(LogRows, ALineHasTimeResourceLevelAndText) {
  EXPECT_EQ(Row(Line("web-1", "boom")), "2026-11-21T05:24:21.123Z web-1 E boom");
  EXPECT_EQ(Row(Line("web-1", "boom"), {.resources = false}), "2026-11-21T05:24:21.123Z E boom");
  EXPECT_EQ(Row(Line("web-1", "", absl::Milliseconds(877))), "2026-11-21T05:24:22.000Z web-1 E");
  fleet::v1::LogEntry entry = Line("web-1", "x");
  const std::string letters = "-TDIWEF";
  for (int level = 0; level < static_cast<int>(letters.size()); ++level) {
    entry.mutable_line()->set_level(static_cast<types::v1::LogLevel>(level));
    EXPECT_EQ(Row(entry, {.resources = false}), std::string("2026-11-21T05:24:21.123Z ") + letters.at(level) + " x");
  }
}

TEST(LogRows, ColoursAreOfTheHeadAndWhatTheLineMay) {
  EXPECT_EQ(Row(Line("web-1", "\x1b[36mboom"), {.color = true, .ansi = AnsiColors::kKeep}),
            "\x1b[2m2026-11-21T05:24:21.123Z \x1b[0m\x1b[1mweb-1 \x1b[0m\x1b[31mE\x1b[0m \x1b[36mboom\x1b[0m");
  EXPECT_EQ(Row(Line("web-1", "\x1b[36mboom"), {.ansi = AnsiColors::kKeep}),
            "2026-11-21T05:24:21.123Z web-1 E \x1b[36mboom\x1b[0m");
  EXPECT_EQ(Row(Line("web-1", "\x1b[36mboom\x1b]0;t\x07")), "2026-11-21T05:24:21.123Z web-1 E boom\\x1b]0;t\\x07");
}

TEST(LogRows, ANameOfAResourceIsEscapedToo) {
  EXPECT_EQ(Row(Line("web\x1b[2J", "x")), "2026-11-21T05:24:21.123Z web\\x1b[2J E x");
  fleet::v1::LogEntry gap = Gap("\x1b[2J", 1);
  gap.mutable_gap()->set_resource("web\r");
  EXPECT_EQ(Row(gap), "! 2026-11-21T05:24:21.123Z .. 05:26:02.123Z web\\r: 1 line missing (\\x1b[2J)");
}

TEST(LogRows, ALineThatGoesOnSaysSo) {
  LogRows rows({});
  EXPECT_EQ(rows.Next(Continued(Line("web-1", "a"))), "2026-11-21T05:24:21.123Z web-1 E a");
  EXPECT_EQ(rows.Next(Line("web-2", "other")), "2026-11-21T05:24:21.123Z web-2 E other");
  fleet::v1::LogEntry other_stream = Line("web-1", "stderr");
  other_stream.mutable_line()->set_stream(types::v1::LOG_STREAM_STDERR);
  EXPECT_EQ(rows.Next(other_stream), "2026-11-21T05:24:21.123Z web-1 E stderr");
  EXPECT_EQ(rows.Next(Continued(Line("web-1", "b"))), "+ 2026-11-21T05:24:21.123Z web-1 E b");
  EXPECT_EQ(rows.Next(Line("web-1", "c")), "+ 2026-11-21T05:24:21.123Z web-1 E c");
  EXPECT_EQ(rows.Next(Line("web-1", "d")), "2026-11-21T05:24:21.123Z web-1 E d");
}

// With a filter the other parts of a line may not be there.
TEST(LogRows, AnotherLineDoesNotGoOnFromOneWhoseEndIsNotShown) {
  LogRows rows({});
  rows.Next(Continued(Line("web-1", "a")));
  EXPECT_EQ(rows.Next(Line("web-1", "b", absl::Milliseconds(1))), "2026-11-21T05:24:21.124Z web-1 E b");
}

TEST(LogRows, HitsAreMarkedAmongTheirContext) {
  fleet::v1::LogEntry context = Line("web-1", "before");
  context.mutable_line()->set_context(true);
  EXPECT_EQ(Row(context, {.marks_hits = true}), "  2026-11-21T05:24:21.123Z web-1 E before");
  EXPECT_EQ(Row(Line("web-1", "hit"), {.marks_hits = true}), "> 2026-11-21T05:24:21.123Z web-1 E hit");
}

TEST(LogRows, AGapSaysWhatIsMissingAndWhy) {
  const struct {
    fleet::v1::LogEntry entry;
    std::string text;
  } cases[] = {
      {Gap("RATE", 1204), "1204 lines dropped: above the rate limit (RATE)"},
      {Gap("ROTATED", 0), "an unknown number of lines lost: rotated away before the agent read them (ROTATED)"},
      {Gap("OFF", 0), "an unknown number of lines not collected: logs were switched off (OFF)"},
      {Gap("JOURNAL_FULL", 1, 1), "1 line lost: the agent's journal was full (JOURNAL_FULL)"},
      {Gap("DISK_FULL", 0, 3), "3 records of lines lost: the host's disk was full (DISK_FULL)"},
      {Gap("DAMAGED", 0, 1), "1 record of lines lost: the agent's journal was damaged (DAMAGED)"},
      {Gap("NOT_KEPT", 2), "2 lines lost: the hub lost them, and the agent had them no more (NOT_KEPT)"},
      {Gap("RETENTION", 2), "2 lines deleted: the hub keeps no older ones (RETENTION)"},
      {Gap("CHUNK_DAMAGED", 2), "2 lines not readable: damaged in the hub's store (CHUNK_DAMAGED)"},
      {Gap("SOMETHING_NEW", 2), "2 lines missing (SOMETHING_NEW)"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Row(c.entry), "! 2026-11-21T05:24:21.123Z .. 05:26:02.123Z " + c.text);
  }
  fleet::v1::LogEntry named = Gap("RATE", 7, 0, absl::Hours(24));
  named.mutable_gap()->set_resource("web-1");
  EXPECT_EQ(
      Row(named),
      "! 2026-11-21T05:24:21.123Z .. 2026-11-22T05:24:21.123Z web-1: 7 lines dropped: above the rate limit (RATE)");
  EXPECT_EQ(Row(named, {.color = true, .resources = false}),
            "\x1b[33m! 2026-11-21T05:24:21.123Z .. 2026-11-22T05:24:21.123Z 7 lines dropped: above the rate limit "
            "(RATE)\x1b[0m");
}

}  // namespace
}  // namespace muster::cli
