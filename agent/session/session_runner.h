// Runs one SessionLogic: the thread, the queue in front of it, the link, the secret file, the state file and the
// service manager's watchdog. Everything that happens elsewhere is posted to this loop.
#ifndef MUSTER_AGENT_SESSION_SESSION_RUNNER_H_
#define MUSTER_AGENT_SESSION_SESSION_RUNNER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "agent/present.h"
#include "agent/reports.h"
#include "agent/session/link.h"
#include "agent/session/session_logic.h"
#include "common/clock.h"
#include "common/mutex.h"

namespace muster::agent {

// What the loop does besides the session, at each pass and at least once a second. Called from the loop's thread.
class Housekeeping {
 public:
  virtual ~Housekeeping() = default;
  // A new secret, if there is one.
  virtual std::optional<Secret> PollSecret() = 0;
  // Durable when it returns.
  virtual void KeepSessionCounter(std::int64_t counter) = 0;
  // After every pass; cheap when nothing changed.
  virtual void SessionIs(const SessionStatus& status) = 0;
  virtual void Alive(Instant now) = 0;
  virtual void RelistIntervalChanged(absl::Duration interval) = 0;
  // Each time that the hub sends settings, changed or not: see LogSettingsSink.
  virtual void SetLogsOff(std::vector<std::string> deployment_keys) = 0;
  // Likewise.
  virtual void SetMetricsEnabled(bool enabled) = 0;
};

class SessionRunner : public PresentSink, public HostReportSink, private SessionOutput {
 public:
  // `clock`, `dialer` and `housekeeping` outlive the runner.
  SessionRunner(SessionLogic::Options options, HostView host, std::function<double()> uniform, const Clock* clock,
                Dialer* dialer, Housekeeping* housekeeping);
  ~SessionRunner() override;

  // The calling thread becomes the loop; returns when a Stop is done.
  void Run();
  // Thread-safe; Run returns within kClosingTimeout.
  void Stop(v1::GoodbyeReason reason);
  // Thread-safe. Only the newest picture is kept until the loop takes it.
  void Publish(Present present) override;
  // Likewise; wakes nobody, because no heartbeat is sent for it.
  void PublishHost(std::optional<v1::HostReport> report, Instant taken) override;

 private:
  class Events;
  using Task = absl::AnyInvocable<void(Moment)>;

  // The queue holds at most one link event of each kind and one batch, so it needs no limit of its own.
  void Post(Task task);
  class Door;

  // Tasks of links that are no longer current are dropped.
  void PostFromLink(std::uint64_t link_number, Task task);
  struct HostNews {
    std::optional<v1::HostReport> report;
    Instant taken;
  };
  // What other threads left for the loop.
  struct Work {
    std::vector<Task> tasks;
    std::optional<Present> present;
    std::optional<HostNews> host;
    bool records_changed = false;
  };
  Work WaitForWork();
  void Do(Work work);
  void PollSecret(Moment now);
  absl::Duration TimeToWait() const;

  void Connect() override;
  void Send(const v1::SessionRequest& frame) override;
  void HalfClose() override;
  void Disconnect() override;
  void KeepSessionCounter(std::int64_t counter) override;
  void RelistIntervalChanged(absl::Duration interval) override;
  void SetLogsOff(std::vector<std::string> deployment_keys) override;
  void SetMetricsEnabled(bool enabled) override;
  void ReadRecords(const ReadRequest& request) override;

  const Clock* const clock_;
  Dialer* const dialer_;
  Housekeeping* const housekeeping_;
  RecordSource* const records_;
  JobSource* const jobs_;
  const std::shared_ptr<Door> door_;

  // The loop's own.
  SessionLogic logic_;
  std::unique_ptr<Link> link_;
  std::uint64_t link_number_ = 0;
  std::optional<Instant> secret_polled_at_;

  Mutex mutex_;
  CondVar wake_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::optional<Present> present_ ABSL_GUARDED_BY(mutex_);
  std::optional<HostNews> host_ ABSL_GUARDED_BY(mutex_);
  bool records_changed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_SESSION_RUNNER_H_
