// The agent's half of the session protocol (docs/protocol.md) as a state machine: it is fed with frames, pictures and
// times, and answers through SessionOutput. It knows no transport, no thread, no file and no clock. SessionRunner
// drives it; every call comes from that one thread.
//
//   waiting ──Connect──> greeting ──Welcome──> welcomed ──Goodbye──> closing ──> waiting or stopped
//      ^─────── farewell, end of stream, silence, a frame out of order ──────┘
#ifndef MUSTER_AGENT_SESSION_SESSION_LOGIC_H_
#define MUSTER_AGENT_SESSION_SESSION_LOGIC_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/present.h"
#include "agent/records.h"
#include "agent/reports.h"
#include "agent/session/job_reporter.h"
#include "agent/session/replay.h"
#include "agent/session/session_status.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/secret.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

inline constexpr absl::Duration kDefaultHeartbeatInterval = absl::Seconds(5);
inline constexpr absl::Duration kMinHeartbeatInterval = absl::Seconds(1);
// A target is stale after 60 s without a heartbeat, so nothing slower makes sense.
inline constexpr absl::Duration kMaxHeartbeatInterval = absl::Seconds(60);
inline constexpr absl::Duration kDefaultRelistInterval = absl::Seconds(60);
inline constexpr absl::Duration kMinRelistInterval = absl::Seconds(10);
inline constexpr absl::Duration kMaxRelistInterval = absl::Hours(1);
// Changes within this gap travel in one heartbeat: at most 10 a second.
inline constexpr absl::Duration kMinHeartbeatGap = absl::Milliseconds(100);
// The first look at the runtime takes some 100 ms; a first heartbeat that already knows it spares everybody a fault.
inline constexpr absl::Duration kFirstPresentGrace = absl::Seconds(1);
// From dialling to Welcome: name, TCP, TLS and the hub's answer on a line with 2 s round trips.
inline constexpr absl::Duration kGreetingTimeout = absl::Seconds(20);
// The hub acks about every 30 s: two acks may be lost to a stall before the agent hangs up.
inline constexpr absl::Duration kHubSilenceLimit = absl::Seconds(75);
inline constexpr absl::Duration kClosingTimeout = absl::Seconds(2);
// A session this long was good: the next loss starts the back-off anew.
inline constexpr absl::Duration kStableSession = absl::Seconds(60);
// Full jitter may draw zero; a refused connection must not become a busy loop.
inline constexpr absl::Duration kMinReconnectDelay = absl::Milliseconds(100);
// The same failure is logged once in this time.
inline constexpr absl::Duration kRepeatedFailureLogInterval = absl::Minutes(1);
// A farewell needs a person; it is said once and then each hour.
inline constexpr absl::Duration kRepeatedFarewellLogInterval = absl::Hours(1);
// Heartbeats whose echo may still come: an ack every 30 s at 10 heartbeats a second needs 300.
inline constexpr std::size_t kMaxEchoesAwaited = 512;

struct OwnUse {
  double cpu_seconds_total = 0;
  std::int64_t resident_bytes = 0;
};

// What the session needs to know of its host; called from the session's thread, must not block.
struct HostView {
  // A Hello with boot id, machine id and machine facts filled in.
  std::function<v1::Hello()> facts;
  std::function<OwnUse()> use;
  // Null: this agent has no journal.
  RecordSource* records = nullptr;
  // Null: jobs cannot push to this agent.
  JobSource* jobs = nullptr;
};

// What the logic asks of its driver. Calls must not come back into the logic before they return.
class SessionOutput {
 public:
  virtual ~SessionOutput() = default;
  // A new link; events of earlier ones no longer count.
  virtual void Connect() = 0;
  // One frame at a time: OnSent follows.
  virtual void Send(const v1::SessionRequest& frame) = 0;
  virtual void HalfClose() = 0;
  // Ends the link at once; none of its events count any more.
  virtual void Disconnect() = 0;
  // Durable when it returns.
  virtual void KeepSessionCounter(std::int64_t counter) = 0;
  // Already clamped.
  virtual void RelistIntervalChanged(absl::Duration interval) = 0;
  // Each time that the hub sends settings, changed or not: see LogSettingsSink.
  virtual void SetLogsOff(std::vector<std::string> deployment_keys) = 0;
  // Likewise.
  virtual void SetMetricsEnabled(bool enabled) = 0;
  // OnRecords follows. Only with HostView::records.
  virtual void ReadRecords(const ReadRequest& request) = 0;
};

class SessionLogic {
 public:
  struct Options {
    std::string target_id;
    Secret secret;
    // Counter of the last Welcome, from the state file.
    std::int64_t session_counter = 0;
  };

  SessionLogic(Options options, HostView host, std::function<double()> uniform, SessionOutput* output);

  // Connects at once.
  void Start(Moment now);
  void OnPresent(const Present& present, Moment now);
  // The newest sample of the host, within kMaxHostReportBytes: goes with the next heartbeat. Nullopt: there is none.
  void OnHostReport(std::optional<v1::HostReport> report, Instant taken);
  void OnSecretChanged(Secret secret, Moment now);
  // Goodbye if there is a session; done when stopped() says so, at most kClosingTimeout later.
  void Stop(v1::GoodbyeReason reason, Moment now);

  // Events of the current link.
  void OnSent(Moment now);
  void OnFrame(const v1::SessionResponse& frame, Moment now);
  void OnReadEnded(Moment now);
  void OnLinkClosed(const absl::Status& status, Moment now);

  // Whenever HostView::records may hold more, or less.
  void OnRecordsChanged(Moment now);
  void OnRecords(v1::RecordBatch batch, Moment now);

  // Whenever HostView::jobs may have changed.
  void OnJobsChanged(Moment now) { SendWhatIsDue(now); }

  // To be called when NextDeadline() has come; early calls do nothing.
  void OnTimer(Moment now);
  Instant NextDeadline() const;

  bool stopped() const { return phase_ == Phase::kStopped; }
  // Its `changes` rises with every change.
  const SessionStatus& status() const { return status_; }

 private:
  enum class Phase { kWaiting, kGreeting, kWelcomed, kClosing, kStopped };

  struct SentHeartbeat {
    std::int64_t number;
    Moment at;
  };

  // Everything that begins anew with each session.
  struct Session {
    std::int64_t last_number = 0;
    std::optional<Instant> last_heartbeat_at;
    // Digest of the last snapshot sent; absent: the next heartbeat carries a snapshot.
    std::optional<std::uint64_t> snapshot_sent;
    // Message of the fault that the last heartbeat carried.
    std::optional<std::string> fault_sent;
    std::deque<SentHeartbeat> awaiting_echo;
    std::optional<absl::Duration> round_trip;
    std::optional<absl::Duration> clock_skew;
    Instant welcomed_at;
    // The newest sample of the host went with a heartbeat.
    bool host_sent = false;
    // What Hello said that the journal holds.
    std::vector<v1::LanePosition> positions;
  };

  void Connect(Moment now);
  void SendHello(Moment now);
  void Greeted(const v1::SessionResponse& frame, Moment now);
  void Handle(const v1::SessionResponse& frame, Moment now);
  void SendFrame(const v1::SessionRequest& frame);
  void Welcome(const v1::Welcome& welcome, Moment now);
  void Apply(const v1::Settings& settings);
  void Acknowledged(const v1::HeartbeatAck& ack, Moment now);
  void Farewell(const v1::Farewell& farewell, Moment now);
  // The heartbeat if it is due, else records, else jobs.
  void SendWhatIsDue(Moment now);
  void SendRecords(Moment now);
  void SendJobs(Moment now);
  bool MaySendRecords() const;
  bool MaySendJobs() const;
  void FillPositions(v1::Hello* hello);
  void BeginReplay(const v1::Welcome& welcome);
  void BatchAcknowledged(const v1::BatchAck& ack, Moment now);
  v1::SessionRequest NextHeartbeat(Moment now);
  void FillPresent(v1::Heartbeat* heartbeat);
  void FillHost(v1::Heartbeat* heartbeat, Instant now);
  bool PresentDiffersFromSent() const;
  Instant HeartbeatDueAt() const;
  absl::Duration SilenceLimit() const;
  void BeginClosing(v1::GoodbyeReason reason, Moment now);
  void SendGoodbyeIfPossible();
  void FinishClosing(Moment now);
  // The link is gone or given up: back to waiting.
  void LoseLink(const std::string& why, absl::Duration delay, Moment now);
  // LoseLink with the log line, after the ordinary back-off.
  void Fail(const std::string& why, Moment now);
  // The same for a hub that breaks the protocol.
  void FailForProtocol(const std::string& why, Moment now);
  absl::Duration BackoffDelay(Moment now);
  void LogFailure(log::Level level, const std::string& message, absl::Duration repeat_after,
                  absl::Duration next_attempt, Moment now);

  const std::string target_id_;
  const HostView host_;
  const std::function<double()> uniform_;
  SessionOutput* const output_;

  Secret secret_;
  Backoff backoff_;
  // Since the end of the last stable session, or the start.
  Instant unstable_since_;
  Phase phase_ = Phase::kWaiting;
  Session session_;
  Replay replay_;
  JobReporter jobs_;
  SessionStatus status_;
  std::int64_t session_counter_;
  absl::Duration heartbeat_interval_ = kDefaultHeartbeatInterval;
  absl::Duration relist_interval_ = kDefaultRelistInterval;

  v1::DeploymentSnapshot snapshot_;
  // Before the first picture: a fault that says so.
  std::optional<v1::ObserverFault> fault_;
  bool observed_ = false;  // the first picture has come
  // As the hub said last.
  bool metrics_enabled_ = false;
  std::optional<v1::HostReport> host_report_;
  Instant host_report_taken_;

  bool link_open_ = false;
  bool send_in_flight_ = false;
  bool half_closed_ = false;
  std::optional<v1::GoodbyeReason> goodbye_;  // to be sent as soon as the link takes it
  bool stopping_ = false;
  Instant next_attempt_ = Instant::FromDuration(absl::InfiniteDuration());
  Instant phase_deadline_;  // of greeting and closing
  Instant last_frame_at_;
  std::optional<Instant> read_ended_deadline_;

  double cpu_seconds_reported_ = 0;
  std::string last_failure_;
  std::optional<Instant> last_failure_logged_at_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_SESSION_LOGIC_H_
