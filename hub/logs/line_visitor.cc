#include "hub/logs/line_visitor.h"

#include "common/status.h"

namespace muster::hub {

StoredLine LineWalk::At(std::size_t index) {
  while (index >= run_begin_ + lines_.runs[run_].lines) run_begin_ += lines_.runs[run_++].lines;
  const LineRun& run = lines_.runs[run_];
  return {.place = {.time_us = lines_.times_us[index],
                    .number = run.first_line + static_cast<std::int64_t>(index - run_begin_)},
          .shift_us = run.shift_us,
          .kind = KindOf(lines_.kinds[index]).value_or(LineKind())};
}

std::string_view TextWalk::At(std::size_t index) {
  std::size_t end = rest_.find('\n');
  for (; index_ < index; ++index_) {
    rest_.remove_prefix(end + 1);
    end = rest_.find('\n');
  }
  return rest_.substr(0, end);
}

KindFilter::KindFilter(const LogSelection& selection) : from_us_(selection.from_us), to_us_(selection.to_us) {
  levels_.fill(selection.levels.empty());
  for (const LogLevel level : selection.levels) levels_[static_cast<std::size_t>(level)] = true;
  for (std::size_t byte = 0; byte < wanted_.size(); ++byte) {
    const std::optional<LineKind> kind = KindOf(static_cast<char>(byte));
    if (!kind) continue;
    const bool is_stream = !selection.stream || *selection.stream == kind->stream;
    wanted_[byte] = kind->is_marker || (is_stream && levels_[static_cast<std::size_t>(kind->level)]);
  }
}

bool KindFilter::MayHold(const ScanUnit& unit) const {
  if (unit.is_tail || unit.is_damaged || unit.markers > 0) return true;
  if (unit.is_before_window) return false;
  for (std::size_t level = 0; level < kLogLevels; ++level) {
    if (levels_[level] && unit.levels[level] > 0) return true;
  }
  return false;
}

bool LineVisitor::FindCandidates(const ScanUnit& unit, LineSink* sink) {
  const ChunkLines& lines = reader_->lines();
  candidates_.clear();
  bool has_lines = false;
  LineWalk walk(lines);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!kinds_.IsWanted(lines.kinds[i])) continue;
    // The filter will tell which lines; that there is one is enough.
    if (has_lines && filter_ != nullptr && !KindOf(lines.kinds[i])->is_marker) continue;
    const StoredLine line = walk.At(i);
    if (line.kind.is_marker) {
      // One that begins before the window may reach into it.
      if (kinds_.TouchesWindow(line.place.time_us, kMaxLineTimeUs) && sink->Wants(line.place)) candidates_.push_back(i);
      continue;
    }
    if (unit.is_before_window || !kinds_.IsInWindow(line.place.time_us) || !sink->Wants(line.place)) continue;
    has_lines = true;
    if (filter_ == nullptr) candidates_.push_back(i);
  }
  return has_lines || !candidates_.empty();
}

absl::Status LineVisitor::Visit(const ScanUnit& unit, LineSink* sink) {
  RETURN_IF_ERROR(reader_->ReadHead(unit));
  if (!FindCandidates(unit, sink)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string_view text, reader_->ReadText(unit));
  const ChunkLines& lines = reader_->lines();
  LineWalk walk(lines);
  TextWalk texts(text);
  for (const std::size_t index : candidates_) {
    const StoredLine line = walk.At(index);
    if (line.kind.is_marker) {
      sink->TakeMarker(unit, line, texts.At(index));
    } else if (sink->Wants(line.place)) {
      sink->TakeLine(unit, line, texts.At(index));
    }
  }
  if (filter_ == nullptr || unit.is_before_window) return absl::OkStatus();
  LineWalk matches(lines);
  filter_->VisitMatches(text, [&](std::size_t index, std::string_view match) {
    if (!kinds_.IsWanted(lines.kinds[index])) return true;
    const StoredLine line = matches.At(index);
    if (!line.kind.is_marker && kinds_.IsInWindow(line.place.time_us) && sink->Wants(line.place)) {
      sink->TakeLine(unit, line, match);
    }
    return true;
  });
  return absl::OkStatus();
}

}  // namespace muster::hub
