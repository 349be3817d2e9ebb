#include "hub/logs/chunk_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "common/logs/kinds.h"
#include "common/status.h"
#include "hub/logs/chunk_bytes.h"
#include "hub/logs/chunk_header.h"

namespace muster::hub {
namespace {

absl::Status BadLines(std::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_LINES", what);
}

absl::Status CheckLimit(std::size_t value, std::size_t limit, std::string_view what) {
  if (value <= limit) return absl::OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted, "CHUNK_FULL",
                   fmt::format("the chunk would have {} {}, {} is the limit", value, what, limit));
}

absl::Status CheckBlock(const LineBlock& block) {
  const std::size_t lines = block.kinds.size();
  if (lines == 0 || block.times_us.size() != lines) {
    return BadLines(fmt::format("{} kinds and {} times", lines, block.times_us.size()));
  }
  if (const std::string defect = FindTextDefect(block.text, lines); !defect.empty()) return BadLines(defect);
  if (!std::all_of(block.kinds.begin(), block.kinds.end(), IsKindByte)) return BadLines("a kind that is none");
  const auto is_time = [](std::int64_t time_us) { return time_us >= 0 && time_us <= kMaxLineTimeUs; };
  if (!std::all_of(block.times_us.begin(), block.times_us.end(), is_time)) {
    return BadLines("a time outside the years 1970 to 9999");
  }
  if (block.shift_us < -kMaxShiftUs || block.shift_us > kMaxShiftUs) return BadLines("a shift beyond 9999 years");
  if (block.first_line < 1 || block.first_line > kEndOfLineNumbers - static_cast<std::int64_t>(lines)) {
    return BadLines("a line number below 1 or not below 2^62");
  }
  return absl::OkStatus();
}

void AppendRuns(const std::vector<LineRun>& runs, std::string* out) {
  std::int64_t end = 0;
  for (const LineRun& run : runs) {
    AppendVarint(static_cast<std::uint64_t>(run.first_line - end), out);
    AppendVarint(run.lines, out);
    AppendVarint(ZigZag(run.shift_us), out);
    end = EndOf(run);
  }
}

bool IsKept(const ZstdFrame& frame) { return frame.raw_bytes >= kKeptFrameBytes; }

}  // namespace

absl::Status ChunkWriter::Add(const LineBlock& block) {
  RETURN_IF_ERROR(CheckBlock(block));
  const LineRun run = {.first_line = block.first_line, .lines = block.kinds.size(), .shift_us = block.shift_us};
  RETURN_IF_ERROR(CheckRoom({&run, 1}, block.kinds.size(), block.text.size()));
  AppendColumns({&run, 1}, block.kinds, block.times_us);
  open_text_ += block.text;
  text_bytes_ += block.text.size();
  return absl::OkStatus();
}

absl::Status ChunkWriter::Join(const ChunkReader& chunk, std::string_view stored_text) {
  const ChunkLines& lines = chunk.lines();
  if (lines.size() == 0) return BadLines("no head was read");
  if (lines.source != source_) return BadLines(fmt::format("of source {}, not {}", lines.source, source_));
  RETURN_IF_ERROR(CheckRoom(lines.runs, lines.size(), chunk.text_bytes()));
  ASSIGN_OR_RETURN(const std::vector<ZstdFrame> frames, chunk.TextFrames(stored_text));
  std::string small_frames;
  for (const ZstdFrame& frame : frames) {
    if (IsKept(frame)) continue;
    const std::size_t before = small_frames.size();
    small_frames.resize(before + frame.raw_bytes);
    RETURN_IF_ERROR(codec_->Decompress(frame.stored, std::span(small_frames).subspan(before)));
  }
  AppendColumns(lines.runs, lines.kinds, lines.times_us);
  text_bytes_ += chunk.text_bytes();
  if (!chunk.text_is_compressed()) open_text_ += stored_text;
  std::string_view small_rest = small_frames;
  for (const ZstdFrame& frame : frames) {
    if (IsKept(frame)) {
      CloseFrame();
      frames_ += frame.stored;
    } else {
      open_text_ += small_rest.substr(0, frame.raw_bytes);
      small_rest.remove_prefix(frame.raw_bytes);
    }
  }
  return absl::OkStatus();
}

absl::Status ChunkWriter::CheckRoom(std::span<const LineRun> runs, std::size_t lines, std::size_t text_bytes) const {
  if (!runs_.empty() && runs.front().first_line < EndOf(runs_.back())) {
    return BadLines(
        fmt::format("line {} does not lie behind line {}", runs.front().first_line, EndOf(runs_.back()) - 1));
  }
  RETURN_IF_ERROR(CheckLimit(runs_.size() + runs.size() - (IsContinued(runs.front()) ? 1 : 0), kMaxChunkRuns, "runs"));
  RETURN_IF_ERROR(CheckLimit(kinds_.size() + lines, kMaxChunkLines, "lines"));
  return CheckLimit(text_bytes_ + text_bytes, kMaxChunkTextBytes, "bytes of text");
}

bool ChunkWriter::IsContinued(const LineRun& run) const {
  return !runs_.empty() && EndOf(runs_.back()) == run.first_line && runs_.back().shift_us == run.shift_us;
}

void ChunkWriter::AppendColumns(std::span<const LineRun> runs, std::string_view kinds,
                                std::span<const std::int64_t> times_us) {
  if (IsContinued(runs.front())) {
    runs_.back().lines += runs.front().lines;
    runs = runs.subspan(1);
  }
  runs_.insert(runs_.end(), runs.begin(), runs.end());
  if (kinds_.empty()) {
    base_time_us_ = last_time_us_ = times_us.front();
    times_us = times_us.subspan(1);
  }
  kinds_ += kinds;
  for (const std::int64_t time_us : times_us) {
    AppendVarint(ZigZag(time_us - std::exchange(last_time_us_, time_us)), &time_steps_);
  }
}

void ChunkWriter::CloseFrame() {
  if (open_text_.empty()) return;
  codec_->Compress(open_text_, &frames_);
  open_text_.clear();
}

Chunk ChunkWriter::Finish() {
  if (kinds_.empty()) std::abort();  // there is no chunk without a line
  ChunkHeader header = {.runs = static_cast<std::uint16_t>(runs_.size()),
                        .source = source_,
                        .lines = static_cast<std::uint32_t>(kinds_.size()),
                        .text_bytes = static_cast<std::uint32_t>(text_bytes_),
                        .base_time_us = base_time_us_};
  Chunk chunk;
  if (frames_.empty()) {
    chunk.text = std::move(open_text_);
    if (Compress(&chunk.text)) header.flags |= kTextCompressed;
  } else {
    CloseFrame();
    chunk.text = std::move(frames_);
    header.flags |= kTextCompressed;
  }
  std::string columns;
  AppendRuns(runs_, &columns);
  columns += kinds_;
  columns += time_steps_;
  header.column_bytes = static_cast<std::uint32_t>(columns.size());
  if (Compress(&columns)) header.flags |= kColumnsCompressed;
  header.text_stored_bytes = static_cast<std::uint32_t>(chunk.text.size());
  header.text_crc = Crc32(chunk.text);
  chunk.head = MakeHead(header, columns);
  return chunk;
}

bool ChunkWriter::Compress(std::string* raw) {
  if (raw->size() < kMinCompressedBytes) return false;
  std::string frame;
  codec_->Compress(*raw, &frame);
  if (frame.size() >= raw->size()) return false;
  *raw = std::move(frame);
  return true;
}

}  // namespace muster::hub
