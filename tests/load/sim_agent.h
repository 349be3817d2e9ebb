// One agent of the simulated fleet: the agent's own session logic, change book and presence, over an H2 link, with
// made-up deployments, host samples and log lines. It says what it is told to say; when, FleetSim decides. One thread.
#ifndef MUSTER_TESTS_LOAD_SIM_AGENT_H_
#define MUSTER_TESTS_LOAD_SIM_AGENT_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "agent/journal/change_book.h"
#include "agent/journal/presence.h"
#include "agent/session/session_logic.h"
#include "common/clock.h"
#include "tests/load/h2_link.h"
#include "tests/load/memory_records.h"

namespace muster::load {

// Of the whole fleet.
struct FleetCounts {
  std::int64_t connected = 0;
  std::int64_t heartbeats = 0;
  std::int64_t batches = 0;
  std::int64_t batch_refusals = 0;
  std::int64_t sessions_lost = 0;
  // Agents that were told to go, by reason.
  std::map<std::string, std::int64_t> farewells;
  RecordCounts records;
  // In milliseconds; whoever measures empties them.
  std::vector<float> round_trips_ms;
  std::vector<float> commits_ms;
};

// What all agents share. Outlives them.
struct FleetContext {
  boost::asio::io_context* io;
  const Clock* clock;
  FleetCounts* counts;
  std::mt19937_64* random;
};

struct TargetName {
  std::string id;
  Secret secret;
};

class SimAgent : public agent::SessionOutput {
 public:
  SimAgent(const FleetContext& context, int number, TargetName target, int deployments,
           std::unique_ptr<agent::Dialer> dialer);
  ~SimAgent() override;

  void Start();
  void Stop(agent::v1::GoodbyeReason reason);
  bool stopped() const { return logic_->stopped(); }
  bool connected() const { return is_counted_; }
  bool AllAcknowledged() const { return records_.AllAcknowledged(); }

  // One deployment turns from healthy to error or back.
  void ChangeStatus();
  void SampleHost();
  // Each line names itself: "line 17 of 12 ...".
  void Log(int lines);
  // From the next link on, too.
  void SetPace(ReadPace pace);
  // The connection goes without a word; the session logic finds out and comes back by its own rules.
  void Cut();

  // For the check at the end.
  std::int64_t lines() const { return lines_; }
  std::int64_t status_changes() const { return status_changes_; }
  int number() const { return number_; }

 private:
  class Events;

  // SessionOutput
  void Connect() override;
  void Send(const agent::v1::SessionRequest& frame) override;
  void HalfClose() override;
  void Disconnect() override;
  void KeepSessionCounter(std::int64_t /*counter*/) override {}
  void RelistIntervalChanged(absl::Duration /*interval*/) override {}
  void SetLogsOff(std::vector<std::string> /*deployment_keys*/) override {}
  void SetMetricsEnabled(bool enabled) override { metrics_enabled_ = enabled; }
  void ReadRecords(const agent::ReadRequest& request) override;

  agent::v1::Hello Facts() const;
  void Publish(Moment now);
  void Record(agent::v1::Record record, Moment now);
  void NoteAnswer(const agent::v1::SessionResponse& frame, Instant now);
  // After everything that may have moved the logic.
  void Settle(Moment now);
  void OnTimer();

  const FleetContext context_;
  const int number_;
  const std::unique_ptr<agent::Dialer> dialer_;
  MemoryRecords records_;
  agent::ChangeBook book_;
  agent::Presence presence_;
  agent::Present present_;
  boost::asio::steady_timer timer_;
  Instant armed_for_ = Instant::FromDuration(absl::InfiniteDuration());
  Instant ticked_at_;
  ReadPace pace_ = ReadPace::kNormal;
  bool metrics_enabled_ = false;
  bool is_counted_ = false;  // in FleetCounts::connected
  std::int64_t lines_ = 0;
  std::int64_t status_changes_ = 0;

  // Of the present link.
  std::uint64_t link_number_ = 0;
  std::unique_ptr<agent::Link> link_;
  std::deque<std::pair<std::int64_t, Instant>> beats_sent_;
  std::array<std::deque<Instant>, 2> batches_sent_;  // events, logs

  // Last: it calls all of the above.
  std::unique_ptr<agent::SessionLogic> logic_;
};

}  // namespace muster::load

#endif  // MUSTER_TESTS_LOAD_SIM_AGENT_H_
