// Collects the logs of containers and of the agent itself, and hands them to the journal (docs/logs.md, "Collection").
// Owns one thread, which waits for the engine's streams.
#ifndef MUSTER_AGENT_LOGS_LOG_COLLECTOR_H_
#define MUSTER_AGENT_LOGS_LOG_COLLECTOR_H_

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/logs/collector_loop.h"
#include "agent/logs/log_sources.h"
#include "common/mutex.h"

namespace muster::agent {

class LogCollector : public ContainerSink, public LogSettingsSink {
 public:
  using Options = CollectorOptions;
  // Starts. All pointers outlive this; `clock` counts from the machine's boot: Clock::SinceBoot().
  LogCollector(Options options, const Clock* clock, std::unique_ptr<StreamGroup> streams, const Masker* masker,
               LogJournal* journal, OwnLogSource* own_log);
  // Stops: streams are closed, and what was read is appended.
  ~LogCollector() override;

  void Publish(std::vector<LogContainer> containers) override;
  void SetLogsOff(std::vector<std::string> deployment_keys) override;
  // There are lines of the agent's own log. Thread-safe; returns at once, and logs nothing.
  void Wake();

 private:
  void Run();

  // The thread's own while it runs.
  CollectorLoop loop_;
  StreamGroup* const streams_;

  Mutex mutex_;
  std::optional<std::vector<LogContainer>> containers_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::vector<std::string>> off_keys_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_LOG_COLLECTOR_H_
