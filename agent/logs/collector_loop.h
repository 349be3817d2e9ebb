// The collector's work, one turn at a time: which containers are followed, their lines and the agent's own on their way
// to the journal, settings, back-pressure (docs/logs.md, "Collection"). Driven by LogCollector's thread, in tests by
// the test. Not thread-safe.
#ifndef MUSTER_AGENT_LOGS_COLLECTOR_LOOP_H_
#define MUSTER_AGENT_LOGS_COLLECTOR_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/http/stream_group.h"
#include "agent/logs/container_follow.h"
#include "agent/logs/line_maker.h"
#include "agent/logs/log_journal.h"
#include "agent/logs/log_sources.h"
#include "agent/logs/own_log_lines.h"
#include "common/clock.h"

namespace muster::agent {

// The newest; a connection of some 10 KiB each with Docker, and of 50 KiB of TLS with Kubernetes.
inline constexpr std::size_t kMaxFollowed = 500;
inline constexpr std::size_t kMaxFollowedInCluster = 200;
// Of containers that are not followed now; 300 bytes each.
inline constexpr std::size_t kMaxPlaces = 5000;
// A record is open no longer. Each time costs a dozen wake-ups and a sync on its way to the hub; with what the hub adds
// it stays well below the second that live tail has.
inline constexpr absl::Duration kRecordTime = absl::Milliseconds(700);
// While the journal is not open or has no room it is asked again after this time.
inline constexpr absl::Duration kJournalPoll = absl::Milliseconds(100);
// Other runs of a pod's container of which one's last message may be this one's; and clocks may have been set back by
// so much since a run began.
inline constexpr std::size_t kMaxOffers = 3;
inline constexpr absl::Duration kOfferSpread = absl::Minutes(1);
// Containers whose place is being looked for at a time.
inline constexpr std::size_t kMaxSearches = 8;
// The clock was set back if it fell by so much against the boot clock. Less is the time between reading the two, and
// does no harm: a stream shows what is up to kStampSpread earlier than its opening.
inline constexpr absl::Duration kClockFall = absl::Milliseconds(500);

struct CollectorOptions {
  // Of containers; the agent's own log is collected always (`--container-logs off`).
  bool collects_containers = true;
  std::size_t max_followed = kMaxFollowed;
  // /proc/sys/kernel/random/boot_id
  std::string boot_id;
  // For back-off: numbers in [0, 1).
  std::function<double()> uniform;
};

class CollectorLoop {
 public:
  // All pointers outlive this. `clock` counts from the machine's boot: Clock::SinceBoot().
  CollectorLoop(CollectorOptions options, const Clock* clock, std::unique_ptr<StreamGroup> streams,
                const Masker* masker, LogJournal* journal, OwnLogSource* own_log);

  // What others told since the last turn; the newest replaces what is older.
  void SetContainers(std::vector<LogContainer> containers);
  void SetLogsOff(std::vector<std::string> deployment_keys);

  // Does what is due, waits for streams until something else is, and takes what they give.
  void Turn();
  // What was read is appended, and what was refused is told. Final; nothing of the loop is to be called behind it.
  void Finish();

  StreamGroup* streams() const { return streams_.get(); }

 private:
  bool Remember();
  // Settings.
  void TakeSettings(const Moment& now);
  void KeepSettings(const Moment& now);
  void SwitchOff(const std::set<std::string>& keys, const Moment& now);
  // Containers.
  void TakeContainers(const Moment& now);
  bool IsOff(const LogContainer& container) const { return off_.contains(container.deployment_key); }
  std::map<std::string, LogContainer> Selected();
  void NameOthers(std::set<std::string> others);
  void Begin(const LogContainer& container, const Moment& now);
  void Leave(const std::string& id, const Moment& now);
  // Kubernetes: other runs of a container, and what was taken for one of them.
  std::vector<ContainerFollow::Offer> OffersTo(const LogContainer& container) const;
  bool HasOtherRun(const LogContainer& container) const;
  void MovePlace(const std::string& from, const std::string& to, const Moment& now);
  // Adds to the facts what its position says, or that it says nothing.
  absl::StatusOr<LogPlace> FindPlace(const LogContainer& container, BeginFacts* facts);

  void TakeClock(const Moment& now);
  void TickAll(const Moment& now);
  void TakeEvent(const StreamGroup::Event& event);
  void FlushIfDue(const Moment& now);
  void AppendReady(const Moment& now);
  std::size_t Searching() const;
  absl::Duration UntilDue(Instant now) const;

  const CollectorOptions options_;
  const Clock* const clock_;
  const std::unique_ptr<StreamGroup> streams_;
  LogJournal* const journal_;
  OwnLogSource* const own_log_;

  LineMaker maker_;
  TokenBucket host_rate_{kHostBytesPerSecond};
  std::vector<LogJournal::Lines> ready_;
  LineParts parts_;
  OwnLogLines own_lines_;

  bool remembers_ = false;
  std::optional<absl::Time> first_settings_;
  std::optional<absl::Time> lost_since_;
  // Where a container stands that is not followed now.
  struct Left {
    LogPosition position;
    // Empty before it was followed by this run of the agent.
    std::string runs_path = {};
  };
  std::map<std::string, Left> left_;

  // Told and not yet taken.
  std::optional<std::vector<LogContainer>> new_containers_;
  std::optional<std::set<std::string>> new_off_;
  std::optional<std::vector<LogContainer>> containers_;
  std::set<std::string> off_;
  // Since when this run knows that they are off, and that they are on again.
  std::map<std::string, absl::Time> off_since_;
  std::map<std::string, absl::Time> on_since_;
  // On again, and off in the journal until the markers and positions are there that say from where.
  std::set<std::string> switching_on_;
  bool must_select_ = false;
  std::set<std::string> others_;

  std::map<std::string, std::unique_ptr<ContainerFollow>> follows_;
  std::optional<Instant> flush_at_;
  // The journal has no room.
  bool is_blocked_ = false;
  // The highest since streams were last opened anew.
  std::int64_t clock_us_ = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_COLLECTOR_LOOP_H_
