// Answers questions about stored lines (docs/logs.md, "Questions"): pages by time, counts, resources, and what came
// behind a line. Every call reads on a connection of the store and blocks; thread-safe. Who may ask is the caller's to
// look at.
#ifndef MUSTER_HUB_LOGS_LOG_SCANNER_H_
#define MUSTER_HUB_LOGS_LOG_SCANNER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <variant>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clock.h"
#include "common/logs/kinds.h"
#include "common/mutex.h"
#include "hub/logs/log_filter.h"
#include "hub/logs/log_store.h"

namespace muster::hub {

inline constexpr std::size_t kDefaultPageLines = 200;
inline constexpr std::size_t kMaxPageLines = 1000;
// Of text.
inline constexpr std::size_t kMaxPageBytes = 2 * 1024 * 1024;
inline constexpr int kMaxContextLines = 50;
inline constexpr int kMaxVolumeParts = 500;
inline constexpr std::size_t kLogLevels = 7;
inline constexpr int kActiveRevisions = 5;

// Times are microseconds since 1970 by the hub's clock.
struct LogSelection {
  std::string target_id;
  // Empty: the agent's own log.
  std::string deployment_id;
  // Empty: all.
  std::vector<std::string> resources;
  std::optional<LogStream> stream;
  // Empty: all. LogLevel::kNone: lines that name none.
  std::vector<LogLevel> levels;
  std::string revision;
  // [from, to)
  std::int64_t from_us = std::numeric_limits<std::int64_t>::min();
  std::int64_t to_us = std::numeric_limits<std::int64_t>::max();
  // Null: all lines. Outlives the call.
  const LogFilter* filter = nullptr;
};

enum class LogOrder { kOldestFirst, kNewestFirst };

// A line's place.
struct LogCursor {
  std::int64_t time_us = 0;
  std::int64_t number = 0;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes what the compiler makes of a < b for a pointer.
  friend auto operator<=>(const LogCursor&, const LogCursor&) = default;
};

struct FoundLine {
  LogCursor place;
  // What was added to the host's time.
  std::int64_t shift_us = 0;
  std::string resource;
  std::string revision;
  LineKind kind;
  std::string text;
  // Does not match, but stands beside a line that does.
  bool is_context = false;
};

struct FoundGap {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  // 0: unknown.
  std::int64_t lines = 0;
  // Of the agent's journal.
  std::int64_t records = 0;
  // docs/logs.md, "Gaps". RETENTION: when it began is not known, both times are its end. UNKNOWN: a marker that does
  // not read as one.
  std::string reason;
  // Empty: of all resources.
  std::string resource;
  // A marker's own, and for records that are lost that of the line that came next: which of two readers by number tells
  // it. 0 for other gaps.
  std::int64_t number = 0;
};

using FoundEntry = std::variant<FoundLine, FoundGap>;

struct ScanLimits {
  std::int64_t max_bytes = std::int64_t{1024} * 1024 * 1024;
  absl::Duration max_time = absl::Seconds(2);
};

enum class ScanEnd { kAll, kPage, kBytes, kTime };

struct ScanReport {
  ScanEnd end = ScanEnd::kAll;
  // All up to here was looked at, in the direction of the question.
  std::int64_t reached_us = 0;
  std::int64_t scanned_bytes = 0;
  std::int64_t scanned_lines = 0;
};

struct LogPageRequest {
  LogOrder order = LogOrder::kOldestFirst;
  // Goes on behind this line.
  std::optional<LogCursor> after = std::nullopt;
  std::size_t lines = kDefaultPageLines;
  int context_lines = 0;
  ScanLimits limits = {};
};

struct LogPage {
  // In the order that was asked for; a gap stands where it begins.
  std::vector<FoundEntry> entries;
  // Absent: there are no more.
  std::optional<LogCursor> next;
  ScanReport report;
};

struct LogVolume {
  std::int64_t from_us = 0;
  std::int64_t part_us = 0;
  // Lines by level.
  std::vector<std::array<std::int64_t, kLogLevels>> parts;
  ScanReport report;
};

struct LogResourceInfo {
  std::string name;
  bool is_active = false;
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::int64_t lines = 0;
  std::int64_t bytes = 0;
  // Newest first.
  std::vector<std::string> revisions;
};

// Lines in the order of their numbers.
struct LogFollow {
  std::vector<FoundEntry> entries;
  // All up to this number was looked at.
  std::int64_t reached = 0;
};

// What the API asks. Thread-safe; calls block.
class LogReader {
 public:
  virtual ~LogReader() = default;

  virtual absl::StatusOr<LogPage> ReadPage(const LogSelection& selection, const LogPageRequest& request) = 0;
  // `parts` equal parts of the selection's window; where that is open, from the first to the last line there is, and
  // fewer when they were shorter than a second.
  virtual absl::StatusOr<LogVolume> ReadVolume(const LogSelection& selection, int parts, const ScanLimits& limits) = 0;
  virtual absl::StatusOr<std::vector<LogResourceInfo>> ListResources(std::string_view target_id,
                                                                     std::string_view deployment_id) = 0;

  // The number of the last line that is stored; 0: none.
  virtual absl::StatusOr<std::int64_t> LastNumber() = 0;
  // Lines whose numbers are in (after, up_to], until there are `max_lines`; gaps as far as they came meanwhile.
  virtual absl::StatusOr<LogFollow> ReadBehind(const LogSelection& selection, std::int64_t after, std::int64_t up_to,
                                               std::size_t max_lines) = 0;
  // Drawn once for a logs.db: numbers are comparable within it.
  virtual absl::StatusOr<std::string> LogEpoch() = 0;
};

class ScanView;
class UnitReader;
struct DamagedUnit;

class LogScanner : public LogReader {
 public:
  // Both outlive the scanner.
  LogScanner(LogStore* store, const Clock* clock) : store_(store), clock_(clock) {}

  absl::StatusOr<LogPage> ReadPage(const LogSelection& selection, const LogPageRequest& request) override;
  absl::StatusOr<LogVolume> ReadVolume(const LogSelection& selection, int parts, const ScanLimits& limits) override;
  absl::StatusOr<std::vector<LogResourceInfo>> ListResources(std::string_view target_id,
                                                             std::string_view deployment_id) override;
  absl::StatusOr<std::int64_t> LastNumber() override;
  absl::StatusOr<LogFollow> ReadBehind(const LogSelection& selection, std::int64_t after, std::int64_t up_to,
                                       std::size_t max_lines) override;
  absl::StatusOr<std::string> LogEpoch() override;

 private:
  // Within one read transaction; what was found damaged is reported behind it.
  absl::Status Look(const LogSelection& selection,
                    absl::FunctionRef<absl::Status(const ScanView& view, UnitReader* reader)> look);
  // The one place that is told of damage: each chunk or row is logged once.
  void ReportDamage(const std::vector<DamagedUnit>& units) ABSL_LOCKS_EXCLUDED(mutex_);

  LogStore* const store_;
  const Clock* const clock_;

  Mutex mutex_;
  // First lines.
  std::unordered_set<std::int64_t> reported_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_SCANNER_H_
