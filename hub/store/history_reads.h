// Answers about history: reads the facts that matter to a question and has them composed (hub/history, by the rules of
// docs/history.md). Used by the API over a reading connection; every answer is read in one transaction, so it is of
// one moment. Lists are bounded by their caller's limit.
#ifndef MUSTER_HUB_STORE_HISTORY_READS_H_
#define MUSTER_HUB_STORE_HISTORY_READS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/sqlite/database.h"
#include "hub/history/availability.h"
#include "hub/history/facts.h"
#include "hub/store/fleet_at_reads.h"
#include "hub/store/history_facts.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Gaps told with one page, the newest of them. An agent whose journal is full makes one a batch: a thousand are 64 MiB
// of lost records, and more would tell nobody more.
inline constexpr int kMaxGaps = 1000;

// A page of a history: what of [from, to) lies before `before`, where the page before this one ended.
struct HistoryWindow {
  absl::Time from = absl::InfinitePast();
  absl::Time to = absl::InfiniteFuture();
  absl::Time before = absl::InfiniteFuture();
  int limit = 100;
};

struct LostRecords {
  absl::Time from;
  absl::Time to;
  std::int64_t records = 0;
  agent::v1::GapReason reason = agent::v1::GAP_REASON_UNSPECIFIED;
};

template <typename Period>
struct HistoryPage {
  // Newest first, cut to the window. The next page is before the last one's beginning.
  std::vector<Period> periods;
  bool more = false;
  // Newest first; over all pages of a window each is told once, unless there are more than kMaxGaps.
  std::vector<LostRecords> gaps;
};

class HistoryReader {
 public:
  // `started` is when the hub's present run began.
  HistoryReader(sqlite::Database* database, absl::Time started, absl::Time now);

  // By id or by name, deleted ones too: of several with one name the present one, else the last to go. With a customer,
  // only that customer's exist. Absent: there never was one.
  absl::StatusOr<std::optional<HistorySubject>> FindTarget(std::string_view reference, std::string_view customer);
  // By id or "target/name", archived ones and those of deleted targets too.
  absl::StatusOr<std::optional<HistorySubject>> FindDeployment(std::string_view reference, std::string_view customer);

  absl::StatusOr<HistoryPage<TargetPeriod>> ReadTarget(const HistorySubject& target, const HistoryWindow& window);
  absl::StatusOr<HistoryPage<DeploymentPeriod>> ReadDeployment(const HistorySubject& deployment,
                                                               const HistoryWindow& window);
  // Of either; `window` has both ends.
  absl::StatusOr<Availability> ReadAvailability(const HistorySubject& subject, const TimeSpan& window);

  // Records of the target's agent that are lost in the window, which has both ends: newest first, at most kMaxGaps.
  absl::StatusOr<std::vector<LostRecords>> ReadGaps(const HistorySubject& target, const TimeSpan& window);

  // Every target and deployment that existed then, each with when the fact that says so began. With a customer, only
  // that customer's.
  absl::StatusOr<FleetAt> ReadFleetAt(absl::Time at, std::string_view customer);

 private:
  sqlite::Database& database_;
  const absl::Time started_;
  const absl::Time now_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_HISTORY_READS_H_
