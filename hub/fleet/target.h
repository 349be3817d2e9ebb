// One deployment target as the hub knows it now: its identity, its live session, its deployments, and the rules that
// turn what is heard (or not heard) into states. Plain logic: fed with frames and moments, it appends what history
// must keep to a list. Not thread-safe; Fleet guards each Target with a lock of its own.
//
// The rules are those of docs/design.md, "Status rules" and "Truth about time": connected or stale is judged by the
// hub's monotonic clock, 60 s after the last heartbeat or after the hub began to listen, whichever is later.
#ifndef MUSTER_HUB_FLEET_TARGET_H_
#define MUSTER_HUB_FLEET_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "hub/fleet/exposed.h"
#include "hub/fleet/live_host.h"
#include "hub/fleet/session_handle.h"
#include "hub/fleet/snapshot.h"
#include "hub/store/history_recorder.h"
#include "hub/store/journal_writes.h"
#include "hub/store/records.h"

namespace muster::hub {

// No heartbeat, or a deployment not reported, for this long.
inline constexpr absl::Duration kStaleAfter = absl::Seconds(60);
// How often what is too old is looked for and dropped.
inline constexpr absl::Duration kHouseInterval = absl::Seconds(5);
// A deployment without containers is archived after this.
inline constexpr absl::Duration kArchiveGoneAfter = absl::Hours(24 * 7);
// What one agent may list; a frame of 1 MiB holds them. The same figure as the agent's.
inline constexpr std::size_t kMaxDeploymentsPerTarget = 500;
// Listed and gone ones together: beyond, the oldest gone ones are archived early (a host that runs a container with a
// new name every minute would otherwise leave 10,000 behind in a week).
inline constexpr std::size_t kMaxKnownDeployments = 1000;
inline constexpr std::size_t kMaxResourcesPerDeployment = 200;

using HistoryEvents = std::vector<HistoryEvent>;

// Why a session with an old secret, or of a deleted target, must end.
Refusal RotatedRefusal();
Refusal DeletedRefusal();

// Since when the hub hears what is said to it.
struct Listening {
  Instant since;
  // Where its deafness began: its start, or the last it did before a pause of its own.
  absl::Time deaf_from;
};

// What is known of a target's journal.
struct JournalView {
  // Of the last heartbeat that told it.
  std::optional<agent::v1::JournalDepth> depth;
  // Since the hub started.
  std::int64_t gap_records = 0;
  std::int64_t duplicate_records = 0;
  // Time of the newest record that was applied.
  std::optional<absl::Time> newest;
};

struct DeploymentName {
  std::string id;
  std::string name;
};
using DeploymentNames = std::map<std::string, DeploymentName, std::less<>>;  // by key

class Target {
 public:
  explicit Target(StoredTarget stored);

  const std::string& id() const { return stored_.id; }
  const std::string& name() const { return stored_.name; }
  const std::string& customer() const { return stored_.customer; }
  bool deleted() const { return stored_.deleted; }
  std::int64_t generation() const { return stored_.secret_generation; }

  // ---- sessions

  // Whether this Hello may open a session.
  std::optional<Refusal> CheckIdentity(const agent::v1::Hello& hello) const;
  // What the store must keep before the session may be welcomed. Draws the next session counter.
  SessionOpening PrepareOpening(const agent::v1::Hello& hello, absl::Time now);

  struct LiveSession {
    std::int64_t number = 0;  // unique in this process
    std::int64_t counter = 0;
    std::string id;
    std::string peer;
    std::shared_ptr<SessionHandle> handle;
    absl::Time run = {};  // the agent's (hub/store/agent_runs.h)
    absl::Time start;
    // The agent's clock minus the hub's when Hello came; as good as the network was fast.
    absl::Duration hello_skew = absl::ZeroDuration();
    std::optional<absl::Duration> round_trip = {};
    std::optional<absl::Duration> clock_skew = {};
    std::int64_t heartbeats = 0;
    // When the last heartbeat came: what it did not show has changed since.
    std::optional<absl::Time> last_heartbeat = {};
    // Of the last snapshot of this session.
    std::optional<std::uint64_t> digest = {};
    // Keys of that snapshot.
    std::set<std::string, std::less<>> listed = {};
  };
  // The session begins; returns the one it replaces.
  std::shared_ptr<SessionHandle> OpenSession(LiveSession session, const SessionOpening& opening, const Moment& now,
                                             HistoryEvents& events);
  // Nullopt: taken. Otherwise nothing changed and the session must end.
  std::optional<Refusal> Heartbeat(std::int64_t session_number, const agent::v1::Heartbeat& heartbeat,
                                   const Moment& now, HistoryEvents& events);
  // Nothing happens when the session was replaced already.
  void CloseSession(std::int64_t session_number, std::string reason, std::optional<absl::Time> expected_return,
                    const Moment& now);
  std::optional<Refusal> CheckSession(std::int64_t session_number) const;
  // The agent's clock minus the hub's, as the live session knows it.
  absl::Duration ClockSkew() const;
  // What became of a batch of the target's journal. Counts only: what is shown as present comes from heartbeats alone.
  void NoteBatch(const BatchOutcome& outcome);
  // The agent's run that has the session.
  absl::Time run() const { return session_ ? session_->run : absl::Time(); }
  agent::v1::Settings SettingsForAgent() const;

  // ---- time

  void Tick(const Moment& now, const Listening& listening, HistoryEvents& events);

  // ---- operators. Each is called after the store has committed it; returns the session to be ended or told.

  std::shared_ptr<SessionHandle> Rotate(const SecretHash& hash, std::int64_t generation, const Moment& now,
                                        HistoryEvents& events);
  std::shared_ptr<SessionHandle> Delete(const Moment& now, HistoryEvents& events);
  std::shared_ptr<SessionHandle> Update(std::string name, bool metrics_enabled);
  std::shared_ptr<SessionHandle> SetChoices(std::string_view deployment_id, DeploymentChoices choices,
                                            const Moment& now, HistoryEvents& events);
  // Only what is gone, or what no session reports: anything else would be back with the next snapshot.
  bool MayForget(std::string_view deployment_id) const;
  void Forget(std::string_view deployment_id, const Moment& now, HistoryEvents& events);

  // ---- reading

  TargetSnapshot Snapshot() const;
  fleet::v1::Target Describe() const;
  std::optional<fleet::v1::Deployment> FindDeployment(std::string_view deployment_id) const;
  DeploymentNames NamesOfDeployments() const;
  const DeploymentChoices* ChoicesOf(std::string_view deployment_id) const;
  // The newest report about the host, while the target is connected and the sample is the present.
  std::optional<HostPresent> Host() const;
  // OK, or why there is none: UNAVAILABLE "HOST_NOT_PRESENT" with a sentence.
  absl::Status WhyNoHost() const;
  bool metrics_enabled() const { return stored_.metrics_enabled; }
  const types::v1::MachineFacts& machine() const { return stored_.machine; }
  // Adds its part to `targets`, `shown` and `live_hosts`. `organization`: the label. Makes label texts anew only when
  // something in them may have changed.
  void Expose(std::string_view organization, ExposedFleet* fleet);
  types::v1::TargetState state() const { return stored_.open.state; }
  bool has_session() const { return session_.has_value(); }

 private:
  using Deployments = std::map<std::string, StoredDeployment, std::less<>>;  // by key

  std::shared_ptr<const ShownTarget> MakeShown(std::string_view organization) const;
  // Every change ends with it: what /metrics shows of the target is what it says.
  void NoteNumbers();

  // Where a change comes from.
  struct Change {
    absl::Time at;
    std::optional<ChangeName> name = {};
    // The agent's name of it was not seen before, whatever else is new.
    bool renamed = false;
  };

  // Since when the hub cannot say how it was, for a target that has fallen silent; absent: it listened all the time.
  std::optional<absl::Time> UnknownFrom(const Listening& listening) const;
  // `unknown_from`: see TargetTransition.
  void SetState(types::v1::TargetState state, std::string reason, absl::Time at, HistoryEvents& events,
                std::optional<absl::Time> unknown_from = {});
  void ApplySnapshot(const agent::v1::DeploymentSnapshot& snapshot, const Moment& now, HistoryEvents& events);
  void ApplyReport(const agent::v1::DeploymentState& report, absl::Time now, HistoryEvents& events);
  // By the hub's clock, between the heartbeat before and now.
  Change ChangeOf(const agent::v1::DeploymentState& report, const agent::v1::DeploymentState& before,
                  absl::Time now) const;
  void MarkGone(StoredDeployment& deployment, const Change& change, absl::Time now, HistoryEvents& events);
  // Deployments that the snapshot does not list: those of the session's snapshot before ended in good order, others
  // went while nobody told.
  void SettleUnlisted(const std::set<std::string, std::less<>>& listed, absl::Time at, HistoryEvents& events);
  void ConfirmDeployments(const Moment& now, HistoryEvents& events);
  void MarkDeploymentsStale(absl::Time at, HistoryEvents& events);
  void DropOldHost(Instant now);
  void ArchiveOldGone(absl::Time now, HistoryEvents& events);
  // Returns the one behind it.
  Deployments::iterator Archive(Deployments::iterator deployment, absl::Time at, HistoryEvents& events);
  // Brings the open interval in line with the report, the choices and staleness.
  void ShowStatus(StoredDeployment& deployment, absl::Time changed, absl::Time now);
  // Shows it, and records what history does not say yet.
  void Refresh(StoredDeployment& deployment, const Change& change, absl::Time now, HistoryEvents& events);
  StoredDeployment* FindById(std::string_view deployment_id);
  fleet::v1::Deployment DescribeDeployment(const StoredDeployment& deployment) const;

  // What a scrape copies; first, beside the lock, so that it touches little memory of each target.
  ExposedTarget numbers_;
  std::shared_ptr<const ShownTarget> shown_;  // null: to be made anew

  // `deployments` inside is moved to deployments_. A deployment that returns finds in `archived_logs_off` that its logs
  // are off.
  StoredTarget stored_;
  Deployments deployments_;
  std::optional<LiveSession> session_;
  std::optional<fleet::v1::SessionEnd> session_end_;
  std::optional<Instant> last_seen_;
  std::optional<Instant> deployments_confirmed_;
  std::optional<absl::Time> deployments_confirmed_wall_;
  Instant house_due_;
  std::string observer_fault_;
  int omitted_ = 0;
  bool deployments_stale_ = false;
  std::string stale_reason_;
  JournalView journal_;
  // Absent while metrics are off, and when it is too old.
  std::shared_ptr<const LiveHost> host_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_TARGET_H_
