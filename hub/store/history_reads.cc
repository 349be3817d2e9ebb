#include "hub/store/history_reads.h"

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "hub/history/target_history.h"

namespace muster::hub {
namespace {

// Periods read at once where all are wanted.
constexpr int kAvailabilityPage = 1000;

// Rows keep microseconds.
absl::Time Floor(absl::Time time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return time;
  return absl::FromUnixMicros(absl::ToUnixMicros(time));
}

template <typename Run>
auto InOneTransaction(sqlite::Database& database, Run run) -> decltype(run()) {
  RETURN_IF_ERROR(database.Execute("BEGIN"));
  auto result = run();
  // Nothing was written, so there is nothing that could be lost.
  database.Execute("COMMIT").IgnoreError();
  return result;
}

// ---- pages

// When the fact number `count` before `time` began; InfinitePast: there are not so many. `sql` finds it.
absl::StatusOr<absl::Time> CountBack(sqlite::Database& database, sqlite::Sql sql, std::string_view id, absl::Time time,
                                     std::int64_t count) {
  ASSIGN_OR_RETURN(sqlite::Statement s, database.Prepare(sql));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, id).Bind(2, time).Bind(3, count).Step());
  return row ? s.Time(0) : absl::InfinitePast();
}

// A time before which at least `count` facts of some kind lie, and after which no more than that of any kind.
absl::StatusOr<absl::Time> CountBack(sqlite::Database& database, const HistorySubject& subject, absl::Time time,
                                     std::int64_t count) {
  constexpr sqlite::Sql kIntervals =
      "SELECT from_us FROM target_intervals WHERE target_id=?1 AND from_us<?2 ORDER BY from_us DESC LIMIT 1 OFFSET ?3";
  constexpr sqlite::Sql kPresence =
      "SELECT from_us FROM presence WHERE target_id=?1 AND from_us<?2 ORDER BY from_us DESC LIMIT 1 OFFSET ?3";
  constexpr sqlite::Sql kSilences =
      "SELECT from_us FROM silences WHERE target_id=?1 AND from_us<?2 ORDER BY from_us DESC LIMIT 1 OFFSET ?3";
  constexpr sqlite::Sql kRuns =
      "SELECT started_us FROM hub_runs WHERE ?1<>'' AND started_us<?2 ORDER BY started_us DESC LIMIT 1 OFFSET ?3";
  constexpr sqlite::Sql kChanges =
      "SELECT at_us FROM deployment_changes WHERE deployment_id=?1 AND at_us<?2 ORDER BY at_us DESC LIMIT 1 OFFSET ?3";
  absl::Time back = absl::InfinitePast();
  for (const sqlite::Sql& sql : {kIntervals, kPresence, kSilences, kRuns}) {
    ASSIGN_OR_RETURN(const absl::Time found, CountBack(database, sql, subject.target_id, time, count));
    back = std::max(back, found);
  }
  if (subject.deployment_id.empty()) return back;
  ASSIGN_OR_RETURN(const absl::Time found, CountBack(database, kChanges, subject.deployment_id, time, count));
  return std::max(back, found);
}

// Composes backwards until the page is full, each time over four times as many facts: what a page costs depends on what
// it tells, not on how long the history is.
template <typename Period, typename CountBack, typename Compose>
absl::StatusOr<HistoryPage<Period>> ComposePage(const HistoryWindow& window, CountBack count_back, Compose compose) {
  HistoryPage<Period> page;
  const absl::Time from = Floor(window.from);
  const absl::Time to = Floor(std::min(window.to, window.before));
  if (from >= to) return page;
  const auto limit = static_cast<std::size_t>(window.limit);
  for (std::int64_t facts = window.limit + 2;; facts *= 4) {
    ASSIGN_OR_RETURN(const absl::Time back, count_back(to, facts));
    const absl::Time start = std::max(from, back);
    ASSIGN_OR_RETURN(page.periods, compose(TimeSpan{.from = start, .to = to}));
    const bool whole = start == from;
    // The oldest may have begun before what was read.
    if (!whole && !page.periods.empty()) page.periods.erase(page.periods.begin());
    if (!whole && page.periods.size() <= limit) continue;
    std::reverse(page.periods.begin(), page.periods.end());
    page.more = page.periods.size() > limit;
    page.periods.resize(std::min(page.periods.size(), limit));
    return page;
  }
}

// What matters to the answers for `window`.
TimeSpan Around(const TimeSpan& window) { return {.from = window.from - kHubGrace, .to = window.to + kHubGrace}; }

absl::StatusOr<TargetHistory> LoadHistory(sqlite::Database& database, const HistorySubject& subject, absl::Time started,
                                          absl::Time now, const TimeSpan& window) {
  const TimeSpan span = Around(window);
  HubFacts hub{.runs = {}, .now = now};
  ASSIGN_OR_RETURN(hub.runs, LoadRuns(database, started, span));
  ASSIGN_OR_RETURN(TargetFacts facts, LoadTargetFacts(database, subject, span));
  return TargetHistory(hub, std::move(facts));
}

// One subject's pages, without gaps and within a transaction of the caller's.
struct Pager {
  sqlite::Database& database;
  const HistorySubject& subject;
  absl::Time started;
  absl::Time now;

  absl::StatusOr<HistoryPage<TargetPeriod>> Target(const HistoryWindow& window) const {
    return Compose<TargetPeriod>(
        window, [](const TargetHistory& history, const TimeSpan& part) -> absl::StatusOr<std::vector<TargetPeriod>> {
          return history.Compose(part);
        });
  }
  absl::StatusOr<HistoryPage<DeploymentPeriod>> Deployment(const HistoryWindow& window) const {
    return Compose<DeploymentPeriod>(
        window,
        [this](const TargetHistory& history, const TimeSpan& part) -> absl::StatusOr<std::vector<DeploymentPeriod>> {
          ASSIGN_OR_RETURN(std::vector<DeploymentChange> changes, LoadChanges(database, subject, part));
          return history.ComposeDeployment(std::move(changes), part);
        });
  }

  template <typename Period, typename ComposePart>
  absl::StatusOr<HistoryPage<Period>> Compose(const HistoryWindow& window, ComposePart compose) const {
    return ComposePage<Period>(
        window, [this](absl::Time time, std::int64_t count) { return CountBack(database, subject, time, count); },
        [this, &compose](const TimeSpan& part) -> absl::StatusOr<std::vector<Period>> {
          ASSIGN_OR_RETURN(const TargetHistory history, LoadHistory(database, subject, started, now, part));
          return compose(history, part);
        });
  }
};

// Adds page after page to `availability`.
template <typename Read>
absl::Status AddPages(Read read, Availability& availability) {
  HistoryWindow window{.from = availability.window().from, .to = availability.window().to, .limit = kAvailabilityPage};
  while (true) {
    ASSIGN_OR_RETURN(const auto page, read(window));
    for (const auto& period : page.periods) availability.Add(period);
    if (!page.more) return absl::OkStatus();
    window.before = page.periods.back().from;
  }
}

// Each gap belongs to the page in whose time it begins; the last page also has what began before the window.
absl::Status LoadGaps(sqlite::Database& database, std::string_view target_id, const HistoryWindow& window,
                      absl::Time page_from, bool last, std::vector<LostRecords>& gaps) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT from_us, to_us, last_sequence-first_sequence+1, reason FROM journal_gaps"
                                    " WHERE target_id=?1 AND lane=?5 AND from_us<?3 AND (from_us>=?2 OR (?4 AND"
                                    " to_us>=?2)) ORDER BY from_us DESC LIMIT ?6"));
  s.Bind(1, target_id).Bind(2, page_from).Bind(3, std::min(window.to, window.before)).Bind(4, last);
  s.Bind(5, agent::v1::LANE_EVENTS).Bind(6, kMaxGaps);
  return EachRow(s, [&](const sqlite::Statement& row) {
    gaps.push_back({.from = row.Time(0),
                    .to = row.Time(1),
                    .records = row.Int64(2),
                    .reason = static_cast<agent::v1::GapReason>(row.Int(3))});
  });
}

template <typename Period>
absl::StatusOr<HistoryPage<Period>> WithGaps(sqlite::Database& database, std::string_view target_id,
                                             const HistoryWindow& window, absl::StatusOr<HistoryPage<Period>> page) {
  RETURN_IF_ERROR(page.status());
  const absl::Time page_from = page->more ? page->periods.back().from : window.from;
  RETURN_IF_ERROR(LoadGaps(database, target_id, window, page_from, !page->more, page->gaps));
  return page;
}

// ---- subjects

// Columns id, target_id, created_us, archived_us, deleted_us, first change.
HistorySubject DeploymentRow(const sqlite::Statement& s) {
  HistorySubject subject{
      .target_id = s.Text(1), .deployment_id = s.Text(0), .created = s.Time(2), .ended = s.OptionalTime(3)};
  if (!s.IsNull(4)) subject.ended = std::min(subject.ended.value_or(s.Time(4)), s.Time(4));
  // An agent may tell of it hours after it began.
  if (!s.IsNull(5)) subject.created = std::min(subject.created, s.Time(5));
  return subject;
}

absl::StatusOr<std::optional<HistorySubject>> FindDeploymentById(sqlite::Database& database, std::string_view id,
                                                                 std::string_view customer) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT d.id, d.target_id, d.created_us, d.archived_us, t.deleted_us,"
                                    " (SELECT min(at_us) FROM deployment_changes WHERE deployment_id=d.id)"
                                    " FROM deployments d JOIN targets t ON t.id=d.target_id"
                                    " WHERE d.id=?1 AND (?2='' OR t.customer=?2)"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, id).Bind(2, customer).Step());
  if (!row) return std::nullopt;
  return DeploymentRow(s);
}

// What is there comes before what is gone, the last to go before those that went earlier.
absl::StatusOr<std::optional<HistorySubject>> FindDeploymentByName(sqlite::Database& database, std::string_view target,
                                                                   std::string_view name, std::string_view customer) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database.Prepare("SELECT d.id, d.target_id, d.created_us, d.archived_us, t.deleted_us,"
                                    " (SELECT min(at_us) FROM deployment_changes WHERE deployment_id=d.id), d.report"
                                    " FROM targets t CROSS JOIN deployments d ON d.target_id=t.id"
                                    " WHERE t.name=?1 AND (?2='' OR t.customer=?2) ORDER BY t.deleted_us IS NULL DESC,"
                                    " t.deleted_us DESC, d.archived_us IS NULL DESC, d.archived_us DESC, d.id"));
  s.Bind(1, target).Bind(2, customer);
  while (true) {
    ASSIGN_OR_RETURN(const bool row, s.Step());
    if (!row) return std::nullopt;
    agent::v1::DeploymentState report;
    if (report.ParseFromString(s.Text(6)) && report.name() == name) return DeploymentRow(s);
  }
}

}  // namespace

HistoryReader::HistoryReader(sqlite::Database* database, absl::Time started, absl::Time now)
    : database_(*database), started_(Floor(started)), now_(Floor(now)) {}

absl::StatusOr<std::optional<HistorySubject>> HistoryReader::FindTarget(std::string_view reference,
                                                                        std::string_view customer) {
  ASSIGN_OR_RETURN(sqlite::Statement s,
                   database_.Prepare("SELECT id, created_us, deleted_us FROM targets WHERE (id=?1 OR name=?1)"
                                     " AND (?2='' OR customer=?2)"
                                     " ORDER BY id=?1 DESC, deleted_us IS NULL DESC, deleted_us DESC LIMIT 1"));
  ASSIGN_OR_RETURN(const bool row, s.Bind(1, reference).Bind(2, customer).Step());
  if (!row) return std::nullopt;
  return HistorySubject{.target_id = s.Text(0), .deployment_id = "", .created = s.Time(1), .ended = s.OptionalTime(2)};
}

absl::StatusOr<std::optional<HistorySubject>> HistoryReader::FindDeployment(std::string_view reference,
                                                                            std::string_view customer) {
  const std::size_t slash = reference.find('/');
  if (slash == std::string_view::npos) return FindDeploymentById(database_, reference, customer);
  return FindDeploymentByName(database_, reference.substr(0, slash), reference.substr(slash + 1), customer);
}

absl::StatusOr<HistoryPage<TargetPeriod>> HistoryReader::ReadTarget(const HistorySubject& target,
                                                                    const HistoryWindow& window) {
  return InOneTransaction(database_, [&] {
    const Pager pager{.database = database_, .subject = target, .started = started_, .now = now_};
    return WithGaps(database_, target.target_id, window, pager.Target(window));
  });
}

absl::StatusOr<HistoryPage<DeploymentPeriod>> HistoryReader::ReadDeployment(const HistorySubject& deployment,
                                                                            const HistoryWindow& window) {
  return InOneTransaction(database_, [&] {
    const Pager pager{.database = database_, .subject = deployment, .started = started_, .now = now_};
    return WithGaps(database_, deployment.target_id, window, pager.Deployment(window));
  });
}

absl::StatusOr<Availability> HistoryReader::ReadAvailability(const HistorySubject& subject, const TimeSpan& window) {
  return InOneTransaction(database_, [&]() -> absl::StatusOr<Availability> {
    const Pager pager{.database = database_, .subject = subject, .started = started_, .now = now_};
    Availability availability({.from = Floor(window.from), .to = Floor(window.to)});
    if (subject.deployment_id.empty()) {
      RETURN_IF_ERROR(AddPages([&](const HistoryWindow& part) { return pager.Target(part); }, availability));
    } else {
      RETURN_IF_ERROR(AddPages([&](const HistoryWindow& part) { return pager.Deployment(part); }, availability));
    }
    return availability;
  });
}

absl::StatusOr<std::vector<LostRecords>> HistoryReader::ReadGaps(const HistorySubject& target, const TimeSpan& window) {
  std::vector<LostRecords> gaps;
  RETURN_IF_ERROR(LoadGaps(database_, target.target_id, {.from = window.from, .to = Floor(window.to)},
                           Floor(window.from), /*last=*/true, gaps));
  return gaps;
}

absl::StatusOr<FleetAt> HistoryReader::ReadFleetAt(absl::Time at, std::string_view customer) {
  at = Floor(at);
  return InOneTransaction(database_, [&]() -> absl::StatusOr<FleetAt> {
    HubFacts facts{.runs = {}, .now = now_};
    ASSIGN_OR_RETURN(facts.runs, LoadRuns(database_, started_, Around({.from = at, .to = at})));
    return hub::ReadFleetAt(database_, facts, at, customer);
  });
}

}  // namespace muster::hub
