// One agent's stream, without its transport: fed with the agent's frames, it admits the agent, keeps the fleet's
// picture of it, and answers. docs/protocol.md tells the order of frames. The transport is a FrameSink on one side and
// the calls OnFrame and OnPeerClosed on the other (hub/session/grpc_agent_service.h is the one for gRPC).
//
// OnFrame is called by one thread at a time, in the order of the frames; everything else by any thread.
#ifndef MUSTER_HUB_SESSION_AGENT_SESSION_H_
#define MUSTER_HUB_SESSION_AGENT_SESSION_H_

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/mutex.h"
#include "hub/fleet/fleet.h"
#include "hub/jobs/job_registry.h"
#include "hub/logs/log_store.h"
#include "hub/session/batch_window.h"
#include "hub/store/journal_writes.h"
#include "hub/store/writer.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Where a session's frames go. Thread-safe; returns at once; harmless after the peer has gone.
class FrameSink {
 public:
  virtual ~FrameSink() = default;
  virtual void Send(const agent::v1::SessionResponse& frame) = 0;
  // Ends the stream after the frames sent so far. Further calls do nothing.
  virtual void Finish() = 0;
};

// Counts for /metrics; each is called without a lock held. None may be empty: what is not set counts nothing.
struct SessionCounters {
  std::function<void()> opened = [] {};
  std::function<void(std::string_view reason)> ended = [](std::string_view) {};
  std::function<void(std::string_view reason)> refused = [](std::string_view) {};
  std::function<void()> heartbeat = [] {};
  std::function<void(std::string_view reason)> frame_refused = [](std::string_view) {};
  std::function<void(std::int64_t records)> records_applied = [](std::int64_t) {};
  std::function<void(std::string_view reason)> batch_refused = [](std::string_view) {};
  // Of the applied records: samples of hosts.
  std::function<void(std::int64_t samples)> samples_stored = [](std::int64_t) {};
};

struct SessionDeps {
  Fleet* fleet = nullptr;
  Writer* writer = nullptr;
  // Null: the lane of logs is not taken.
  LogStore* logs = nullptr;
  // Null: reports of jobs are not taken.
  JobRegistry* jobs = nullptr;
  const Clock* clock = nullptr;
  const SessionCounters* counters = nullptr;
  std::string hub_epoch;
};

class AgentSession : public SessionHandle, public std::enable_shared_from_this<AgentSession> {
 public:
  // A stream that says nothing for this long is ended.
  static constexpr absl::Duration kHelloDeadline = absl::Seconds(10);
  // Two minutes. That the target is stale is known since the first.
  static constexpr int kMostSilentLooks = 24;
  // Acknowledging every heartbeat would double their cost; the agent takes a hub for dead that is silent for 75 s.
  static constexpr absl::Duration kAckSpacing = absl::Seconds(25);
  // An agent leaves 100 ms between heartbeats, so it sends at most 100 in 10 s; half as many again for a burst after a
  // stall of the network.
  static constexpr int kMaxBeatsPerWindow = 150;
  // An agent leaves a second between reports of jobs, so it sends at most 10 in 10 s.
  static constexpr int kMaxJobReportsPerWindow = 15;
  static constexpr absl::Duration kRateWindow = absl::Seconds(10);
  // With so many operations waiting for the writer no batch is taken: batches of 64 KiB would be 64 MiB, and operators
  // and sessions wait behind them.
  static constexpr std::size_t kMaxWriterQueue = 1000;

  AgentSession(const SessionDeps* deps, std::string peer, std::shared_ptr<FrameSink> sink);

  void OnFrame(agent::v1::SessionRequest frame) ABSL_LOCKS_EXCLUDED(mutex_);
  // The agent closed its side or the connection broke; `why` is for people.
  void OnPeerClosed(const std::string& why) ABSL_LOCKS_EXCLUDED(mutex_);

  // SessionHandle
  void End(const Refusal& refusal) override ABSL_LOCKS_EXCLUDED(mutex_);
  void PushSettings(const agent::v1::Settings& settings) override ABSL_LOCKS_EXCLUDED(mutex_);

  // About every 5 s (SessionRegistry): ends a session that still owes its Hello, or that said nothing between the last
  // 24 calls. Calls are counted, not time: a hub that stood still has not listened.
  void EndIfSilent(Instant now) ABSL_LOCKS_EXCLUDED(mutex_);
  bool ended() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // What an answer must repeat, and its place among the lane's answers.
  struct BatchName {
    std::string epoch;
    agent::v1::Lane lane = agent::v1::LANE_UNSPECIFIED;
    std::int64_t first_sequence = 0;
    std::int64_t place = 0;
  };
  // A batch that is with the writer.
  struct BatchWork {
    Fleet::SessionKey key;
    BatchName name;
    BatchOrigin origin;
    agent::v1::RecordBatch batch;
    std::size_t bytes = 0;
    BatchOutcome outcome;
  };

  // Frames of one kind in the present window.
  class FrameRate {
   public:
    // Counts one more; true: there were `most` before.
    bool IsTooMuch(Instant now, int most);

   private:
    Instant begun_;
    int frames_ = 0;
  };

  enum class State { kAwaitHello, kAdmitting, kOpen, kEnded };

  void OnHello(const agent::v1::Hello& hello);
  using Positions = std::vector<agent::v1::LanePosition>;
  // What the store answers to an opening.
  struct StoredOpening {
    absl::Time run;
    Positions applied;
    std::optional<agent::v1::JobPosition> jobs;
  };
  void OnOpeningStored(const Fleet::Admission& admission, const StoredOpening& opening, const absl::Status& stored);
  void Welcome(const Fleet::Admission& admission, const StoredOpening& opening, const std::string& session_id);
  void OnHeartbeat(const agent::v1::Heartbeat& heartbeat);
  void OnRecordBatch(agent::v1::RecordBatch batch);
  bool Takes(agent::v1::Lane lane) const;
  // Of the lane's writer.
  std::size_t Queued(agent::v1::Lane lane) const;
  Positions LogPositions(const agent::v1::Hello& hello) const;
  void StoreBatch(const std::shared_ptr<BatchWork>& work);
  void StoreLogs(const std::shared_ptr<BatchWork>& work);
  void OnBatchStored(const BatchWork& work, const absl::Status& stored);
  void OnBatchApplied(const BatchWork& work);
  void RefuseBatch(const BatchName& name, agent::v1::BatchRefusalReason reason, absl::Duration retry_after,
                   std::int64_t expected = 0);
  // Answers leave in the order in which the lane's batches came.
  void AnswerBatch(const BatchName& name, agent::v1::SessionResponse answer) ABSL_LOCKS_EXCLUDED(mutex_);
  BatchWindow& WindowOf(agent::v1::Lane lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnJobReport(agent::v1::JobReport report) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnJobsStored(const agent::v1::JobPosition& position, absl::StatusOr<JobOutcome> outcome)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // `position`: up to where all is stored.
  void AnswerJobs(const agent::v1::JobPosition& position, const std::vector<std::string>& refusals)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnGoodbye(const agent::v1::Goodbye& goodbye);
  void ProtocolError(std::string message);
  // Leaves every state for kEnded; false when another thread was first. `closing` is what the fleet is told.
  bool EnterEnded(const std::string& closing, std::optional<absl::Time> expected_return = {})
      ABSL_LOCKS_EXCLUDED(mutex_);
  std::optional<Fleet::SessionKey> OpenKey() const ABSL_LOCKS_EXCLUDED(mutex_);

  const SessionDeps* const deps_;
  const std::string peer_;
  const std::shared_ptr<FrameSink> sink_;
  const Instant begun_;
  // Of the agent's frames only, which come one at a time.
  std::int64_t last_heartbeat_ = 0;
  std::optional<Instant> last_ack_;
  FrameRate beat_rate_;
  FrameRate job_report_rate_;

  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kAwaitHello;
  // Calls of EndIfSilent since the last frame.
  int silent_looks_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Fleet::SessionKey> key_ ABSL_GUARDED_BY(mutex_);
  // Of events and of logs: neither waits for the other's writer.
  std::array<BatchWindow, 2> windows_ ABSL_GUARDED_BY(mutex_);
  // A report of jobs is with the writer.
  bool storing_jobs_ ABSL_GUARDED_BY(mutex_) = false;
  // Of the last report that was stored; of Welcome before.
  agent::v1::JobPosition jobs_ ABSL_GUARDED_BY(mutex_);
  // As Welcome gave it.
  std::int64_t session_counter_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SESSION_AGENT_SESSION_H_
