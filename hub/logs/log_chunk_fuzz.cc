// Chunks from a damaged disk, or of somebody who knows the checksums: the input is a head and a text, and both
// checksums are made right before they are read. What is accepted is within the limits, can be written and joined, and
// reads the same again.
//
// Input: two bytes, little endian, how long the head is; the head; the text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/logs/chunk_bytes.h"
#include "hub/logs/chunk_header.h"
#include "hub/logs/chunk_reader.h"
#include "hub/logs/chunk_writer.h"

namespace {

using namespace muster::hub;  // NOLINT: one file

void Require(bool condition) {
  if (!condition) std::abort();
}

void PutCrc(std::string* head, std::size_t at, std::uint32_t crc) {
  for (std::size_t i = 0; i < 4; ++i) (*head)[at + i] = static_cast<char>(crc >> 8 * i);
}

void MendChecksums(std::string* head, std::string_view text) {
  if (head->size() < kChunkHeaderBytes) return;
  PutCrc(head, 28, Crc32(text));
  PutCrc(head, 48, Crc32(std::string_view(*head).substr(52), Crc32(std::string_view(*head).substr(0, 48))));
}

std::int64_t SourceOf(const std::string& head) {
  return head.size() < 16 ? 0 : static_cast<std::int64_t>(ByteReader(head.substr(8)).LittleEndian<std::uint64_t>());
}

struct Content {
  std::string kinds;
  std::vector<std::int64_t> times_us;
  std::vector<std::int64_t> numbers;
  std::vector<std::int64_t> shifts_us;
  std::string text;
  bool operator==(const Content&) const = default;
};

// Of a chunk that must be good.
Content Read(const Chunk& chunk, std::int64_t source, ZstdCodec* codec) {
  ChunkReader reader(codec);
  std::string buffer;
  Require(reader.ReadHead(chunk.head, source).ok());
  const auto text = reader.ReadText(chunk.text, &buffer);
  Require(text.ok());
  const ChunkLines& lines = reader.lines();
  Content content{
      .kinds = lines.kinds, .times_us = lines.times_us, .numbers = {}, .shifts_us = {}, .text = std::string(*text)};
  for (const LineRun& run : lines.runs) {
    for (std::size_t i = 0; i < run.lines; ++i) {
      content.numbers.push_back(run.first_line + static_cast<std::int64_t>(i));
      content.shifts_us.push_back(run.shift_us);
    }
  }
  return content;
}

// Run by run, as records come.
Chunk WriteAgain(const ChunkReader& reader, std::string_view text, ZstdCodec* codec) {
  const ChunkLines& lines = reader.lines();
  ChunkWriter writer(lines.source, codec);
  std::size_t line = 0;
  for (const LineRun& run : lines.runs) {
    std::size_t end = 0;
    for (std::size_t i = 0; i < run.lines; ++i) end = text.find('\n', end) + 1;
    Require(writer
                .Add({.first_line = run.first_line,
                      .shift_us = run.shift_us,
                      .kinds = std::string_view(lines.kinds).substr(line, run.lines),
                      .times_us = std::span(lines.times_us).subspan(line, run.lines),
                      .text = text.substr(0, end)})
                .ok());
    text.remove_prefix(end);
    line += run.lines;
  }
  return writer.Finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static ZstdCodec codec;
  static ChunkReader reader(&codec);
  static std::string buffer;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  std::string head(bytes.substr(0, data[0] | std::size_t{data[1]} << 8));
  const std::string text(bytes.substr(head.size()));
  const std::int64_t source = SourceOf(head);
  reader.ReadHead(head, source).IgnoreError();
  MendChecksums(&head, text);
  if (!reader.ReadHead(head, source).ok()) {
    Require(reader.lines().size() == 0 && reader.text_bytes() == 0);
    return 0;
  }
  Require(reader.lines().size() <= kMaxChunkLines && reader.lines().runs.size() <= kMaxChunkRuns);
  const auto read = reader.ReadText(text, &buffer);
  Require(buffer.size() <= kMaxChunkTextBytes);
  if (!read.ok()) return 0;
  Require(read->size() <= kMaxChunkTextBytes);
  const Content content = Read({.head = head, .text = text}, source, &codec);
  Require(Read(WriteAgain(reader, *read, &codec), source, &codec) == content);
  ChunkWriter joined(source, &codec);
  Require(joined.Join(reader, text).ok());
  Require(Read(joined.Finish(), source, &codec) == content);
  return 0;
}
