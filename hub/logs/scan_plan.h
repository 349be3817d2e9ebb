// What a question looks at (docs/logs.md, "Scan"): the sources of its selection, and the chunks and rows of the tail in
// which their lines lie. All of it within one read transaction: what that sees is the truth. Used by LogScanner and its
// parts; belongs to one call.
#ifndef MUSTER_HUB_LOGS_SCAN_PLAN_H_
#define MUSTER_HUB_LOGS_SCAN_PLAN_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/log_store.h"
#include "hub/logs/tail_index.h"

namespace muster::hub {

struct ScanSource {
  std::int64_t id = 0;
  std::string resource;
  std::string revision;
  // Number of the first line that it ever had.
  std::int64_t first_line = 0;
  // Of its chunks; no times without lines.
  std::optional<std::int64_t> first_us;
  std::optional<std::int64_t> last_us;
  std::int64_t last_line = 0;
  std::int64_t lines = 0;
  std::int64_t bytes = 0;
  std::int64_t pruned_lines = 0;
  std::int64_t pruned_to_us = 0;
  // Its rows of the tail, in the order of their numbers.
  std::vector<TailRow> tail = {};
};

// A chunk or a row of the tail.
struct ScanUnit {
  // Never null.
  const ScanSource* source = nullptr;
  bool is_tail = false;
  // Known to be: it is not read.
  bool is_damaged = false;
  // Ends before the window: only a marker that reaches into it is wanted.
  bool is_before_window = false;
  std::int64_t first_line = 0;
  // No line has a greater number. Of a row of the tail it is not known more exactly.
  std::int64_t last_line = 0;
  std::int64_t first_us = 0;
  std::int64_t last_us = 0;
  std::int64_t lines = 0;
  // Lines by level, and markers; a row of the tail does not tell them before it is read.
  std::array<std::uint32_t, kLogLevels> levels = {};
  std::int64_t markers = 0;
};

class ScanView {
 public:
  sqlite::Database& database() const { return database_; }
  const std::vector<ScanSource>& sources() const { return sources_; }

  // What holds lines of [from, to); and of each source what lies before it, where a marker may reach into the window.
  absl::StatusOr<std::vector<ScanUnit>> ListByTime(std::int64_t from_us, std::int64_t to_us) const;
  // What holds lines whose numbers are in (after, up_to].
  absl::StatusOr<std::vector<ScanUnit>> ListByNumber(std::int64_t after, std::int64_t up_to) const;
  // All that a source has.
  absl::StatusOr<std::vector<ScanUnit>> ListAll(const ScanSource& source) const;

 private:
  friend absl::Status InScanView(LogStore* store, const LogSelection& selection,
                                 absl::FunctionRef<absl::Status(const ScanView&)> run);
  ScanView(sqlite::Database& database, std::vector<ScanSource> sources)
      : database_(database), sources_(std::move(sources)) {}

  sqlite::Database& database_;
  const std::vector<ScanSource> sources_;
};

// Runs `run` within one read transaction, with the sources that the selection's names mean. Each line that was stored
// before the call is in it exactly once, also while rows of the tail become chunks.
absl::Status InScanView(LogStore* store, const LogSelection& selection,
                        absl::FunctionRef<absl::Status(const ScanView&)> run);

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_SCAN_PLAN_H_
