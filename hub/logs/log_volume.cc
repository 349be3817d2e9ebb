#include <algorithm>
#include <limits>
#include <utility>

#include "common/status.h"
#include "hub/logs/line_visitor.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/unit_reader.h"

namespace muster::hub {
namespace {

constexpr std::int64_t kOpenFrom = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kOpenTo = std::numeric_limits<std::int64_t>::max();
// Of a window that nobody gave.
constexpr std::int64_t kShortestPartUs = 1'000'000;

// Counts what is in the volume's parts.
class VolumeCount : public LineSink {
 public:
  // Both outlive it.
  VolumeCount(const LogSelection& selection, UnitReader* reader, LogVolume* volume)
      : visitor_(selection, reader),
        reader_(reader),
        has_filter_(selection.filter != nullptr),
        has_stream_(selection.stream.has_value()),
        volume_(*volume) {}

  absl::Status Add(const ScanUnit& unit) {
    if (!visitor_.kinds().MayHold(unit)) return absl::OkStatus();
    if (has_filter_) return unit.is_damaged ? absl::OkStatus() : visitor_.Visit(unit, this);
    // The index row knows levels, but no streams.
    if (!unit.is_tail && !has_stream_ && IsWithinOnePart(unit)) {
      for (std::size_t level = 0; level < kLogLevels; ++level) {
        if (visitor_.kinds().IsWantedLevel(level)) Part(unit.first_us)[level] += unit.levels[level];
      }
      return absl::OkStatus();
    }
    return AddByHead(unit);
  }

  bool Wants(const LogCursor& place) override { return visitor_.kinds().IsInWindow(place.time_us); }
  void TakeLine(const ScanUnit& /*unit*/, const StoredLine& line, std::string_view /*text*/) override {
    ++Part(line.place.time_us)[static_cast<std::size_t>(line.kind.level)];
  }
  // No lines.
  void TakeMarker(const ScanUnit& /*unit*/, const StoredLine& /*marker*/, std::string_view /*text*/) override {}

 private:
  std::array<std::int64_t, kLogLevels>& Part(std::int64_t time_us) {
    return volume_.parts[static_cast<std::size_t>((time_us - volume_.from_us) / volume_.part_us)];
  }
  bool IsWithinOnePart(const ScanUnit& unit) {
    return visitor_.kinds().IsInWindow(unit.first_us) && visitor_.kinds().IsInWindow(unit.last_us) &&
           &Part(unit.first_us) == &Part(unit.last_us);
  }
  absl::Status AddByHead(const ScanUnit& unit) {
    RETURN_IF_ERROR(reader_->ReadHead(unit));
    const ChunkLines& lines = reader_->lines();
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (!visitor_.kinds().IsWanted(lines.kinds[i]) || !visitor_.kinds().IsInWindow(lines.times_us[i])) continue;
      const std::optional<LineKind> kind = KindOf(lines.kinds[i]);
      if (kind && !kind->is_marker) ++Part(lines.times_us[i])[static_cast<std::size_t>(kind->level)];
    }
    return absl::OkStatus();
  }

  LineVisitor visitor_;
  UnitReader* const reader_;
  const bool has_filter_;
  const bool has_stream_;
  LogVolume& volume_;
};

// The ends of the window that are open become those of the lines; false: there is nothing between them.
bool CloseWindow(const std::vector<ScanUnit>& units, LogSelection* window) {
  const bool is_open = window->from_us == kOpenFrom || window->to_us == kOpenTo;
  if (is_open && units.empty()) return false;
  if (window->from_us == kOpenFrom) {
    window->from_us = units.front().first_us;
    for (const ScanUnit& unit : units) window->from_us = std::min(window->from_us, unit.first_us);
  }
  if (window->to_us == kOpenTo) {
    window->to_us = units.front().last_us + 1;
    for (const ScanUnit& unit : units) window->to_us = std::max(window->to_us, unit.last_us + 1);
  }
  return window->from_us < window->to_us;
}

}  // namespace

absl::StatusOr<LogVolume> LogScanner::ReadVolume(const LogSelection& selection, int parts, const ScanLimits& limits) {
  if (parts < 1 || parts > kMaxVolumeParts) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PARTS",
                     "a volume has 1 to 500 parts; ask for so many, or for a shorter window");
  }
  const Instant began = clock_->Monotonic();
  LogVolume volume;
  RETURN_IF_ERROR(Look(selection, [&](const ScanView& view, UnitReader* reader) -> absl::Status {
    ASSIGN_OR_RETURN(std::vector<ScanUnit> units, view.ListByTime(selection.from_us, selection.to_us));
    std::erase_if(units, [](const ScanUnit& unit) { return unit.is_before_window; });
    LogSelection window = selection;
    const bool is_open = window.from_us == kOpenFrom || window.to_us == kOpenTo;
    if (!CloseWindow(units, &window)) return absl::OkStatus();
    if (is_open) {
      const std::int64_t seconds = (window.to_us - window.from_us) / kShortestPartUs;
      parts = static_cast<int>(std::clamp<std::int64_t>(seconds, 1, parts));
    }
    volume.from_us = window.from_us;
    volume.part_us = (window.to_us - window.from_us - 1) / parts + 1;
    volume.parts.resize(static_cast<std::size_t>(parts));
    volume.report.reached_us = window.to_us;
    std::sort(units.begin(), units.end(), [](const ScanUnit& a, const ScanUnit& b) {
      return std::pair(a.first_us, a.first_line) < std::pair(b.first_us, b.first_line);
    });
    VolumeCount count(window, reader, &volume);
    for (std::size_t i = 0; i < units.size(); ++i) {
      const bool is_late = clock_->Monotonic() - began >= limits.max_time;
      if (i > 0 && (is_late || reader->text_bytes() >= limits.max_bytes)) {
        volume.report.end = is_late ? ScanEnd::kTime : ScanEnd::kBytes;
        volume.report.reached_us = std::max(units[i].first_us, window.from_us);
        break;
      }
      absl::Status added = count.Add(units[i]);
      if (!added.ok() && !IsDamage(added)) return added;
    }
    volume.report.scanned_bytes = reader->text_bytes();
    volume.report.scanned_lines = reader->text_lines();
    return absl::OkStatus();
  }));
  return volume;
}

}  // namespace muster::hub
