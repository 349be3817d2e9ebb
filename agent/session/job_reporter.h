// Which report of jobs the hub is to be sent, and when: groups that changed behind what it acknowledged, one report
// under way, at most one a second (docs/jobs.md). Belongs to SessionLogic, fed with times.
#ifndef MUSTER_AGENT_SESSION_JOB_REPORTER_H_
#define MUSTER_AGENT_SESSION_JOB_REPORTER_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "agent/reports.h"
#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

inline constexpr absl::Duration kMinJobReportGap = absl::Seconds(1);
// A report that has waited so long behind records goes before them.
inline constexpr absl::Duration kJobReportPatience = absl::Seconds(5);

class JobReporter {
 public:
  // Null: this agent has no jobs.
  explicit JobReporter(JobSource* source) : source_(source) {}

  // A session begins.
  void Begin(const v1::Welcome& welcome);
  // The report that is due, which is then under way.
  std::optional<v1::JobReport> Next(Moment now);
  // Whether one has waited for kJobReportPatience.
  bool IsLate(Instant now);
  void OnAck(const v1::JobAck& ack);
  Instant NextDeadline() const;

 private:
  // Whether the hub lacks something and nothing is under way.
  bool IsWanted() const;

  JobSource* const source_;
  // What the hub has acknowledged.
  v1::JobPosition acked_;
  // Of the report under way.
  std::optional<v1::JobPosition> sent_;
  std::optional<Instant> sent_at_;
  std::optional<Instant> wanted_since_;
  // What was logged, so that it is said once.
  std::set<std::string> refusals_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_JOB_REPORTER_H_
