// Finds in a chunk the lines that a selection asks for, and no more than that: heads tell whether the text is worth
// reading, the filter is asked about the whole text, and a line is copied by nobody here. Belongs to one call.
#ifndef MUSTER_HUB_LOGS_LINE_VISITOR_H_
#define MUSTER_HUB_LOGS_LINE_VISITOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/logs/kinds.h"
#include "hub/logs/chunk.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/unit_reader.h"

namespace muster::hub {

// A line without its text.
struct StoredLine {
  LogCursor place;
  std::int64_t shift_us = 0;
  LineKind kind;
};

// The lines of a chunk by their indexes, which rise from call to call.
class LineWalk {
 public:
  explicit LineWalk(const ChunkLines& lines) : lines_(lines) {}
  StoredLine At(std::size_t index);

 private:
  const ChunkLines& lines_;
  std::size_t run_ = 0;
  // Index of the run's first line.
  std::size_t run_begin_ = 0;
};

// Their texts, without newlines; likewise.
class TextWalk {
 public:
  explicit TextWalk(std::string_view text) : rest_(text) {}
  std::string_view At(std::size_t index);

 private:
  std::string_view rest_;
  std::size_t index_ = 0;
};

// Which lines are asked for, as far as it is not their text that tells.
class KindFilter {
 public:
  explicit KindFilter(const LogSelection& selection);

  // Streams and levels are for lines; a marker is wanted whatever they are.
  bool IsWanted(char kind) const { return wanted_[static_cast<unsigned char>(kind)]; }
  bool IsInWindow(std::int64_t time_us) const { return time_us >= from_us_ && time_us < to_us_; }
  // Something from one moment to another.
  bool TouchesWindow(std::int64_t from_us, std::int64_t to_us) const { return from_us < to_us_ && to_us >= from_us_; }
  bool IsWantedLevel(std::size_t level) const { return levels_[level]; }
  // False: it has no line that is wanted, and no marker.
  bool MayHold(const ScanUnit& unit) const;

 private:
  const std::int64_t from_us_;
  const std::int64_t to_us_;
  std::array<bool, 256> wanted_ = {};
  std::array<bool, kLogLevels> levels_ = {};
};

class LineSink {
 public:
  virtual ~LineSink() = default;
  // False: a line or marker in this place is of no use.
  virtual bool Wants(const LogCursor& place) = 0;
  virtual void TakeLine(const ScanUnit& unit, const StoredLine& line, std::string_view text) = 0;
  // Its end is not compared with the window.
  virtual void TakeMarker(const ScanUnit& unit, const StoredLine& marker, std::string_view text) = 0;
};

class LineVisitor {
 public:
  // Both outlive it.
  LineVisitor(const LogSelection& selection, UnitReader* reader)
      : filter_(selection.filter), kinds_(selection), reader_(reader) {}

  const KindFilter& kinds() const { return kinds_; }

  // Hands on what the sink wants, in any order. DATA_LOSS: the unit is damaged, nothing of it was handed on.
  absl::Status Visit(const ScanUnit& unit, LineSink* sink);

 private:
  // True: the text is worth reading.
  bool FindCandidates(const ScanUnit& unit, LineSink* sink);

  const LogFilter* const filter_;
  const KindFilter kinds_;
  UnitReader* const reader_;
  // Indexes of markers, and of lines when there is no filter.
  std::vector<std::size_t> candidates_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LINE_VISITOR_H_
