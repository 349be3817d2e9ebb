#include "tests/load/fleet_api.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "common/clock.h"
#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/console.h"
#include "hub/cli/curl_transport.h"
#include "hub/cli/fleet_client.h"

namespace muster::load {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

constexpr int kConnections = 4;

class NoInterrupt : public cli::Interrupt {
 public:
  bool Raised() const override { return false; }
  bool WaitFor(absl::Duration duration) override {
    std::this_thread::sleep_for(absl::ToChronoMilliseconds(duration));
    return false;
  }
  int fd() const override { return -1; }
};

std::string NameOf(const std::string& prefix, int number) { return fmt::format("{}-{:05}", prefix, number); }

// A client for one thread.
struct Client {
  explicit Client(const cli::Settings& settings) : fleet(settings, &transport, Clock::System(), {}) {}
  NoInterrupt interrupt;
  cli::CurlTransport transport{Clock::System(), &interrupt};
  cli::FleetClient fleet;
};

// Runs `work` for 0 .. count-1 on some threads; the first error ends it.
template <typename Work>
absl::Status ForAll(const cli::Settings& settings, int count, Work work) {
  std::atomic<int> next{0};
  std::mutex mutex;
  absl::Status failed;
  std::vector<std::thread> threads;
  for (int i = 0; i < kConnections; ++i) {
    threads.emplace_back([&] {
      Client client(settings);
      for (int number = next++; number < count; number = next++) {
        absl::Status done = work(client.fleet, number);
        if (done.ok()) continue;
        next = count;
        const std::lock_guard<std::mutex> lock(mutex);
        failed.Update(done);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return failed;
}

// How often each number occurs among `found`, against 1 .. `expected`.
void Compare(const std::vector<std::int64_t>& found, std::int64_t expected, std::int64_t* missing,
             std::int64_t* twice) {
  const std::set<std::int64_t> distinct(found.begin(), found.end());
  *twice += static_cast<std::int64_t>(found.size() - distinct.size());
  *missing += expected - static_cast<std::int64_t>(distinct.size());
}

absl::Status CheckLines(cli::FleetClient& client, const std::string& target, const SimAgent& agent, Kept* kept) {
  static const RE2 kLine("^line ([0-9]+) of agent ([0-9]+):");
  QueryLogsRequest request;
  request.mutable_selection()->set_deployment(target + "/app-0");
  request.set_page_size(1000);
  std::vector<std::int64_t> found;
  while (true) {
    QueryLogsResponse response;
    RETURN_IF_ERROR(client.Call("QueryLogs", request, &response));
    for (const LogEntry& entry : response.entries()) {
      std::int64_t line = 0;
      int number = 0;
      if (RE2::PartialMatch(entry.line().text(), kLine, &line, &number) && number == agent.number()) {
        found.push_back(line);
      }
    }
    if (response.next_page_token().empty()) break;
    request.set_page_token(response.next_page_token());
  }
  kept->lines_written += agent.lines();
  Compare(found, agent.lines(), &kept->lines_missing, &kept->lines_twice);
  return absl::OkStatus();
}

// A deployment's statuses alternate, so what the history has is what was done when it has as many of them.
absl::Status CheckChanges(cli::FleetClient& client, const std::string& target, const SimAgent& agent, int deployments,
                          Kept* kept) {
  for (int i = 0; i < deployments; ++i) {
    ListDeploymentHistoryRequest request;
    request.set_deployment(fmt::format("{}/app-{}", target, i));
    ListDeploymentHistoryResponse history;
    RETURN_IF_ERROR(client.List("ListDeploymentHistory", request, &history,
                                [](const ListDeploymentHistoryResponse& r) { return r.intervals_size(); }));
    std::int64_t told = 0;
    types::v1::DeploymentStatus last = types::v1::DEPLOYMENT_STATUS_UNSPECIFIED;
    for (const DeploymentInterval& interval : history.intervals()) {
      if (!interval.has_agent_time() || interval.status() == last) continue;
      last = interval.status();
      ++told;
    }
    // The first one is no change.
    const std::int64_t made = (agent.status_changes() + deployments - 1 - i) / deployments;
    kept->changes_made += made;
    kept->changes_missing += std::max<std::int64_t>(0, made - (told - 1));
    kept->changes_twice += std::max<std::int64_t>(0, told - 1 - made);
  }
  return absl::OkStatus();
}

absl::Status CheckState(cli::FleetClient& client, const std::string& target, absl::Time from, absl::Time to,
                        Kept* kept) {
  ListTargetHistoryRequest request;
  request.set_target(target);
  *request.mutable_from_time() = ToProto(from);
  *request.mutable_to_time() = ToProto(to);
  ListTargetHistoryResponse history;
  RETURN_IF_ERROR(client.List("ListTargetHistory", request, &history,
                              [](const ListTargetHistoryResponse& r) { return r.intervals_size(); }));
  const auto& intervals = history.intervals();
  const auto is_stale = [](const TargetInterval& i) { return i.state() == types::v1::TARGET_STATE_STALE; };
  const auto is_away = [](const TargetInterval& i) { return i.state() != types::v1::TARGET_STATE_CONNECTED; };
  if (std::any_of(intervals.begin(), intervals.end(), is_stale)) ++kept->targets_stale;
  if (std::any_of(intervals.begin(), intervals.end(), is_away)) ++kept->targets_not_connected;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TargetName>> CreateTargets(const cli::Settings& settings, const std::string& prefix,
                                                      int count) {
  std::vector<TargetName> targets(static_cast<std::size_t>(count));
  RETURN_IF_ERROR(ForAll(settings, count, [&](cli::FleetClient& client, int number) {
    CreateTargetRequest request;
    request.set_name(NameOf(prefix, number));
    request.set_type(types::v1::TARGET_TYPE_DOCKER);
    CreateTargetResponse response;
    RETURN_IF_ERROR(client.Call("CreateTarget", request, &response));
    targets[static_cast<std::size_t>(number)] = {.id = response.target_id(),
                                                 .secret = Secret(response.target_secret())};
    return absl::OkStatus();
  }));
  return targets;
}

std::vector<TargetName> InventTargets(int count) {
  std::vector<TargetName> targets;
  for (int i = 0; i < count; ++i) {
    targets.push_back({.id = fmt::format("tgt_{:020x}", i), .secret = Secret::Random(kTargetSecretPrefix)});
  }
  return targets;
}

absl::StatusOr<Kept> CheckKept(const cli::Settings& settings, const std::string& prefix,
                               std::span<const std::unique_ptr<SimAgent>> agents, int deployments, int sample,
                               absl::Time from, absl::Time to) {
  Kept all;
  std::mutex mutex;
  const int count = std::min(sample, static_cast<int>(agents.size()));
  RETURN_IF_ERROR(ForAll(settings, count, [&](cli::FleetClient& client, int i) {
    const auto index =
        agents.size() - 1 - static_cast<std::size_t>(i) * agents.size() / static_cast<std::size_t>(count);
    const SimAgent& agent = *agents[index];
    const std::string target = NameOf(prefix, agent.number());
    Kept kept;
    RETURN_IF_ERROR(CheckLines(client, target, agent, &kept));
    RETURN_IF_ERROR(CheckChanges(client, target, agent, deployments, &kept));
    RETURN_IF_ERROR(CheckState(client, target, from, to, &kept));
    const std::lock_guard<std::mutex> lock(mutex);
    all.lines_written += kept.lines_written;
    all.lines_missing += kept.lines_missing;
    all.lines_twice += kept.lines_twice;
    all.changes_made += kept.changes_made;
    all.changes_missing += kept.changes_missing;
    all.changes_twice += kept.changes_twice;
    all.targets_stale += kept.targets_stale;
    all.targets_not_connected += kept.targets_not_connected;
    return absl::OkStatus();
  }));
  all.agents = count;
  return all;
}

}  // namespace muster::load
