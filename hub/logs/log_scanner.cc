#include "hub/logs/log_scanner.h"

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "hub/logs/log_context.h"
#include "hub/logs/log_gaps.h"
#include "hub/logs/log_scan.h"
#include "hub/logs/scan_plan.h"
#include "hub/logs/unit_reader.h"

namespace muster::hub {
namespace {

// Of first lines that are remembered as logged.
constexpr std::size_t kMaxReported = 10'000;

// The page ends at the hit with whose neighbours it is full.
absl::Status AddContext(const ScanQuestion& question, const ScanView& view, UnitReader* reader, const Clock* clock,
                        std::size_t lines, ScanFound* found) {
  ContextFinder finder(question, view, reader, lines);
  const Instant began = clock->Monotonic();
  std::vector<ScanHit> context;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < found->hits.size(); ++i) {
    const ScanHit& hit = found->hits[i];
    if (hit.source == nullptr) continue;
    bytes += BytesOf(hit.entry);
    std::size_t counted = context.size();
    RETURN_IF_ERROR(finder.AddBeside(hit, &context));
    for (; counted < context.size(); ++counted) bytes += BytesOf(context[counted].entry);
    const bool is_late = clock->Monotonic() - began >= question.limits.max_time / 2;
    if ((bytes < kMaxPageBytes && !is_late) || i + 1 == found->hits.size()) continue;
    found->next = hit.key;
    found->report.end = is_late ? ScanEnd::kTime : ScanEnd::kPage;
    found->report.reached_us = PlaceOf(hit.key, question.sort).time_us;
    found->hits.erase(found->hits.begin() + static_cast<std::ptrdiff_t>(i) + 1, found->hits.end());
  }
  found->hits.insert(found->hits.end(), std::make_move_iterator(context.begin()),
                     std::make_move_iterator(context.end()));
  return absl::OkStatus();
}

// Those that stand between the page before and the next one.
absl::Status AddGaps(const ScanQuestion& question, const ScanView& view, ScanFound* found) {
  const auto add = [&](const ScanKey& key, FoundGap gap) {
    if ((question.after && key <= *question.after) || (found->next && key > *found->next)) return;
    found->hits.push_back({.key = key, .source = nullptr, .entry = std::move(gap)});
  };
  ASSIGN_OR_RETURN(std::vector<StoredGap> lost, LostByTime(view, *question.selection));
  for (StoredGap& stored : lost) {
    add(KeyOf({.time_us = stored.gap.from_us, .number = 0}, question.sort), std::move(stored.gap));
  }
  for (FoundGap& gap : PrunedGaps(view, *question.selection)) {
    // Newest first it is the end, wherever retention has got to meanwhile.
    const bool is_end = question.sort == ScanSort::kNewestFirst;
    add(is_end ? ScanQuestion().up_to : KeyOf({.time_us = gap.to_us, .number = 0}, question.sort), std::move(gap));
  }
  return absl::OkStatus();
}

std::vector<FoundEntry> InOrder(std::vector<ScanHit> hits) {
  std::stable_sort(hits.begin(), hits.end(), [](const ScanHit& a, const ScanHit& b) { return a.key < b.key; });
  std::vector<FoundEntry> entries;
  entries.reserve(hits.size());
  for (ScanHit& hit : hits) entries.push_back(std::move(hit.entry));
  return entries;
}

}  // namespace

absl::Status LogScanner::Look(const LogSelection& selection,
                              absl::FunctionRef<absl::Status(const ScanView& view, UnitReader* reader)> look) {
  std::vector<DamagedUnit> damaged;
  absl::Status looked = InScanView(store_, selection, [&](const ScanView& view) {
    UnitReader reader(view.database());
    absl::Status status = look(view, &reader);
    damaged = reader.damaged();
    return status;
  });
  ReportDamage(damaged);
  return looked;
}

void LogScanner::ReportDamage(const std::vector<DamagedUnit>& units) {
  for (const DamagedUnit& unit : units) {
    {
      MutexLock lock(&mutex_);
      if (reported_.size() >= kMaxReported || !reported_.insert(unit.key.first_line).second) continue;
    }
    log::Error("logs.db: the {} that begins with line {} is damaged and is shown as a gap: {}",
               unit.is_tail ? "row" : "chunk", unit.key.first_line, unit.why);
    if (!unit.is_tail) store_->NoteDamaged(unit.key);
  }
}

absl::StatusOr<LogPage> LogScanner::ReadPage(const LogSelection& selection, const LogPageRequest& request) {
  ScanQuestion question;
  question.selection = &selection;
  question.sort = request.order == LogOrder::kOldestFirst ? ScanSort::kOldestFirst : ScanSort::kNewestFirst;
  if (request.after) question.after = KeyOf(*request.after, question.sort);
  question.max_hits = std::max<std::size_t>(request.lines, 1);
  question.limits = request.limits;
  question.began = clock_->Monotonic();
  LogPage page;
  RETURN_IF_ERROR(Look(selection, [&](const ScanView& view, UnitReader* reader) -> absl::Status {
    ASSIGN_OR_RETURN(std::vector<ScanUnit> units, view.ListByTime(selection.from_us, selection.to_us));
    ASSIGN_OR_RETURN(ScanFound found, Scan(question, std::move(units), reader, clock_));
    if (request.context_lines > 0) {
      const auto lines = static_cast<std::size_t>(std::min(request.context_lines, kMaxContextLines));
      RETURN_IF_ERROR(AddContext(question, view, reader, clock_, lines, &found));
    }
    RETURN_IF_ERROR(AddGaps(question, view, &found));
    page.entries = InOrder(std::move(found.hits));
    if (found.next) page.next = PlaceOf(*found.next, question.sort);
    page.report = found.report;
    return absl::OkStatus();
  }));
  return page;
}

absl::StatusOr<std::int64_t> LogScanner::LastNumber() { return store_->tail().next_line() - 1; }

absl::StatusOr<LogFollow> LogScanner::ReadBehind(const LogSelection& selection, std::int64_t after, std::int64_t up_to,
                                                 std::size_t max_lines) {
  LogFollow follow;
  follow.reached = after;
  // A row is committed before the index is told. What lies beyond that may not be counted as looked at.
  up_to = std::min(up_to, store_->tail().next_line() - 1);
  if (up_to <= after) return follow;
  ScanQuestion question;
  question.selection = &selection;
  question.sort = ScanSort::kByNumber;
  question.after = {.time_us = 0, .number = after};
  question.up_to = {.time_us = 0, .number = up_to};
  question.max_hits = std::max<std::size_t>(max_lines, 1);
  question.began = clock_->Monotonic();
  RETURN_IF_ERROR(Look(selection, [&](const ScanView& view, UnitReader* reader) -> absl::Status {
    ASSIGN_OR_RETURN(std::vector<ScanUnit> units, view.ListByNumber(after, up_to));
    ASSIGN_OR_RETURN(ScanFound found, Scan(question, std::move(units), reader, clock_));
    follow.reached = found.next ? found.next->number : up_to;
    ASSIGN_OR_RETURN(std::vector<StoredGap> lost, LostByNumber(view, selection, after, follow.reached));
    std::vector<ScanHit> hits;
    hits.reserve(lost.size() + found.hits.size());
    for (StoredGap& stored : lost) {
      hits.push_back({.key = {.time_us = 0, .number = stored.line}, .source = nullptr, .entry = std::move(stored.gap)});
    }
    // Behind the gaps: a gap comes before the line of its number.
    hits.insert(hits.end(), std::make_move_iterator(found.hits.begin()), std::make_move_iterator(found.hits.end()));
    follow.entries = InOrder(std::move(hits));
    return absl::OkStatus();
  }));
  return follow;
}

absl::StatusOr<std::string> LogScanner::LogEpoch() {
  std::string epoch;
  RETURN_IF_ERROR(store_->store().Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare("SELECT log_epoch FROM log_meta"));
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return MakeError(absl::StatusCode::kDataLoss, "DATABASE_CORRUPT", "log_meta is empty");
    epoch = s.Text(0);
    return absl::OkStatus();
  }));
  return epoch;
}

}  // namespace muster::hub
