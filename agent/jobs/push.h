// What a job says in one push, and the limits of it (docs/jobs.md). Plain values: made by PushParser, taken by JobBook.
#ifndef MUSTER_AGENT_JOBS_PUSH_H_
#define MUSTER_AGENT_JOBS_PUSH_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/reports.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

inline constexpr std::size_t kMaxPushLineBytes = 64 * 1024;
inline constexpr std::size_t kMaxPushBytes = 1024 * 1024;
inline constexpr std::size_t kMaxPushStatements = 10'000;
// Of groups and ids.
inline constexpr std::size_t kMaxPushWordBytes = 64;
inline constexpr std::size_t kMaxMetricNameBytes = 200;
inline constexpr std::size_t kMaxMetricLabels = 32;
inline constexpr std::size_t kMaxLabelValueBytes = 1024;
inline constexpr std::size_t kMaxMetricHelpBytes = 1024;
inline constexpr std::size_t kMaxBuckets = 64;
inline constexpr absl::Duration kMinJobDuration = absl::Seconds(1);
// Of a time to live and a period: as long as totals are kept without a push.
inline constexpr absl::Duration kMaxJobDuration = absl::Hours(24 * 400);

struct PushSample {
  v1::JobMetricType type = v1::JOB_METRIC_TYPE_UNSPECIFIED;
  std::string name;
  // In order of name, none empty.
  std::vector<std::pair<std::string, std::string>> labels;
  // One; of a histogram one or more.
  std::vector<double> numbers;
};

// `buckets`, `help` or `unit` of a family.
struct PushDeclaration {
  std::string name;
  // Not empty: buckets.
  std::vector<double> buckets;
  std::optional<std::string> help;
  std::optional<std::string> unit;
};

enum class RunResult { kNone, kSuccess, kFailure };

struct Push {
  std::string group;
  // Empty: the push has none.
  std::string id;
  std::optional<absl::Duration> time_to_live;
  std::optional<absl::Duration> period;
  RunResult result = RunResult::kNone;
  std::vector<PushSample> samples;
  std::vector<PushDeclaration> declarations;
  // The group is to be forgotten; nothing else is said.
  bool is_deletion = false;
  // In memory, about.
  std::size_t cost = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_PUSH_H_
