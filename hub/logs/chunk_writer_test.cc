#include "hub/logs/chunk_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "hub/logs/chunk_bytes.h"
#include "hub/logs/testing/made_up_lines.h"

namespace muster::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::int64_t kSource = 7;

constexpr LineKind kOut = {.stream = LogStream::kStdout, .level = LogLevel::kInfo};

class ChunkWriterTest : public testing::Test {
 protected:
  // Lines of one byte each, newline included, unless told otherwise.
  static OwnedBlock Lines(std::size_t count, std::int64_t first_line = 1, std::string_view line = "") {
    OwnedBlock block;
    block.first_line = first_line;
    for (std::size_t i = 0; i < count; ++i) block.Append(kOut, kTestTimeUs, line);
    return block;
  }
  absl::Status Add(const OwnedBlock& block) { return writer_.Add(block.View()); }
  std::string Refusal(const OwnedBlock& block) { return ReasonOf(Add(block)); }
  // Also that what the writer made can be read.
  ChunkLines Read(const Chunk& chunk) {
    EXPECT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    const auto text = reader_.ReadText(chunk.text, &buffer_);
    EXPECT_EQ(text.status(), absl::OkStatus());
    text_ = text.ok() ? *text : "";
    return reader_.lines();
  }

  ZstdCodec codec_;
  ChunkWriter writer_{kSource, &codec_};
  ChunkReader reader_{&codec_};
  std::string buffer_;
  std::string text_;
};

TEST_F(ChunkWriterTest, WritesTheExampleOfThePage) {
  OwnedBlock block;
  block.first_line = 100;
  block.Append({.stream = LogStream::kStdout, .level = LogLevel::kInfo}, kTestTimeUs, "ready");
  block.Append({.stream = LogStream::kStderr, .level = LogLevel::kError}, kTestTimeUs + 250, "bad");
  ASSERT_TRUE(Add(block).ok());
  const Chunk chunk = writer_.Finish();
  static constexpr char kHead[] =
      "\x4D\x4C\x43\x31"
      "\x01\x00\x01\x00"
      "\x07\x00\x00\x00\x00\x00\x00\x00"
      "\x02\x00\x00\x00\x0A\x00\x00\x00"
      "\x0A\x00\x00\x00\x61\xAC\x99\x3B"
      "\x80\xED\xAE\x92\xC2\x60\x06\x00"
      "\x07\x00\x00\x00\x07\x00\x00\x00"
      "\xD2\x6E\x5B\xF8"
      "\x64\x02\x00"
      "\x0D\x16"
      "\xF4\x03";
  EXPECT_EQ(chunk.head, std::string(kHead, sizeof(kHead) - 1));
  EXPECT_EQ(chunk.text, "ready\nbad\n");
}

TEST_F(ChunkWriterTest, JoinsRecordsThatFollowOneAnotherToARun) {
  OwnedBlock shifted = Lines(5, 19);
  shifted.shift_us = -3;
  OwnedBlock shifted_later = Lines(1, 25);
  shifted_later.shift_us = -3;
  for (const OwnedBlock& block : {Lines(10, 4), Lines(5, 14), shifted, Lines(1, 24), shifted_later}) {
    ASSERT_TRUE(Add(block).ok());
  }
  EXPECT_THAT(Read(writer_.Finish()).runs, ElementsAre(LineRun{.first_line = 4, .lines = 15, .shift_us = 0},
                                                       LineRun{.first_line = 19, .lines = 5, .shift_us = -3},
                                                       LineRun{.first_line = 24, .lines = 1, .shift_us = 0},
                                                       LineRun{.first_line = 25, .lines = 1, .shift_us = -3}));
}

TEST_F(ChunkWriterTest, CompressesFromOneKibibyteOn) {
  ASSERT_TRUE(Add(Lines(1, 1, std::string(1022, 'a'))).ok());
  EXPECT_EQ(writer_.text_bytes(), 1023U);
  EXPECT_THAT(writer_.Finish().text, SizeIs(1023));

  ChunkWriter longer(kSource, &codec_);
  ASSERT_TRUE(longer.Add(Lines(1, 1, std::string(1023, 'a')).View()).ok());
  const Chunk chunk = longer.Finish();
  EXPECT_LT(chunk.text.size(), 100U);
  Read(chunk);
  EXPECT_TRUE(reader_.text_is_compressed());
  EXPECT_EQ(text_, std::string(1023, 'a') + "\n");
}

TEST_F(ChunkWriterTest, LeavesWhatDoesNotCompress) {
  const std::string noise = MadeUpLines(1).Noise(8'000);
  ASSERT_TRUE(Add(Lines(1, 1, noise)).ok());
  const Chunk chunk = writer_.Finish();
  EXPECT_EQ(chunk.text, noise + "\n");
  Read(chunk);
  EXPECT_FALSE(reader_.text_is_compressed());
}

TEST_F(ChunkWriterTest, CompressesItsColumns) {
  ASSERT_TRUE(Add(Lines(10'000)).ok());
  const Chunk chunk = writer_.Finish();
  EXPECT_LT(chunk.head.size(), 200U);
  EXPECT_THAT(Read(chunk).times_us, SizeIs(10'000));
}

TEST_F(ChunkWriterTest, KeepsTheExtremesOfTimesShiftsAndNumbers) {
  OwnedBlock first = Lines(2, 1);
  first.times_us = {kMaxLineTimeUs, 0};
  first.shift_us = kMaxShiftUs;
  OwnedBlock last = Lines(2, kEndOfLineNumbers - 2);
  last.times_us = {0, kMaxLineTimeUs};
  last.shift_us = -kMaxShiftUs;
  ASSERT_TRUE(Add(first).ok());
  ASSERT_TRUE(Add(last).ok());
  const ChunkLines lines = Read(writer_.Finish());
  EXPECT_THAT(lines.times_us, ElementsAre(kMaxLineTimeUs, 0, 0, kMaxLineTimeUs));
  EXPECT_THAT(lines.runs,
              ElementsAre(LineRun{.first_line = 1, .lines = 2, .shift_us = kMaxShiftUs},
                          LineRun{.first_line = kEndOfLineNumbers - 2, .lines = 2, .shift_us = -kMaxShiftUs}));
}

TEST_F(ChunkWriterTest, TakesAsManyLinesAsTheLimit) {
  ASSERT_TRUE(Add(Lines(kMaxChunkLines - 1)).ok());
  EXPECT_EQ(Refusal(Lines(2, kMaxChunkLines)), "CHUNK_FULL");
  ASSERT_TRUE(Add(Lines(1, kMaxChunkLines)).ok());
  EXPECT_EQ(Refusal(Lines(1, kMaxChunkLines + 1)), "CHUNK_FULL");
  EXPECT_THAT(Read(writer_.Finish()).kinds, SizeIs(kMaxChunkLines));
}

TEST_F(ChunkWriterTest, TakesAsMuchTextAsTheLimit) {
  const std::string kibibyte(1023, 'a');
  ASSERT_TRUE(Add(Lines(1023, 1, kibibyte)).ok());
  ASSERT_TRUE(Add(Lines(1, 1024, std::string(1022, 'b'))).ok());
  EXPECT_EQ(writer_.text_bytes(), kMaxChunkTextBytes - 1);
  EXPECT_EQ(Refusal(Lines(2, 1025)), "CHUNK_FULL");
  ASSERT_TRUE(Add(Lines(1, 1025)).ok());
  EXPECT_EQ(Refusal(Lines(1, 1026)), "CHUNK_FULL");
  Read(writer_.Finish());
  EXPECT_THAT(text_, SizeIs(kMaxChunkTextBytes));
}

TEST_F(ChunkWriterTest, TakesAsManyRunsAsTheLimit) {
  std::int64_t line = 1;
  for (std::size_t run = 1; run < kMaxChunkRuns; ++run, line += 2) ASSERT_TRUE(Add(Lines(1, line)).ok());
  ASSERT_TRUE(Add(Lines(1, line)).ok());
  EXPECT_EQ(Refusal(Lines(1, line + 2)), "CHUNK_FULL");
  ASSERT_TRUE(Add(Lines(1, line + 1)).ok()) << "belongs to the last run";
  EXPECT_THAT(Read(writer_.Finish()).runs, SizeIs(kMaxChunkRuns));
}

// What the page says about their limit: no writer comes near it.
TEST_F(ChunkWriterTest, ColumnsAtTheirWorstAreWithinTheirLimit) {
  std::int64_t line = 1;
  for (std::size_t run = 0; run < kMaxChunkRuns; ++run) {
    OwnedBlock block = Lines(1, line);
    block.times_us = {run % 2 == 0 ? 0 : kMaxLineTimeUs};
    block.shift_us = run % 2 == 0 ? kMaxShiftUs : -kMaxShiftUs;
    ASSERT_TRUE(Add(block).ok());
    line += run < 7'000 ? (std::int64_t{1} << 49) + 1 : (std::int64_t{1} << 42) + 1;
  }
  EXPECT_LT(line, kEndOfLineNumbers);
  const Chunk chunk = writer_.Finish();
  const auto column_bytes = ByteReader(std::string_view(chunk.head).substr(40)).LittleEndian<std::uint32_t>();
  EXPECT_GT(column_bytes, 1'700'000U);
  EXPECT_LT(column_bytes, 1'800'000U) << "2 MiB is the limit";
  EXPECT_EQ(Read(chunk).size(), kMaxChunkRuns);
}

TEST_F(ChunkWriterTest, RefusesWhatNoChunkMayHold) {
  const auto refusal = [&](void (*spoil)(OwnedBlock*)) {
    OwnedBlock block = Lines(2, 1, "ab");
    spoil(&block);
    return ReasonOf(Add(block)) + ": " + MessageOf(Add(block));
  };
  EXPECT_THAT(refusal([](OwnedBlock* block) { *block = OwnedBlock(); }), HasSubstr("BAD_LINES: 0 kinds"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->times_us.pop_back(); }), HasSubstr("BAD_LINES: 2 kinds and 1"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->text = ""; }), HasSubstr("BAD_LINES: the text does not end"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->text = "a\nb"; }), HasSubstr("BAD_LINES: the text does not end"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->text = "a\n"; }), HasSubstr("BAD_LINES: the text has 1 lines"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->text += "\n"; }), HasSubstr("BAD_LINES: the text has 3 lines"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->kinds[1] = '\0'; }), HasSubstr("BAD_LINES: a kind"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->times_us[1] = -1; }), HasSubstr("BAD_LINES: a time"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->times_us[0] = kMaxLineTimeUs + 1; }),
              HasSubstr("BAD_LINES: a time"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->shift_us = kMaxShiftUs + 1; }), HasSubstr("BAD_LINES: a shift"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->shift_us = -kMaxShiftUs - 1; }), HasSubstr("BAD_LINES: a shift"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->first_line = 0; }), HasSubstr("BAD_LINES: a line number"));
  EXPECT_THAT(refusal([](OwnedBlock* block) { block->first_line = kEndOfLineNumbers - 1; }),
              HasSubstr("BAD_LINES: a line number"));
}

TEST_F(ChunkWriterTest, TakesALineAsLongAsTheLimit) {
  ASSERT_TRUE(Add(Lines(1, 1, std::string(kMaxLineBytes - 1, 'a'))).ok());
  ASSERT_TRUE(Add(Lines(1, 2, std::string(kMaxLineBytes, 'b'))).ok());
  EXPECT_THAT(MessageOf(Add(Lines(1, 3, std::string(kMaxLineBytes + 1, 'c')))), HasSubstr("16385 bytes"));
  EXPECT_EQ(Read(writer_.Finish()).size(), 2U);
}

TEST_F(ChunkWriterTest, RefusesNumbersThatDoNotRise) {
  ASSERT_TRUE(Add(Lines(10, 5)).ok());
  EXPECT_EQ(Refusal(Lines(1, 14)), "BAD_LINES");
  EXPECT_EQ(Refusal(Lines(20, 1)), "BAD_LINES");
  EXPECT_TRUE(Add(Lines(1, 15)).ok());
}

TEST_F(ChunkWriterTest, IsAsItWasAfterARefusal) {
  MadeUpLines made_up(3);
  const OwnedBlock first = made_up.Block(1, 500);
  const OwnedBlock second = made_up.Block(501, 500);
  ASSERT_TRUE(Add(first).ok());
  EXPECT_EQ(Refusal(Lines(kMaxChunkLines, 501)), "CHUNK_FULL");
  EXPECT_EQ(Refusal(Lines(100, 501, std::string(16'000, 'a'))), "CHUNK_FULL");
  EXPECT_EQ(Refusal(Lines(1, 500)), "BAD_LINES");
  ASSERT_TRUE(Add(second).ok());
  ChunkWriter other(kSource, &codec_);
  ASSERT_TRUE(other.Add(first.View()).ok());
  ASSERT_TRUE(other.Add(second.View()).ok());
  const Chunk chunk = writer_.Finish();
  const Chunk expected = other.Finish();
  EXPECT_EQ(chunk.head, expected.head);
  EXPECT_EQ(chunk.text, expected.text);
}

}  // namespace
}  // namespace muster::hub
