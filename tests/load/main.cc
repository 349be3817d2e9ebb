// muster-load: a fleet on one machine. It speaks the agents' protocol to a hub, from Hello to Goodbye, one connection
// each, makes deployments, host samples and log lines up at set rates, and prints as JSON how the hub did: CPU and
// memory per agent, round trips, commits, what was lost or stored twice. docs/load.md.
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "common/address.h"
#include "common/log.h"
#include "common/status.h"
#include "common/time_format.h"
#include "common/version.h"
#include "tests/load/fleet_api.h"
#include "tests/load/fleet_sim.h"

namespace muster::load {
namespace {

using nlohmann::json;

// What is recorded must be acknowledged within this time once nothing more is made up.
constexpr absl::Duration kDrainLimit = absl::Seconds(60);
constexpr absl::Duration kStopLimit = absl::Seconds(15);
constexpr auto kWatchEvery = std::chrono::seconds(1);

struct Options {
  cli::RawSettings hub;
  std::string grpc_address;
  std::string grpc_ca_file;
  bool plaintext = false;
  bool invented = false;
  std::string prefix = "load";
  int targets = 1000;
  int sources = 200;
  double warm_up_s = 60;
  double duration_s = 60;
  double cut_at_s = 0;
  int check = 200;
  int hub_pid = 0;
  double host_metrics_s = 30;
  double ping_s = 20;
  std::uint64_t seed = std::random_device()();
  Rates rates;
};

// Of the hub's process, where it runs on this machine.
struct ProcessUse {
  double cpu_seconds = 0;
  double resident_mib = 0;
  double anonymous_mib = 0;
};

std::optional<ProcessUse> ReadUse(int pid) {
  if (pid <= 0) return std::nullopt;
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string line;
  if (!std::getline(stat, line) || line.rfind(')') == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::vector<std::string> words;
  for (std::string word; fields >> word;) words.push_back(word);
  ProcessUse use;
  use.cpu_seconds = (std::stod(words.at(11)) + std::stod(words.at(12))) / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  while (std::getline(status, line)) {
    if (absl::StartsWith(line, "VmRSS:")) use.resident_mib = std::stod(line.substr(6)) / 1024;
    if (absl::StartsWith(line, "RssAnon:")) use.anonymous_mib = std::stod(line.substr(8)) / 1024;
  }
  return use;
}

double OwnCpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

json Distribution(std::vector<float> values) {
  if (values.empty()) return nullptr;
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
  };
  return {{"count", values.size()}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"p999", at(0.999)}, {"max", values.back()}};
}

// One run: an asio timer watches the fleet each second and moves from one part to the next.
class Run {
 public:
  Run(const Options& options, boost::asio::io_context* io, FleetSim* fleet, H2Network* network)
      : options_(options), io_(*io), fleet_(*fleet), network_(*network), timer_(*io), signals_(*io, SIGINT, SIGTERM) {}

  void Start() {
    begun_ = now();
    signals_.async_wait([this](boost::system::error_code failed, int) {
      if (!failed) Enter(Part::kStopping);
    });
    fleet_.Start();
    Watch();
  }

  absl::Time window_from() const { return window_wall_; }
  absl::Time window_to() const { return window_end_wall_; }

  json Report() {
    const FleetCounts& counts = fleet_.counts();
    const double window_s = absl::ToDoubleSeconds(window_end_ - window_begun_);
    const auto agents = static_cast<double>(fleet_.agents().size());
    json report = {{"agents", fleet_.agents().size()},
                   {"seed", options_.seed},
                   {"transport", options_.plaintext ? "plaintext" : "tls"},
                   {"all_connected_after_s", all_connected_s_ ? json(*all_connected_s_) : json(nullptr)},
                   {"connected_least", connected_least_},
                   {"outages", outages_},
                   {"window_s", window_s},
                   {"heartbeats_per_s", window_s > 0 ? static_cast<double>(window_heartbeats_) / window_s : 0},
                   {"batches_per_s", window_s > 0 ? static_cast<double>(window_batches_) / window_s : 0},
                   {"round_trip_ms", Distribution(round_trips_)},
                   {"commit_ms", Distribution(commits_)},
                   {"records",
                    {{"recorded", counts.records.recorded},
                     {"acknowledged", counts.records.acknowledged},
                     {"refused", counts.records.refused},
                     {"lost_by_the_hub", counts.records.lost}}},
                   {"batch_refusals", counts.batch_refusals},
                   {"sessions_lost", counts.sessions_lost},
                   {"connects", network_.connects()},
                   {"farewells", counts.farewells},
                   {"simulator_cpu_s", own_cpu_}};
    if (window_use_ && window_end_use_ && window_s > 0) {
      const double cpu = window_end_use_->cpu_seconds - window_use_->cpu_seconds;
      report["hub"] = {
          {"cpu_seconds", cpu},
          {"cores", cpu / window_s},
          {"cpu_us_per_heartbeat", window_heartbeats_ > 0 ? 1e6 * cpu / static_cast<double>(window_heartbeats_) : 0},
          {"resident_mib", window_end_use_->resident_mib},
          {"resident_mib_most", resident_most_},
          {"anonymous_mib", window_end_use_->anonymous_mib},
          {"resident_kib_per_agent", 1024 * window_end_use_->resident_mib / agents}};
    }
    return report;
  }

 private:
  enum class Part { kConnecting, kWarmUp, kWindow, kDraining, kStopping, kOver };

  static Instant now() { return Clock::System()->Monotonic(); }
  double Since(Instant instant) const { return absl::ToDoubleSeconds(now() - instant); }

  void Watch() {
    Step();
    if (part_ == Part::kOver) return io_.stop();
    timer_.expires_after(kWatchEvery);
    timer_.async_wait([this](boost::system::error_code failed) {
      if (!failed) Watch();
    });
  }

  void Enter(Part part) {
    part_ = part;
    entered_ = now();
    FleetCounts& counts = fleet_.counts();
    if (part == Part::kWindow) {
      fmt::print(stderr, "the window begins\n");
      window_begun_ = entered_;
      window_wall_ = Clock::System()->Now();
      counts.round_trips_ms.clear();
      counts.commits_ms.clear();
      window_heartbeats_ = -counts.heartbeats;
      window_batches_ = -counts.batches;
      own_cpu_ = -OwnCpuSeconds();
      window_use_ = ReadUse(options_.hub_pid);
      connected_least_ = counts.connected;
    }
    if (part == Part::kDraining) {
      window_end_ = entered_;
      window_end_wall_ = Clock::System()->Now();
      round_trips_ = std::move(counts.round_trips_ms);
      commits_ = std::move(counts.commits_ms);
      window_heartbeats_ += counts.heartbeats;
      window_batches_ += counts.batches;
      own_cpu_ += OwnCpuSeconds();
      window_end_use_ = ReadUse(options_.hub_pid);
      fleet_.Quiet();
    }
    if (part == Part::kStopping) fleet_.Stop();
  }

  void Step() {
    const std::int64_t connected = fleet_.counts().connected;
    NoteOutage(connected);
    const bool all = connected >= fleet_.well_behaved();
    switch (part_) {
      case Part::kConnecting:
        if (!all) {
          fmt::print(stderr, "{} of {} connected after {:.0f} s\n", connected, fleet_.well_behaved(), Since(begun_));
          return;
        }
        all_connected_s_ = Since(begun_);
        return Enter(Part::kWarmUp);
      case Part::kWarmUp:
        if (Since(entered_) >= options_.warm_up_s) Enter(Part::kWindow);
        return;
      case Part::kWindow:
        connected_least_ = std::min(connected_least_, connected);
        if (const auto use = ReadUse(options_.hub_pid)) resident_most_ = std::max(resident_most_, use->resident_mib);
        if (options_.cut_at_s > 0 && Since(entered_) >= options_.cut_at_s && !was_cut_) {
          was_cut_ = true;
          fleet_.CutAll();
        }
        if (Since(entered_) >= options_.duration_s && (all || Since(entered_) >= options_.duration_s + 120)) {
          Enter(Part::kDraining);
        }
        return;
      case Part::kDraining:
        if (fleet_.AllAcknowledged() || now() - entered_ >= kDrainLimit) Enter(Part::kStopping);
        return;
      case Part::kStopping:
        if (fleet_.AllStopped() || now() - entered_ >= kStopLimit) part_ = Part::kOver;
        return;
      case Part::kOver:
        return;
    }
  }

  // From the first agent that is away to all being back.
  void NoteOutage(std::int64_t connected) {
    if (part_ == Part::kConnecting || part_ == Part::kStopping) return;
    if (connected < fleet_.well_behaved()) {
      if (!outage_began_) {
        outage_began_ = now();
        fmt::print(stderr, "{} of {} connected\n", connected, fleet_.well_behaved());
      }
      outage_least_ = std::min(outage_least_, connected);
      return;
    }
    if (!outage_began_) return;
    const double took = Since(*outage_began_);
    fmt::print(stderr, "all connected again after {:.0f} s\n", took);
    outages_.push_back({{"all_back_after_s", took}, {"connected_least", outage_least_}});
    outage_began_.reset();
    outage_least_ = INT64_MAX;
  }

  const Options& options_;
  boost::asio::io_context& io_;
  FleetSim& fleet_;
  H2Network& network_;
  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  Part part_ = Part::kConnecting;
  Instant begun_;
  Instant entered_;
  Instant window_begun_;
  Instant window_end_;
  absl::Time window_wall_;
  absl::Time window_end_wall_;
  std::optional<double> all_connected_s_;
  std::optional<ProcessUse> window_use_;
  std::optional<ProcessUse> window_end_use_;
  double resident_most_ = 0;
  double own_cpu_ = 0;
  std::int64_t window_heartbeats_ = 0;
  std::int64_t window_batches_ = 0;
  std::int64_t connected_least_ = 0;
  std::vector<float> round_trips_;
  std::vector<float> commits_;
  std::optional<Instant> outage_began_;
  std::int64_t outage_least_ = INT64_MAX;
  json outages_ = json::array();
  bool was_cut_ = false;
};

absl::StatusOr<boost::asio::ip::tcp::endpoint> EndpointOf(const HostPort& address) {
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(address.host == "localhost" ? "127.0.0.1" : address.host, error);
  if (error) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_ADDRESS",
                     fmt::format("--grpc-address {}: an IP address and a port, please", address.ToString()));
  }
  return boost::asio::ip::tcp::endpoint(ip, address.port);
}

absl::Status CheckDescriptors(int targets) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= static_cast<rlim_t>(targets) + 100) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "TOO_FEW_DESCRIPTORS",
                   fmt::format("{} targets need {} descriptors, this process may have {}: ask for fewer, or raise "
                               "`ulimit -Hn`",
                               targets, targets + 100, limit.rlim_cur));
}

absl::Status RunLoad(const Options& options) {
  RETURN_IF_ERROR(CheckDescriptors(options.targets));
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(options.grpc_address));
  ASSIGN_OR_RETURN(const auto endpoint, EndpointOf(address));
  boost::asio::io_context io(1);
  ASSIGN_OR_RETURN(const std::unique_ptr<H2Network> network,
                   H2Network::Make(&io, {.hub = endpoint,
                                         .host = address.host,
                                         .ca_file = options.plaintext ? "" : options.grpc_ca_file,
                                         .ping_interval = absl::Seconds(options.ping_s)}));
  cli::Settings settings;
  std::vector<TargetName> targets;
  if (options.invented) {
    targets = InventTargets(options.targets);
  } else {
    ASSIGN_OR_RETURN(settings, cli::FinalizeSettings(options.hub, [](const std::string& name) {
                       const char* value = std::getenv(name.c_str());
                       return value == nullptr ? std::nullopt : std::optional<std::string>(value);
                     }));
    const Instant begun = Clock::System()->Monotonic();
    ASSIGN_OR_RETURN(targets, CreateTargets(settings, options.prefix, options.targets));
    fmt::print(stderr, "{} targets made in {:.0f} s\n", options.targets,
               absl::ToDoubleSeconds(Clock::System()->Monotonic() - begun));
  }
  FleetSim fleet(&io, network.get(), std::move(targets), options.rates, options.sources, options.seed);
  Run run(options, &io, &fleet, network.get());
  run.Start();
  io.run();
  json report = run.Report();
  if (!options.invented) {
    ASSIGN_OR_RETURN(const Kept kept,
                     CheckKept(settings, options.prefix, fleet.behaved_agents(), options.rates.deployments,
                               options.check, run.window_from(), run.window_to()));
    report["kept"] = {{"agents", kept.agents},
                      {"lines_written", kept.lines_written},
                      {"lines_missing", kept.lines_missing},
                      {"lines_twice", kept.lines_twice},
                      {"changes_made", kept.changes_made},
                      {"changes_missing", kept.changes_missing},
                      {"changes_twice", kept.changes_twice},
                      {"targets_stale", kept.targets_stale},
                      {"targets_not_connected", kept.targets_not_connected}};
  }
  fmt::print("{}\n", report.dump(2));
  return absl::OkStatus();
}

}  // namespace
}  // namespace muster::load

int main(int argc, char** argv) {
  using namespace muster;
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  log::SetLevel(log::Level::kError);
  load::Options options;
  CLI::App app("muster-load " + std::string(kVersion) +
               ": a fleet of agents on one machine, to measure a hub with. Prints JSON.");
  app.add_option("--hub", options.hub.hub, "URL of the hub's API (MUSTER_HUB)");
  app.add_option("--token-file", options.hub.token_file, "an admin's token (MUSTER_TOKEN)");
  app.add_option("--ca-file", options.hub.ca_file, "authorities of hub and gRPC port");
  app.add_option("--grpc-address", options.grpc_address, "IP:PORT that agents connect to")->required();
  app.add_flag("--plaintext", options.plaintext, "agents speak without TLS: to a hub with --insecure");
  app.add_flag("--invented", options.invented, "targets that no API made: for a server that takes any");
  app.add_option("--prefix", options.prefix, "targets are named PREFIX-00000 and on");
  app.add_option("--targets", options.targets, "agents, one connection each")->check(CLI::Range(1, 100'000));
  app.add_option("--sources", options.sources, "loopback addresses they come from; 0: the kernel's choice");
  app.add_option("--warm-up", options.warm_up_s, "seconds between all being connected and the window");
  app.add_option("--duration", options.duration_s, "seconds of the window that is measured");
  app.add_option("--cut-at", options.cut_at_s, "cut all connections after so many seconds of the window");
  app.add_option("--check", options.check, "of so many targets logs and history are read back");
  app.add_option("--hub-pid", options.hub_pid, "the hub's process on this machine: its CPU and memory");
  app.add_option("--seed", options.seed);
  app.add_option("--ping", options.ping_s, "seconds between HTTP/2 pings of an agent; 0: none");
  app.add_option("--deployments", options.rates.deployments, "of each target");
  app.add_option("--status-changes", options.rates.status_changes_percent, "per cent of deployments in a minute");
  app.add_option("--host-metrics", options.host_metrics_s, "seconds between samples of a host");
  app.add_option("--log-lines", options.rates.log_lines_per_second, "a second, of the whole fleet");
  app.add_option("--log-burst", options.rates.log_burst, "lines at a time")->check(CLI::Range(1, 400));
  app.add_option("--starts", options.rates.starts_per_second, "new connections a second at the start");
  app.add_option("--flooding", options.rates.flooding, "agents that log --flood-lines a second each");
  app.add_option("--flood-lines", options.rates.flood_lines_per_second);
  app.add_option("--slow", options.rates.slow, "agents that read 128 bytes a second");
  app.add_option("--stuck", options.rates.stuck, "agents that never read");
  CLI11_PARSE(app, argc, argv);
  options.grpc_ca_file = options.hub.ca_file;
  options.rates.host_metrics_every = absl::Seconds(options.host_metrics_s);
  if (!options.plaintext && options.grpc_ca_file.empty()) {
    fmt::print(stderr, "muster-load: give --ca-file, or --plaintext\n");
    return 2;
  }
  if (const absl::Status done = load::RunLoad(options); !done.ok()) {
    fmt::print(stderr, "muster-load: {}\n", MessageOf(done));
    return 1;
  }
  return 0;
}
