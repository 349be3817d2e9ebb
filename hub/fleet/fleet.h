// The live fleet: every target with its session and its deployments, in memory. Sessions feed it, the API and /metrics
// read it, what history must keep goes to a HistorySink. The store is the truth about identity and history; the fleet
// is the truth about now.
//
// Thread-safe. Each target has a lock of its own, so that a heartbeat touches no lock shared by all but the registry's
// shared one at Hello. Session handles are called with no lock held.
#ifndef MUSTER_HUB_FLEET_FLEET_H_
#define MUSTER_HUB_FLEET_FLEET_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "hub/fleet/target.h"

namespace muster::hub {

// Protocol versions below are answered TOO_OLD.
inline constexpr int kOldestProtocolVersion = 1;

class Fleet {
 public:
  // A tick that comes later than this after the one before means that the hub itself was stopped (SIGSTOP, a frozen
  // virtual machine) or starved: nobody's silence in that time counts against them. Eight ticks.
  static constexpr absl::Duration kPauseGap = absl::Seconds(2);

  Fleet(std::string organization, std::vector<StoredTarget> targets, HistorySink* history, const Moment& start);

  // ---- sessions

  struct Slot {
    explicit Slot(StoredTarget stored) : target(std::move(stored)) {}
    Mutex mutex;
    Target target ABSL_GUARDED_BY(mutex);
  };
  // A right to open a session, good until the secret changes.
  struct Admission {
    std::shared_ptr<Slot> slot;
    std::int64_t generation = 0;
    SessionOpening opening;  // to be committed before OpenSession
    absl::Time run = {};     // what committing it returned
    // The agent's clock minus the hub's, by Hello.
    absl::Duration skew;
    std::string target_name;
  };
  std::variant<Admission, Refusal> Admit(const agent::v1::Hello& hello, absl::Time now);

  // A live session's hold on its target.
  struct SessionKey {
    std::shared_ptr<Slot> slot;
    std::int64_t number = 0;
    // Of the secret that Hello showed.
    std::int64_t generation = 0;
  };
  // Refused when the secret was rotated or the target deleted since Admit. Ends the session it replaces.
  std::variant<SessionKey, Refusal> OpenSession(const Admission& admission, std::string session_id, std::string peer,
                                                std::shared_ptr<SessionHandle> handle, const Moment& now);
  std::optional<Refusal> Heartbeat(const SessionKey& key, const agent::v1::Heartbeat& heartbeat, const Moment& now);
  // A batch of the journal that came at `now`, or why the session must end: the same check as for a heartbeat.
  std::variant<BatchOrigin, Refusal> AcceptBatch(const SessionKey& key, absl::Time now) const;
  // Counts what became of it. The present is never touched by batches.
  void NoteBatch(const SessionKey& key, const BatchOutcome& outcome);
  void CloseSession(const SessionKey& key, std::string reason, std::optional<absl::Time> expected_return,
                    const Moment& now);
  agent::v1::Settings SettingsFor(const SessionKey& key) const;

  // ---- operators, after the store has committed (TargetAdmin)

  void Add(StoredTarget target);
  void Rotate(std::string_view id, const SecretHash& hash, std::int64_t generation, const Moment& now);
  void Delete(std::string_view id, const Moment& now);
  void Update(std::string_view id, std::string name, bool metrics_enabled);
  void SetChoices(std::string_view target_id, std::string_view deployment_id, DeploymentChoices choices,
                  const Moment& now);
  void Forget(std::string_view target_id, std::string_view deployment_id, const Moment& now);

  // ---- time

  // Several times a second: what has fallen silent becomes stale.
  void Tick(const Moment& now);
  // Until then nobody is called stale for their silence; absent when past.
  std::optional<absl::Time> GraceUntil(const Moment& now) const;

  // ---- reading

  FleetSnapshot Snapshot(absl::Time now) const;
  // What /metrics shows.
  ExposedFleet Expose(absl::Time now) const;
  // By id or name; NOT_FOUND "TARGET_NOT_FOUND". With a customer, only that customer's targets exist.
  absl::StatusOr<TargetSnapshot> FindTarget(std::string_view id_or_name, std::string_view customer) const;
  // By id, "target/name", or a name that occurs once. NOT_FOUND "DEPLOYMENT_NOT_FOUND", FAILED_PRECONDITION
  // "DEPLOYMENT_AMBIGUOUS".
  absl::StatusOr<fleet::v1::Deployment> FindDeployment(std::string_view reference, std::string_view customer) const;
  absl::StatusOr<DeploymentChoices> ChoicesOf(std::string_view target_id, std::string_view deployment_id) const;
  // Empty when there is no such target.
  DeploymentNames NamesOfDeployments(std::string_view target_id) const;
  bool MayForget(std::string_view target_id, std::string_view deployment_id) const;
  // The host at its newest sample. Absent when the target is not connected or unknown, metrics are off, or the sample
  // is older than kHostPresentFor.
  std::optional<HostPresent> HostOf(std::string_view target_id) const;
  // With the machine's facts, or why not: NOT_FOUND "TARGET_NOT_FOUND", UNAVAILABLE "HOST_NOT_PRESENT".
  struct NamedHost {
    HostPresent host;
    types::v1::MachineFacts machine;
  };
  absl::StatusOr<NamedHost> PresentHost(std::string_view id_or_name) const;
  struct TargetName {
    std::string id;
    std::string name;
    std::string customer;
    bool metrics_enabled = true;
  };
  // In order of id.
  std::vector<TargetName> TargetNames() const;
  // Nullopt: there is no such target, or it was deleted.
  std::optional<TargetName> NameOf(std::string_view target_id) const;

  // Grows with every change that a reader could see, except mere heartbeats.
  std::int64_t version() const { return version_.load(std::memory_order_relaxed); }
  const std::string& organization() const { return organization_; }
  std::int64_t heartbeats() const { return heartbeats_.load(std::memory_order_relaxed); }

 private:
  using Slots = std::unordered_map<std::string, std::shared_ptr<Slot>>;

  std::shared_ptr<Slot> FindSlot(std::string_view id) const ABSL_LOCKS_EXCLUDED(mutex_);
  // In order of id; those that are added later are not in it.
  using SlotList = std::shared_ptr<const std::vector<std::shared_ptr<Slot>>>;
  SlotList AllSlots() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Hands events over while the target's lock is held (their order is the target's), and has them written after.
  void Record(HistoryEvents events);
  template <typename Change>
  void ChangeTarget(std::string_view id, Change change);

  const std::string organization_;
  const std::string organization_label_;
  HistorySink* const history_;  // synchronises itself
  std::atomic<std::int64_t> next_session_{1};
  std::atomic<std::int64_t> version_{1};
  std::atomic<std::int64_t> heartbeats_{0};

  mutable Mutex mutex_;
  Slots slots_ ABSL_GUARDED_BY(mutex_);
  // All of slots_; null: to be made anew.
  mutable SlotList all_ ABSL_GUARDED_BY(mutex_);
  Listening listening_ ABSL_GUARDED_BY(mutex_);
  Moment last_tick_ ABSL_GUARDED_BY(mutex_);
};

// Of a target's series: "organization=...,customerorganization=...,deploymenttarget=...,deploymenttargetid=...".
std::string TargetLabels(std::string_view organization, const Fleet::TargetName& target);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_FLEET_H_
