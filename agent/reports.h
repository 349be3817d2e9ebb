// What the session tells the hub beside deployments and records: the newest sample of the host, and what jobs pushed.
#ifndef MUSTER_AGENT_REPORTS_H_
#define MUSTER_AGENT_REPORTS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Of one report: what a frame of 1 MiB leaves beside the largest snapshot.
inline constexpr std::size_t kMaxHostReportBytes = 112 * 1024;

// Takes the newest sample of the host (docs/host-metrics.md). Thread-safe; returns at once.
class HostReportSink {
 public:
  virtual ~HostReportSink() = default;
  // Without `age`, which is filled in when it is sent. Nullopt: collection was switched off.
  virtual void PublishHost(std::optional<v1::HostReport> report, Instant taken) = 0;
};

// Of one JobReport: a quarter of a frame.
inline constexpr std::size_t kMaxJobReportBytes = 256 * 1024;

// The store of jobs, as the session sees it (docs/jobs.md). Thread-safe. No call waits for the disk.
class JobSource {
 public:
  virtual ~JobSource() = default;
  // Of the last change that is durable; nullopt before the store is open.
  virtual std::optional<v1::JobPosition> Position() const = 0;
  // Groups that changed behind `version`, oldest change first, at most `max_bytes` but at least one; ages are by `now`.
  // What changes while it is made may be in it or not: then its version is lower.
  virtual v1::JobReport Report(std::int64_t version, std::size_t max_bytes, Moment now) = 0;
  // Called from another thread whenever Position() may have changed. Null ends it, and no call is under way when it
  // returns.
  virtual void SetListener(std::function<void()> changed) = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_REPORTS_H_
