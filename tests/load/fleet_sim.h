// The simulated fleet: starts the agents, makes them live at the set rates, and says how they fare. One thread, that of
// the io_context.
#ifndef MUSTER_TESTS_LOAD_FLEET_SIM_H_
#define MUSTER_TESTS_LOAD_FLEET_SIM_H_

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/load/sim_agent.h"

namespace muster::load {

struct Rates {
  int deployments = 1;
  // Of all deployments, in a minute.
  double status_changes_percent = 1;
  absl::Duration host_metrics_every = absl::Seconds(30);
  // Of the whole fleet, in bursts of so many.
  double log_lines_per_second = 0;
  int log_burst = 1;
  // Agents that log `flood_lines_per_second` each on top; the first ones.
  int flooding = 0;
  double flood_lines_per_second = 5000;
  // Agents that read slowly, and that never read; behind the flooding ones.
  int slow = 0;
  int stuck = 0;
  // New connections in a second while the fleet starts.
  double starts_per_second = 1000;
};

class FleetSim {
 public:
  // `targets`: one for each agent. Sources: loopback addresses 127.1.0.1 and on, so many; 0: the kernel's choice.
  FleetSim(boost::asio::io_context* io, H2Network* network, std::vector<TargetName> targets, const Rates& rates,
           int sources, std::uint64_t seed);

  // From now on agents start and live.
  void Start();
  // All that is made up ends; heartbeats and what is recorded go on.
  void Quiet() { is_quiet_ = true; }
  bool AllAcknowledged() const;
  // Goodbye to all.
  void Stop();
  bool AllStopped() const;
  // All connections end without a word, as when a network goes.
  void CutAll();

  FleetCounts& counts() { return counts_; }
  const std::vector<std::unique_ptr<SimAgent>>& agents() const { return agents_; }
  // Without those that flood or dawdle.
  std::span<const std::unique_ptr<SimAgent>> behaved_agents() const {
    return std::span(agents_).last(static_cast<std::size_t>(well_behaved()));
  }
  // Round trips of agents that neither flood nor dawdle are what fairness is judged by: theirs alone are counted.
  int well_behaved() const { return static_cast<int>(agents_.size()) - rates_.flooding - rates_.slow - rates_.stuck; }

 private:
  void Tick();
  // How many events of `per_second` are due in a tick, on average exactly so many.
  int Due(double per_second, double seconds, double* rest);
  SimAgent& Any() { return *agents_[random_() % agents_.size()]; }

  boost::asio::io_context* const io_;
  const Rates rates_;
  std::mt19937_64 random_;
  FleetCounts counts_;
  // Flooding, slow and stuck ones.
  FleetCounts misfits_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  boost::asio::steady_timer timer_;
  Instant ticked_at_;
  std::size_t started_ = 0;
  std::size_t next_sampled_ = 0;
  double starts_rest_ = 0;
  double changes_rest_ = 0;
  double samples_rest_ = 0;
  double logs_rest_ = 0;
  double floods_rest_ = 0;
  bool is_quiet_ = false;
};

}  // namespace muster::load

#endif  // MUSTER_TESTS_LOAD_FLEET_SIM_H_
