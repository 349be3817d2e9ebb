#include "agent/logs/record_builder.h"

#include <gtest/gtest.h>

#include "agent/logs/line_cleaner.h"
#include "agent/records.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
constexpr std::int64_t kFirst = 1'800'000'000'000'000;

TEST(RecordBuilderTest, HasEachLineWithItsTimeAndKind) {
  RecordBuilder builder;
  EXPECT_TRUE(builder.empty());
  builder.Add("a\n", "\x0D", kFirst);
  builder.Add("b\nc\n", "\x2D\x0D", kFirst - 5);
  builder.Add("\n", "\x16", kFirst + 7);
  const v1::Record record = builder.Take(kNow);
  EXPECT_TRUE(builder.empty());
  const v1::LogLines& lines = record.log_lines();
  EXPECT_EQ(lines.text(), "a\nb\nc\n\n");
  EXPECT_EQ(lines.kinds(), "\x0D\x2D\x0D\x16");
  EXPECT_EQ(absl::ToUnixMicros(FromProto(lines.base_time())), kFirst);
  EXPECT_EQ(std::vector<std::int64_t>(lines.time_delta_us().begin(), lines.time_delta_us().end()),
            (std::vector<std::int64_t>{-5, 0, 12}));
  EXPECT_EQ(FromProto(record.observed_at()), kNow);

  builder.Add("d\n", "\x0D", 1);
  EXPECT_EQ(builder.Take(kNow).log_lines().time_delta_us_size(), 0) << "nothing is left of the record before";
}

// Fills a record with lines of `size` bytes and newline, at times far apart; the serialized record, with the longest
// names there are.
std::size_t FilledBytes(std::size_t size, std::int64_t step_us, std::size_t* lines) {
  RecordBuilder builder;
  const std::string line = std::string(size, 'x').append("\n");
  *lines = 0;
  for (std::int64_t time_us = 0; builder.Fits(line.size(), 1); time_us = step_us - time_us, ++*lines) {
    builder.Add(line, "\x0D", time_us);
  }
  v1::Record record = builder.Take(kNow);
  record.mutable_log_lines()->set_deployment_key(std::string(510, 'k'));
  record.mutable_log_lines()->set_resource(std::string(255, 'r'));
  record.mutable_log_lines()->set_revision(std::string(255, 'v'));
  EXPECT_LE(record.log_lines().text().size(), kMaxRecordText);
  return record.ByteSizeLong();
}

TEST(RecordBuilderTest, EndsAtEachOfItsLimits) {
  std::size_t lines = 0;
  EXPECT_LE(FilledBytes(0, 0, &lines), kMaxLinesBytes);
  EXPECT_EQ(lines, kMaxRecordLines);
  EXPECT_LE(FilledBytes(127, 1, &lines), kMaxLinesBytes);
  EXPECT_EQ(lines, kMaxRecordText / 128);
  EXPECT_LE(FilledBytes(kMaxLineBytes, 1, &lines), kMaxLinesBytes);
  EXPECT_EQ(lines, 2U);
  // Times that jump to and fro cost nine bytes each.
  const std::size_t bytes = FilledBytes(0, std::int64_t{8'000'000'000'000'000'000}, &lines);
  EXPECT_LE(bytes, kMaxLinesBytes);
  EXPECT_GT(bytes, kMaxLinesBytes - 2 * 1200);
  EXPECT_LT(lines, kMaxRecordLines);
}

TEST(RecordBuilderTest, AWholeMessageGoesIntoAnEmptyRecord) {
  RecordBuilder builder;
  // 16 KiB that are no UTF-8: three lines and a bit of U+FFFD.
  std::string text;
  for (int i = 0; i < 3; ++i) text += std::string(kMaxLineBytes - 1, 'x').append("\n");
  text += "xxx\n";
  EXPECT_TRUE(builder.Fits(text.size(), 4));
  builder.Add(text, "\x2D\x2D\x2D\x0D", kFirst);
  EXPECT_FALSE(builder.Fits(1, 1));
  EXPECT_LE(builder.Take(kNow).ByteSizeLong(), kMaxRecordBytes);
}

}  // namespace
}  // namespace muster::agent
