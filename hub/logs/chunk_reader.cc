#include "hub/logs/chunk_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/logs/kinds.h"
#include "common/status.h"
#include "hub/logs/chunk_bytes.h"

namespace muster::hub {

absl::Status ChunkReader::ReadHead(std::string_view head, std::int64_t source) {
  absl::Status read = Read(head, source);
  if (!read.ok()) Forget();
  return read;
}

void ChunkReader::Forget() {
  header_ = {};
  lines_.source = 0;
  lines_.runs.clear();
  lines_.kinds.clear();
  lines_.times_us.clear();
}

absl::Status ChunkReader::Read(std::string_view head, std::int64_t source) {
  Forget();
  ASSIGN_OR_RETURN(header_, ParseHead(head, source));
  lines_.source = source;
  ASSIGN_OR_RETURN(const std::string_view columns, Columns(head.substr(kChunkHeaderBytes)));
  ByteReader bytes(columns);
  RETURN_IF_ERROR(ReadRuns(&bytes));
  lines_.kinds = bytes.Take(header_.lines);
  if (!std::all_of(lines_.kinds.begin(), lines_.kinds.end(), IsKindByte)) {
    return ChunkDamaged("a line's kind has a value that is not used");
  }
  RETURN_IF_ERROR(ReadTimes(&bytes));
  if (bytes.failed()) return ChunkDamaged("its columns end early, or hold a number that is none");
  if (!bytes.rest().empty()) return ChunkDamaged("something follows its columns");
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> ChunkReader::Columns(std::string_view stored) {
  if ((header_.flags & kColumnsCompressed) == 0) return stored;
  ASSIGN_OR_RETURN(const ZstdFrame frame, FirstFrame(stored));
  if (frame.stored.size() != stored.size()) return ChunkDamaged("something follows the frame of its columns");
  if (frame.raw_bytes != header_.column_bytes) {
    return ChunkDamaged(
        fmt::format("the frame of its columns declares {} bytes, its head {}", frame.raw_bytes, header_.column_bytes));
  }
  columns_.resize(header_.column_bytes);
  RETURN_IF_ERROR(codec_->Decompress(stored, columns_));
  return columns_;
}

absl::Status ChunkReader::ReadRuns(ByteReader* columns) {
  std::int64_t end = 0;
  std::uint64_t missing_lines = header_.lines;
  lines_.runs.reserve(header_.runs);
  for (std::size_t i = 0; i < header_.runs; ++i) {
    const std::uint64_t distance = columns->Varint();
    const std::uint64_t lines = columns->Varint();
    const std::int64_t shift_us = UnZigZag(columns->Varint());
    if (columns->failed()) return ChunkDamaged("its runs end early, or hold a number that is none");
    if (lines == 0 || lines > missing_lines) return ChunkDamaged("the lines of its runs are not those of its head");
    const auto room = static_cast<std::uint64_t>(kEndOfLineNumbers - end);
    if ((i == 0 && distance == 0) || distance > room || lines > room - distance) {
      return ChunkDamaged("a line number is below 1 or not below 2^62");
    }
    if (shift_us < -kMaxShiftUs || shift_us > kMaxShiftUs) return ChunkDamaged("a shift is longer than 9999 years");
    const LineRun run = {.first_line = end + static_cast<std::int64_t>(distance), .lines = lines, .shift_us = shift_us};
    lines_.runs.push_back(run);
    missing_lines -= lines;
    end = EndOf(run);
  }
  if (missing_lines != 0) return ChunkDamaged("the lines of its runs are not those of its head");
  return absl::OkStatus();
}

absl::Status ChunkReader::ReadTimes(ByteReader* columns) {
  std::int64_t time_us = header_.base_time_us;
  lines_.times_us.reserve(header_.lines);
  bool is_within = time_us >= 0 && time_us <= kMaxLineTimeUs;
  for (std::size_t i = 0; is_within && i < header_.lines; ++i) {
    const std::int64_t step_us = i == 0 ? 0 : UnZigZag(columns->Varint());
    is_within = step_us >= -time_us && step_us <= kMaxLineTimeUs - time_us;
    if (is_within) lines_.times_us.push_back(time_us += step_us);
  }
  if (!is_within) return ChunkDamaged("a time is not in the years 1970 to 9999");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ZstdFrame>> ChunkReader::TextFrames(std::string_view stored) const {
  if (stored.size() != header_.text_stored_bytes) {
    return ChunkDamaged(fmt::format("its text has {} bytes, not {}", stored.size(), header_.text_stored_bytes));
  }
  if (Crc32(stored) != header_.text_crc) return ChunkDamaged("the checksum of its text is wrong");
  std::vector<ZstdFrame> frames;
  if (!text_is_compressed()) return frames;
  std::uint64_t missing_bytes = header_.text_bytes;
  while (!stored.empty()) {
    if (frames.size() == kMaxChunkFrames) return ChunkDamaged("its text has too many frames");
    ASSIGN_OR_RETURN(const ZstdFrame frame, FirstFrame(stored));
    if (frame.raw_bytes > missing_bytes) return ChunkDamaged("the frames of its text declare more than its head");
    missing_bytes -= frame.raw_bytes;
    stored.remove_prefix(frame.stored.size());
    frames.push_back(frame);
  }
  if (missing_bytes != 0) return ChunkDamaged("the frames of its text declare less than its head");
  return frames;
}

absl::StatusOr<std::string_view> ChunkReader::ReadText(std::string_view stored, std::string* buffer) const {
  RETURN_IF_ERROR(TextFrames(stored).status());
  std::string_view text = stored;
  if (text_is_compressed()) {
    if (buffer->size() < text_bytes()) buffer->resize(text_bytes());
    const std::span<char> raw(buffer->data(), text_bytes());
    RETURN_IF_ERROR(codec_->Decompress(stored, raw));
    text = {raw.data(), raw.size()};
  }
  if (const std::string defect = FindTextDefect(text, lines_.size()); !defect.empty()) return ChunkDamaged(defect);
  return text;
}

}  // namespace muster::hub
