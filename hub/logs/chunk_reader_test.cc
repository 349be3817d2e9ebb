#include "hub/logs/chunk_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "hub/logs/chunk_writer.h"
#include "hub/logs/testing/chunk_parts.h"
#include "hub/logs/testing/made_up_lines.h"

namespace muster::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr std::int64_t kSource = 7;

class ChunkReaderTest : public testing::Test {
 protected:
  absl::Status ReadHead(const ChunkParts& parts) { return reader_.ReadHead(parts.Head(), kSource); }
  // Of head and text.
  absl::Status Read(const ChunkParts& parts) {
    RETURN_IF_ERROR(ReadHead(parts));
    return reader_.ReadText(parts.text, &buffer_).status();
  }
  // "CHUNK_DAMAGED: ...", of the head.
  std::string HeadDefect(const ChunkParts& parts) { return Told(ReadHead(parts)); }
  std::string TextDefect(const ChunkParts& parts) {
    EXPECT_EQ(ReadHead(parts), absl::OkStatus());
    return Told(reader_.ReadText(parts.text, &buffer_).status());
  }
  static std::string Told(const absl::Status& status) { return ReasonOf(status) + ": " + MessageOf(status); }

  ZstdCodec codec_;
  ChunkReader reader_{&codec_};
  std::string buffer_;
};

TEST_F(ChunkReaderTest, ReadsTheExampleOfThePage) {
  const ChunkParts parts;
  ASSERT_EQ(ReadHead(parts), absl::OkStatus());
  const ChunkLines& lines = reader_.lines();
  EXPECT_EQ(lines.source, 7);
  EXPECT_THAT(lines.runs, ElementsAre(LineRun{.first_line = 100, .lines = 2, .shift_us = 0}));
  EXPECT_THAT(lines.times_us, ElementsAre(1'795'238'661'123'456, 1'795'238'661'123'706));
  EXPECT_EQ(KindOf(lines.kinds[0]), (LineKind{.stream = LogStream::kStdout, .level = LogLevel::kInfo}));
  EXPECT_EQ(KindOf(lines.kinds[1]), (LineKind{.stream = LogStream::kStderr, .level = LogLevel::kError}));
  EXPECT_EQ(reader_.text_bytes(), 10U);
  EXPECT_EQ(*reader_.ReadText(parts.text, &buffer_), "ready\nbad\n");
}

TEST_F(ChunkReaderTest, ReadsWhatWasWritten) {
  MadeUpLines made_up(1);
  for (const std::size_t size : {1U, 2U, 10U, 1'000U, 4'000U}) {
    ChunkWriter writer(kSource, &codec_);
    ChunkLines expected{.source = kSource, .runs = {}, .kinds = "", .times_us = {}};
    std::string text;
    std::int64_t line = 1;
    for (std::int64_t record = 0; record < 3; ++record) {
      OwnedBlock block = made_up.Block(line + 10 * record, size);
      block.shift_us = 1'000'000 * (record - 1);
      ASSERT_EQ(writer.Add(block.View()), absl::OkStatus());
      expected.runs.push_back({.first_line = block.first_line, .lines = size, .shift_us = block.shift_us});
      expected.kinds += block.kinds;
      expected.times_us.insert(expected.times_us.end(), block.times_us.begin(), block.times_us.end());
      text += block.text;
      line = block.first_line + static_cast<std::int64_t>(size);
    }
    const Chunk chunk = writer.Finish();
    ASSERT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    EXPECT_EQ(reader_.lines(), expected);
    EXPECT_EQ(*reader_.ReadText(chunk.text, &buffer_), text);
  }
}

// The checksums find each; 4 is the version, where a bit can make a newer one.
TEST_F(ChunkReaderTest, RefusesAChunkWithOneBitFlipped) {
  MadeUpLines made_up(2);
  ChunkWriter small(kSource, &codec_);
  ASSERT_TRUE(small.Add(made_up.Block(1, 3).View()).ok());
  ChunkWriter large(kSource, &codec_);
  ASSERT_TRUE(large.Add(made_up.Block(1, 300).View()).ok());
  for (ChunkWriter* writer : {&small, &large}) {
    Chunk chunk = writer->Finish();
    ASSERT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    for (std::size_t bit = 0; bit < 8 * chunk.head.size(); ++bit) {
      chunk.head[bit / 8] = static_cast<char>(chunk.head[bit / 8] ^ 1 << bit % 8);
      const std::string reason = ReasonOf(reader_.ReadHead(chunk.head, kSource));
      EXPECT_TRUE(reason == "CHUNK_DAMAGED" || (bit / 8 == 4 && reason == "TOO_NEW")) << bit << reason;
      EXPECT_EQ(reader_.lines().size(), 0U);
      chunk.head[bit / 8] = static_cast<char>(chunk.head[bit / 8] ^ 1 << bit % 8);
    }
    ASSERT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    for (std::size_t bit = 0; bit < 8 * chunk.text.size(); ++bit) {
      chunk.text[bit / 8] = static_cast<char>(chunk.text[bit / 8] ^ 1 << bit % 8);
      EXPECT_EQ(ReasonOf(reader_.ReadText(chunk.text, &buffer_).status()), "CHUNK_DAMAGED") << bit;
      chunk.text[bit / 8] = static_cast<char>(chunk.text[bit / 8] ^ 1 << bit % 8);
    }
    EXPECT_TRUE(reader_.ReadText(chunk.text, &buffer_).ok());
  }
}

TEST_F(ChunkReaderTest, RefusesAChunkThatWasCutShort) {
  MadeUpLines made_up(3);
  ChunkWriter writer(kSource, &codec_);
  ASSERT_TRUE(writer.Add(made_up.Block(1, 100).View()).ok());
  const Chunk chunk = writer.Finish();
  for (std::size_t size = 0; size < chunk.head.size(); ++size) {
    EXPECT_EQ(ReasonOf(reader_.ReadHead(chunk.head.substr(0, size), kSource)), "CHUNK_DAMAGED");
  }
  EXPECT_EQ(ReasonOf(reader_.ReadHead(chunk.head + "x", kSource)), "CHUNK_DAMAGED");
  ASSERT_TRUE(reader_.ReadHead(chunk.head, kSource).ok());
  for (std::size_t size = 0; size < chunk.text.size(); ++size) {
    EXPECT_EQ(ReasonOf(reader_.ReadText(chunk.text.substr(0, size), &buffer_).status()), "CHUNK_DAMAGED");
  }
  EXPECT_EQ(ReasonOf(reader_.ReadText(chunk.text + "\n", &buffer_).status()), "CHUNK_DAMAGED");
}

TEST_F(ChunkReaderTest, RefusesANewerVersionBeforeAnythingElse) {
  ChunkParts parts;
  parts.version = 2;
  parts.flags = 0xFF;
  EXPECT_EQ(HeadDefect(parts), "TOO_NEW: the chunk has version 2, this hub knows 1");
  std::string head = ChunkParts().Head();
  head[4] = 9;
  EXPECT_EQ(ReasonOf(reader_.ReadHead(head, kSource)), "TOO_NEW") << "what follows may be anything";
}

TEST_F(ChunkReaderTest, NamesWhatIsWrongWithAHeader) {
  const auto defect = [&](void (*spoil)(ChunkParts*)) {
    ChunkParts parts;
    spoil(&parts);
    return HeadDefect(parts);
  };
  EXPECT_EQ(Told(reader_.ReadHead("", kSource)), "CHUNK_DAMAGED: its head has only 0 bytes");
  EXPECT_EQ(Told(reader_.ReadHead(std::string(51, 'M'), kSource)), "CHUNK_DAMAGED: its head has only 51 bytes");
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->magic = "MLC2"; }), HasSubstr("MLC1"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->version = 0; }), HasSubstr("its version is 0"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->flags = 4; }), HasSubstr("unknown bit"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->source = 8; }), HasSubstr("of source 8, not 7"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->runs = 0; }), HasSubstr("2 lines in 0 runs"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->runs = 3; }), HasSubstr("2 lines in 3 runs"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->lines = 65'537; }), HasSubstr("65537 lines"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->text_bytes = 1; }), HasSubstr("1 bytes of text in 2 lines"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->text_bytes = 1'048'577; }), HasSubstr("1048577 bytes of text"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->text_bytes = 11; }),
              HasSubstr("11 bytes of text are stored as 10"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->column_bytes = 2'097'153; }),
              HasSubstr("2097153 bytes of columns"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->column_stored_bytes = 8; }),
              HasSubstr("7 bytes of columns are there, not 8"));
  EXPECT_THAT(defect([](ChunkParts* parts) { parts->column_bytes = 6; }),
              HasSubstr("6 bytes of columns are stored as 7"));
}

TEST_F(ChunkReaderTest, NamesWhatIsWrongWithColumns) {
  // Runs, the kinds of two lines, one step.
  const auto defect = [&](std::string columns, std::uint64_t runs = 1, std::uint64_t lines = 2) {
    ChunkParts parts;
    parts.runs = runs;
    parts.lines = lines;
    parts.SetColumns(columns, columns.size());
    return HeadDefect(parts);
  };
  using std::string_literals::operator""s;
  EXPECT_EQ(defect("\x64\x02\x00\x0D\x16\x00"s), "OK: ");
  EXPECT_EQ(defect("\x64\x01\x00\x00\x01\x00\x0D\x16\x00"s, 2), "OK: ") << "two runs that might be one";
  EXPECT_THAT(defect(""), HasSubstr("its runs end early"));
  EXPECT_THAT(defect("\x64\x02"s), HasSubstr("its runs end early"));
  EXPECT_THAT(defect("\xE4\x00\x02\x00\x0D\x16\x00"s), HasSubstr("a number that is none")) << "not the shortest form";
  EXPECT_THAT(defect("\x64\x00\x00\x0D\x16\x00"s), HasSubstr("lines of its runs"));
  EXPECT_THAT(defect("\x64\x01\x00\x0D\x16\x00"s), HasSubstr("lines of its runs"));
  EXPECT_THAT(defect("\x64\x03\x00\x0D\x16\x00"s), HasSubstr("lines of its runs"));
  EXPECT_THAT(defect("\x64\x02\x00\x00\x00\x00\x0D\x16\x00"s, 2), HasSubstr("lines of its runs"));
  EXPECT_THAT(defect("\x00\x02\x00\x0D\x16\x00"s), HasSubstr("a line number"));
  EXPECT_THAT(defect("\x64\x02\x00\x0D\x1D\x00"s), HasSubstr("kind"));
  EXPECT_THAT(defect("\x64\x02\x00\x0D\x80\x00"s), HasSubstr("kind"));
  EXPECT_THAT(defect("\x64\x02\x00\x0D\x16"s), HasSubstr("its columns end early"));
  EXPECT_THAT(defect("\x64\x02\x00\x0D"s), HasSubstr("its columns end early"));
  EXPECT_THAT(defect("\x64\x02\x00\x0D\x16\x80"s), HasSubstr("its columns end early"));
  EXPECT_THAT(defect("\x64\x02\x00\x0D\x16\x00\x00"s), HasSubstr("something follows"));
  EXPECT_EQ(reader_.lines().size(), 0U) << "nothing is told of a damaged chunk";
}

TEST_F(ChunkReaderTest, NumbersStayBelowTheirEnd) {
  using std::string_literals::operator""s;
  const auto defect = [&](std::string first, std::string behind = "\x02\x00\x0D\x16\x00"s) {
    ChunkParts parts;
    const std::string columns = first + behind;
    parts.SetColumns(columns, columns.size());
    return HeadDefect(parts);
  };
  const std::string ones = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s;
  EXPECT_EQ(defect("\xFE"s + ones + "\x3F"), "OK: ") << "2^62 - 2 and 2^62 - 1";
  EXPECT_THAT(defect("\xFF"s + ones + "\x3F"), HasSubstr("not below 2^62"));
  EXPECT_THAT(defect("\xFF"s + ones + "\xFF\x01"), HasSubstr("not below 2^62")) << "2^64 - 1";
  EXPECT_THAT(defect("\xFF"s + ones + "\xFF\x02"), HasSubstr("a number that is none")) << "65 bits";
  EXPECT_THAT(defect("\xFF"s + ones + "\xFF\x80\x01"), HasSubstr("a number that is none")) << "11 bytes";
  EXPECT_THAT(defect("\x64"s, "\xFF"s + ones + "\xFF\x01" + "\x00\x0D\x16\x00"s), HasSubstr("lines of its runs"));
}

TEST_F(ChunkReaderTest, TimesStayInTheirYears) {
  // A step of 1 microsecond forward (2) or back (1).
  const auto defect = [&](std::int64_t base_time_us, char step) {
    ChunkParts parts;
    parts.base_time_us = base_time_us;
    parts.columns.resize(5);
    parts.columns += step;
    parts.column_bytes = 6;
    return HeadDefect(parts);
  };
  EXPECT_EQ(defect(0, 2), "OK: ");
  EXPECT_EQ(defect(kMaxLineTimeUs, 1), "OK: ");
  EXPECT_THAT(defect(-1, 2), HasSubstr("a time is not in the years"));
  EXPECT_THAT(defect(0, 1), HasSubstr("a time is not in the years"));
  EXPECT_THAT(defect(kMaxLineTimeUs, 2), HasSubstr("a time is not in the years"));
  EXPECT_THAT(defect(kMaxLineTimeUs + 1, 1), HasSubstr("a time is not in the years"));
  EXPECT_THAT(defect(std::numeric_limits<std::int64_t>::min(), 1), HasSubstr("a time is not in the years"));
}

TEST_F(ChunkReaderTest, NamesWhatIsWrongWithCompressedColumns) {
  const auto defect = [&](std::string stored, std::uint64_t raw_bytes) {
    ChunkParts parts;
    parts.flags = 1;
    parts.SetColumns(std::move(stored), raw_bytes);
    return HeadDefect(parts);
  };
  const std::string frame = ZstdFrameOf(ChunkParts().columns);
  EXPECT_EQ(defect(frame, 7), "OK: ");
  EXPECT_THAT(defect("", 7), HasSubstr("no zstd frame"));
  EXPECT_THAT(defect(ChunkParts().columns, 7), HasSubstr("no zstd frame"));
  EXPECT_THAT(defect(frame, 8), HasSubstr("declares 7 bytes, its head 8"));
  EXPECT_THAT(defect(frame + "x", 7), HasSubstr("something follows the frame"));
  EXPECT_THAT(defect(frame + frame, 14), HasSubstr("something follows the frame"));
  EXPECT_THAT(defect(frame.substr(0, frame.size() - 1), 7), HasSubstr("a zstd frame is broken"));
}

TEST_F(ChunkReaderTest, NamesWhatIsWrongWithAText) {
  const auto defect = [&](const std::string& text, std::uint64_t lines = 2) {
    ChunkParts parts;
    parts.text = text;
    parts.text_bytes = text.size();
    parts.lines = lines;
    return TextDefect(parts);
  };
  EXPECT_EQ(defect("\n\n"), "OK: ");
  EXPECT_THAT(defect("a\nb"), HasSubstr("does not end in a newline"));
  EXPECT_THAT(defect("ab\n"), HasSubstr("the text has 1 lines, not 2"));
  EXPECT_THAT(defect("a\nb\n\n"), HasSubstr("the text has 3 lines, not 2"));
  EXPECT_EQ(defect("\n" + std::string(16'384, 'a') + "\n"), "OK: ");
  EXPECT_THAT(defect("\n" + std::string(16'385, 'a') + "\n"), HasSubstr("line 2 of the text has 16385 bytes"));
  ChunkParts wrong;
  wrong.text_crc = 1;
  EXPECT_THAT(TextDefect(wrong), HasSubstr("the checksum of its text"));
  EXPECT_EQ(Told(reader_.ReadText("ready\n", &buffer_).status()), "CHUNK_DAMAGED: its text has 6 bytes, not 10");
}

TEST_F(ChunkReaderTest, ReadsTextOfSeveralFrames) {
  ChunkParts parts;
  parts.SetText(ZstdFrameOf("rea") + ZstdFrameOf("dy\nb") + ZstdFrameOf("") + ZstdFrameOf("ad\n"), 10);
  ASSERT_EQ(ReadHead(parts), absl::OkStatus());
  EXPECT_EQ(*reader_.ReadText(parts.text, &buffer_), "ready\nbad\n");
  EXPECT_THAT(*reader_.TextFrames(parts.text), SizeIs(4));
}

TEST_F(ChunkReaderTest, NamesWhatIsWrongWithCompressedText) {
  const auto defect = [&](std::string stored, std::uint64_t raw_bytes = 10) {
    ChunkParts parts;
    parts.SetText(std::move(stored), raw_bytes);
    return TextDefect(parts);
  };
  using std::string_literals::operator""s;
  const std::string frame = ZstdFrameOf("ready\nbad\n");
  EXPECT_EQ(defect(frame), "OK: ");
  EXPECT_THAT(defect(""), HasSubstr("declare less than its head"));
  EXPECT_THAT(defect(frame, 11), HasSubstr("declare less than its head"));
  EXPECT_THAT(defect(frame, 9), HasSubstr("declare more than its head"));
  EXPECT_THAT(defect(frame + frame), HasSubstr("declare more than its head"));
  EXPECT_THAT(defect(ZstdFrameOf(std::string(2'000'000, 'a'))), HasSubstr("declare more than its head"));
  EXPECT_THAT(defect(frame + "x"), HasSubstr("no zstd frame"));
  EXPECT_THAT(defect("\x50\x2A\x4D\x18\x00\x00\x00\x00"s + frame), HasSubstr("no zstd frame")) << "skippable";
  EXPECT_THAT(defect("\x27\xB5\x2F\xFD"s + frame.substr(4)), HasSubstr("no zstd frame")) << "zstd 0.7";
  EXPECT_THAT(defect(frame.substr(0, 6)), HasSubstr("a zstd frame is broken"));
  EXPECT_THAT(defect("\x28\xB5\x2F\xFD"s), HasSubstr("a zstd frame is broken"));
  // Descriptors of RFC 8878: 4 tells no size, 1 names a dictionary, and then a window of 2 MiB.
  EXPECT_THAT(defect("\x28\xB5\x2F\xFD\x00\x50\x51\x00\x00"s + "ready\nbad\n"), HasSubstr("its content's size"));
  EXPECT_THAT(defect("\x28\xB5\x2F\xFD\x21\x05\x0A\x51\x00\x00"s + "ready\nbad\n"), HasSubstr("a dictionary"));
  EXPECT_THAT(defect("\x28\xB5\x2F\xFD\x80\x58\x0A\x00\x00\x00\x51\x00\x00"s + "ready\nbad\n"), HasSubstr("window"));
  EXPECT_EQ(defect("\x28\xB5\x2F\xFD\x80\x50\x0A\x00\x00\x00\x51\x00\x00"s + "ready\nbad\n"), "OK: ") << "1 MiB";
  // A content that is not the declared one: a block of 10 bytes where 11 are declared.
  EXPECT_THAT(defect("\x28\xB5\x2F\xFD\x20\x0B\x51\x00\x00"s + "ready\nbad\n", 11),
              HasSubstr("cannot be decompressed"));
  std::string many;
  for (int i = 0; i < 64; ++i) many += ZstdFrameOf("");
  EXPECT_THAT(defect(many + frame), HasSubstr("too many frames"));
}

TEST_F(ChunkReaderTest, UsesABufferAgain) {
  MadeUpLines made_up(4);
  std::vector<Chunk> chunks;
  for (const std::size_t lines : {900U, 100U}) {
    ChunkWriter writer(kSource, &codec_);
    ASSERT_TRUE(writer.Add(made_up.Block(1, lines).View()).ok());
    chunks.push_back(writer.Finish());
  }
  ASSERT_TRUE(reader_.ReadHead(chunks[0].head, kSource).ok());
  const auto first = reader_.ReadText(chunks[0].text, &buffer_);
  ASSERT_TRUE(first.ok());
  const char* const place = first->data();
  const std::size_t size = buffer_.size();
  ASSERT_TRUE(reader_.ReadHead(chunks[1].head, kSource).ok());
  const auto second = reader_.ReadText(chunks[1].text, &buffer_);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->data(), place);
  EXPECT_THAT(*second, SizeIs(reader_.text_bytes()));
  EXPECT_THAT(buffer_, SizeIs(size));
}

TEST_F(ChunkReaderTest, WithoutAHeadHasNoText) {
  EXPECT_FALSE(reader_.ReadText("", &buffer_).ok());
  EXPECT_FALSE(reader_.ReadText("a\n", &buffer_).ok());
}

}  // namespace
}  // namespace muster::hub
