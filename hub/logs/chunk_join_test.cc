// Chunks of one source made into one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/chunk_writer.h"
#include "hub/logs/testing/chunk_parts.h"
#include "hub/logs/testing/made_up_lines.h"

namespace muster::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::int64_t kSource = 7;

class ChunkJoinTest : public testing::Test {
 protected:
  Chunk ChunkOf(const OwnedBlock& block) {
    ChunkWriter writer(kSource, &codec_);
    EXPECT_EQ(writer.Add(block.View()), absl::OkStatus());
    return writer.Finish();
  }
  // Of so many bytes of text; its first line has the number `line`.
  Chunk ChunkOfBytes(std::int64_t line, std::size_t bytes) {
    OwnedBlock block = made_up_.BlockOfText(line, bytes / 2);
    if (bytes < 1'000) block = {.first_line = line, .shift_us = 0, .kinds = "", .times_us = {}, .text = ""};
    while (block.text.size() + 10'000 < bytes) block.Append({}, kTestTimeUs, std::string(9'999, 'x'));
    block.Append({}, kTestTimeUs, std::string(bytes - block.text.size() - 1, 'y'));
    EXPECT_EQ(block.text.size(), bytes);
    return ChunkOf(block);
  }
  absl::Status Join(ChunkWriter* writer, const Chunk& chunk) {
    RETURN_IF_ERROR(reader_.ReadHead(chunk.head, kSource));
    return writer->Join(reader_, chunk.text);
  }
  Chunk Joined(const std::vector<Chunk>& chunks) {
    ChunkWriter writer(kSource, &codec_);
    for (const Chunk& chunk : chunks) EXPECT_EQ(Join(&writer, chunk), absl::OkStatus());
    return writer.Finish();
  }
  ChunkLines LinesOf(const Chunk& chunk) {
    EXPECT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    return reader_.lines();
  }
  std::string TextOf(const Chunk& chunk) {
    EXPECT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    const auto text = reader_.ReadText(chunk.text, &buffer_);
    EXPECT_EQ(text.status(), absl::OkStatus());
    return std::string(*text);
  }
  std::vector<std::uint64_t> FrameSizes(const Chunk& chunk) {
    EXPECT_EQ(reader_.ReadHead(chunk.head, kSource), absl::OkStatus());
    const auto frames = reader_.TextFrames(chunk.text);
    EXPECT_EQ(frames.status(), absl::OkStatus());
    std::vector<std::uint64_t> sizes;
    for (const ZstdFrame& frame : *frames) sizes.push_back(frame.raw_bytes);
    return sizes;
  }

  ZstdCodec codec_;
  ChunkReader reader_{&codec_};
  std::string buffer_;
  MadeUpLines made_up_{5};
};

TEST_F(ChunkJoinTest, KeepsFramesOf48KibibytesAsTheyAre) {
  const std::vector<Chunk> chunks = {ChunkOfBytes(1, 49'151), ChunkOfBytes(10'000, 49'152),
                                     ChunkOfBytes(20'000, 49'153)};
  const Chunk joined = Joined(chunks);
  EXPECT_THAT(FrameSizes(joined), ElementsAre(49'151, 49'152, 49'153));
  EXPECT_TRUE(joined.text.ends_with(chunks[1].text + chunks[2].text));
  EXPECT_EQ(TextOf(joined), TextOf(chunks[0]) + TextOf(chunks[1]) + TextOf(chunks[2]));
}

TEST_F(ChunkJoinTest, CompressesSmallerFramesTogether) {
  std::vector<Chunk> chunks;
  std::size_t stored_bytes = 0;
  for (std::int64_t i = 0; i < 20; ++i) {
    chunks.push_back(ChunkOf(made_up_.Block(1 + 100 * i, 100)));
    stored_bytes += chunks.back().text.size();
  }
  const Chunk joined = Joined(chunks);
  EXPECT_EQ(FrameSizes(joined).size(), 1U);
  EXPECT_LT(joined.text.size(), stored_bytes * 9 / 10);
  EXPECT_THAT(LinesOf(joined).runs, ElementsAre(LineRun{.first_line = 1, .lines = 2'000, .shift_us = 0}));
}

TEST_F(ChunkJoinTest, CompressesWhatLiesBetweenKeptFrames) {
  const std::vector<Chunk> chunks = {ChunkOfBytes(1, 2'000),       ChunkOfBytes(10'000, 3'000),
                                     ChunkOfBytes(20'000, 60'000), ChunkOfBytes(30'000, 10),
                                     ChunkOfBytes(40'000, 70'000), ChunkOfBytes(50'000, 20)};
  const Chunk joined = Joined(chunks);
  EXPECT_THAT(FrameSizes(joined), ElementsAre(5'000, 60'000, 10, 70'000, 20));
  std::string text;
  for (const Chunk& chunk : chunks) text += TextOf(chunk);
  EXPECT_EQ(TextOf(joined), text);
  // Once more, with a neighbour: what is small meets what is small.
  const Chunk again = Joined({joined, ChunkOfBytes(60'000, 30)});
  EXPECT_THAT(FrameSizes(again), ElementsAre(5'000, 60'000, 10, 70'000, 50));
}

TEST_F(ChunkJoinTest, PutsWhatIsNotCompressedIntoFramesBesideKeptOnes) {
  const Chunk noise = ChunkOf([&] {
    OwnedBlock block;
    block.first_line = 100'000;
    for (int i = 0; i < 5; ++i) block.Append({}, kTestTimeUs, made_up_.Noise(12'000));
    return block;
  }());
  EXPECT_THAT(FrameSizes(noise), IsEmpty());
  const Chunk joined = Joined({ChunkOfBytes(1, 50'000), noise});
  EXPECT_THAT(FrameSizes(joined), ElementsAre(50'000, 60'005));
  EXPECT_TRUE(TextOf(joined).ends_with(noise.text));
}

TEST_F(ChunkJoinTest, LeavesSmallTextsAsTheyAre) {
  const Chunk joined = Joined({ChunkOfBytes(1, 100), ChunkOfBytes(1'000, 200)});
  EXPECT_THAT(FrameSizes(joined), IsEmpty());
  EXPECT_EQ(joined.text.size(), 300U);
}

TEST_F(ChunkJoinTest, RefusesWhatDoesNotFit) {
  ChunkWriter writer(kSource, &codec_);
  ASSERT_EQ(Join(&writer, ChunkOfBytes(1, 1'000'000)), absl::OkStatus());
  EXPECT_EQ(ReasonOf(Join(&writer, ChunkOfBytes(100'000, 48'577))), "CHUNK_FULL");
  EXPECT_EQ(ReasonOf(Join(&writer, ChunkOfBytes(1, 100))), "BAD_LINES") << "its numbers are not behind";
  ASSERT_EQ(Join(&writer, ChunkOfBytes(100'000, 48'576)), absl::OkStatus());
  EXPECT_EQ(writer.text_bytes(), kMaxChunkTextBytes);
  EXPECT_EQ(TextOf(writer.Finish()).size(), kMaxChunkTextBytes);
}

TEST_F(ChunkJoinTest, RefusesAnotherSource) {
  ChunkWriter writer(kSource + 1, &codec_);
  EXPECT_THAT(MessageOf(Join(&writer, ChunkOfBytes(1, 100))), HasSubstr("of source 7, not 8"));
  EXPECT_EQ(ReasonOf(writer.Join(ChunkReader(&codec_), "")), "BAD_LINES");
}

TEST_F(ChunkJoinTest, IsAsItWasAfterDamage) {
  const std::vector<Chunk> chunks = {ChunkOfBytes(1, 60'000), ChunkOfBytes(10'000, 5'000)};
  ChunkParts broken;
  // Its second frame is of a content that it does not declare.
  broken.columns[0] = 0x01;
  broken.SetText(ZstdFrameOf("ready\n") + std::string("\x28\xB5\x2F\xFD\x20\x04\x21\x00\x00"
                                                      "bad\n!",
                                                      14),
                 10);
  ChunkWriter writer(kSource, &codec_);
  EXPECT_EQ(ReasonOf(Join(&writer, {.head = broken.Head(), .text = broken.text})), "CHUNK_DAMAGED");
  ASSERT_EQ(Join(&writer, chunks[0]), absl::OkStatus());
  Chunk flipped = chunks[1];
  flipped.text[100] = static_cast<char>(flipped.text[100] ^ 1);
  EXPECT_EQ(ReasonOf(Join(&writer, flipped)), "CHUNK_DAMAGED");
  ASSERT_EQ(Join(&writer, chunks[1]), absl::OkStatus());
  const Chunk joined = writer.Finish();
  const Chunk expected = Joined(chunks);
  EXPECT_EQ(joined.head, expected.head);
  EXPECT_EQ(joined.text, expected.text);
}

// Numbers, times, kinds and text of each line are the same before and after, in whatever order neighbours are joined.
TEST_F(ChunkJoinTest, ChangesNoLine) {
  constexpr std::uint64_t kSeed = 20'261'121;
  MadeUpLines made_up(kSeed);
  for (int round = 0; round < 20; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << kSeed << ", round " << round);
    std::vector<Chunk> chunks;
    ChunkWriter at_once(kSource, &codec_);
    std::int64_t line = 1;
    for (int i = 0; i < 12; ++i) {
      const std::size_t lines = 1 + made_up.Number(made_up.Number(4) == 0 ? 900 : 20);
      OwnedBlock block = made_up.Block(line, lines);
      block.shift_us = static_cast<std::int64_t>(made_up.Number(2)) * 500;
      ASSERT_EQ(at_once.Add(block.View()), absl::OkStatus());
      chunks.push_back(ChunkOf(block));
      line += static_cast<std::int64_t>(lines + made_up.Number(2) * made_up.Number(1'000));
    }
    while (chunks.size() > 1) {
      const auto first = chunks.begin() + static_cast<std::ptrdiff_t>(made_up.Number(chunks.size() - 1));
      *first = Joined({first[0], first[1]});
      chunks.erase(first + 1);
    }
    const Chunk expected = at_once.Finish();
    EXPECT_EQ(LinesOf(chunks[0]), LinesOf(expected));
    EXPECT_EQ(TextOf(chunks[0]), TextOf(expected));
  }
}

}  // namespace
}  // namespace muster::hub
