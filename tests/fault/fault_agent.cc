// muster-fault-agent: the agent's real journal, recorder, collector of logs, session and dialer, with a source that
// makes up deployments and changes their status at a given rate, and an account of what happened for the checker
// (tests/fault/lab/oracle.py tells its lines). Logs come from the lab's engine (tests/fault/lab/fake_engine.py), which
// keeps its own account. The account is written outside of the data folder, without buffers: what it says was so.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "agent/config.h"
#include "agent/host/data_dir.h"
#include "agent/host/facts.h"
#include "agent/host/own_use.h"
#include "agent/host/state_keeper.h"
#include "agent/http/beast_stream_group.h"
#include "agent/journal/journal.h"
#include "agent/journal/presence.h"
#include "agent/journal/recorder.h"
#include "agent/link/grpc_dialer.h"
#include "agent/logs/log_collector.h"
#include "agent/logs/masker.h"
#include "agent/session/session_runner.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/status.h"
#include "common/time_format.h"
#include "common/version.h"

namespace muster::fault {
namespace {

using agent::Journal;
using agent::Present;
namespace v1 = agent::v1;

struct Options {
  agent::RawRunConfig raw;
  std::string oracle;
  int deployments = 4;
  double rate = 20;
  std::size_t message_bytes = 0;
  std::int64_t journal_bytes = agent::kDefaultJournalBytes;
  std::uint64_t seed = 1;
  // Empty: there are no containers.
  std::string engine;
  // ID:NAME:tty or ID:NAME:plain, dealt out to the deployments.
  std::vector<std::string> containers;
};

std::atomic<bool> quiet{false};

class Account {
 public:
  explicit Account(const std::string& path)
      : fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  bool is_open() const { return fd_ >= 0; }
  void Say(const std::string& line) {
    if (write(fd_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  }

 private:
  const int fd_;
};

std::int64_t MonotonicMicros() {
  return absl::ToInt64Microseconds(Clock::System()->Monotonic() - Instant::FromDuration(absl::ZeroDuration()));
}

// Stands before the journal. What is durable is read back from the file and told record by record.
class WatchedJournal : public agent::RecordSource {
 public:
  WatchedJournal(Journal* journal, Account* account) : journal_(journal), account_(account) {
    account_->Say(fmt::format("run {}\n", journal_->View().epoch));
    journal_->SetListener([this] { Changed(); });
  }
  ~WatchedJournal() override { journal_->SetListener(nullptr); }

  agent::RecordsView View() const override { return journal_->View(); }
  void Read(const agent::ReadRequest& request, std::function<void(v1::RecordBatch)> done) override {
    journal_->Read(request, std::move(done));
  }
  void Acknowledge(const v1::BatchAck& ack) override {
    account_->Say(fmt::format("acked {} {} {}\n", ack.epoch(), static_cast<int>(ack.lane()), ack.sequence()));
    journal_->Acknowledge(ack);
  }
  void Resume(const std::vector<v1::LanePosition>& applied) override { journal_->Resume(applied); }
  void SetListener(std::function<void()> changed) override {
    MutexLock lock(&listening_);
    listener_ = std::move(changed);
  }

 private:
  // On the journal's thread, as everything below.
  void Changed() {
    const agent::RecordsView view = journal_->View();
    if (view.is_open && view.depth.dropped_total() != dropped_) {
      dropped_ = view.depth.dropped_total();
      account_->Say(fmt::format("dropped {}\n", dropped_));
    }
    for (const agent::LaneState& lane : view.lanes) {
      if (lane.epoch == view.epoch && !reading_[lane.lane] && told_[lane.lane] < lane.last_sequence) ReadBack(lane);
    }
    MutexLock lock(&listening_);
    if (listener_) listener_();
  }

  void ReadBack(const agent::LaneState& lane) {
    reading_[lane.lane] = true;
    journal_->Read({.epoch = lane.epoch, .lane = lane.lane, .first_sequence = told_[lane.lane] + 1},
                   [this, which = lane.lane](const v1::RecordBatch& batch) {
                     reading_[which] = false;
                     for (const v1::Record& record : batch.records()) Tell(batch, record);
                   });
  }

  void Tell(const v1::RecordBatch& batch, const v1::Record& record) {
    std::int64_t& told = told_[batch.lane()];
    if (record.has_gap()) {
      told = record.gap().last_sequence();
      return;
    }
    ++told;
    const v1::DeploymentState& state = record.transition().deployment();
    const std::string& message = state.message();
    const std::string what =
        record.has_transition()
            ? fmt::format("{} {} {} {}", state.key(), absl::ToUnixMicros(FromProto(state.change_time())),
                          static_cast<int>(state.status()), message.substr(message.rfind(' ') + 1))
            : "- 0 0 -";
    account_->Say(fmt::format("recorded {} {} {} {}\n", batch.epoch(), static_cast<int>(batch.lane()), told, what));
  }

  Journal* const journal_;
  Account* const account_;
  std::map<v1::Lane, std::int64_t> told_;
  std::map<v1::Lane, bool> reading_;
  std::int64_t dropped_ = 0;
  Mutex listening_;
  std::function<void()> listener_ ABSL_GUARDED_BY(listening_);
};

// Deployments that change one after another, each to another status; numbers name the changes.
class Source {
 public:
  Source(const Options& options, std::string_view epoch, Account* account, agent::PresentSink* sink)
      : options_(options), prefix_(epoch.substr(0, 8)), account_(account), sink_(sink), random_(options.seed) {
    for (int i = 1; i <= options_.deployments; ++i) {
      v1::DeploymentState& state = present_.deployments.emplace_back();
      state.set_key(fmt::format("compose/d{}", i));
      state.set_name(fmt::format("d{}", i));
      state.set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
      Change(&state);
    }
    sink_->Publish(present_);
    thread_ = std::thread([this] { Loop(); });
  }
  ~Source() {
    {
      MutexLock lock(&mutex_);
      stopping_ = true;
    }
    wake_.NotifyAll();
    thread_.join();
  }

 private:
  void Loop() {
    const absl::Duration pause = absl::Seconds(1 / options_.rate);
    while (true) {
      {
        MutexLock lock(&mutex_);
        if (!stopping_) wake_.WaitFor(&mutex_, pause);
        if (stopping_) return;
      }
      if (quiet) continue;
      Change(&present_.deployments[std::uniform_int_distribution<std::size_t>(
          0, present_.deployments.size() - 1)(random_)]);
      sink_->Publish(present_);
    }
  }

  void Change(v1::DeploymentState* state) {
    types::v1::DeploymentStatus next = state->status();
    while (next == state->status()) {
      next = static_cast<types::v1::DeploymentStatus>(std::uniform_int_distribution<int>(
          types::v1::DEPLOYMENT_STATUS_ERROR, types::v1::DEPLOYMENT_STATUS_HEALTHY)(random_));
    }
    const std::string number = fmt::format("{}.{}", prefix_, ++number_);
    state->set_status(next);
    const std::string filling(options_.message_bytes, 'x');
    state->set_message(fmt::format("{} change {}", filling, number));
    *state->mutable_status_time() = ToProto(Clock::System()->Now());
    account_->Say(
        fmt::format("present {} {} {} {}\n", MonotonicMicros(), state->key(), static_cast<int>(next), number));
  }

  const Options options_;
  const std::string prefix_;
  Account* const account_;
  agent::PresentSink* const sink_;
  std::mt19937_64 random_;
  Present present_;
  std::int64_t number_ = 0;
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class LabHousekeeping : public agent::Housekeeping {
 public:
  LabHousekeeping(agent::StateKeeper* keeper, Journal* journal) : keeper_(keeper), journal_(journal) {}
  void set_recorder(agent::Recorder* recorder) { recorder_ = recorder; }
  void set_collector(agent::LogCollector* collector) { collector_ = collector; }

  std::optional<Secret> PollSecret() override { return std::nullopt; }
  void KeepSessionCounter(std::int64_t counter) override { keeper_->KeepSessionCounter(counter); }
  void SessionIs(const agent::SessionStatus& status) override {
    status_ = status;
    keeper_->Update(status);
  }
  void Alive(Instant now) override {
    if (recorder_ == nullptr || (ticked_at_.has_value() && now - *ticked_at_ < absl::Seconds(1))) return;
    ticked_at_ = now;
    const agent::Presence::Tick tick{.now = Clock::System()->Read(),
                                     .connected = status_.connected,
                                     .heard_at = status_.heard_at,
                                     .observed = recorder_->TakeObserved()};
    for (v1::Record& record : presence_.OnTick(tick)) journal_->Append(std::move(record));
  }
  void RelistIntervalChanged(absl::Duration) override {}
  void SetLogsOff(std::vector<std::string> deployment_keys) override {
    collector_->SetLogsOff(std::move(deployment_keys));
  }
  void SetMetricsEnabled(bool /*enabled*/) override {}

 private:
  agent::StateKeeper* const keeper_;
  Journal* const journal_;
  agent::Recorder* recorder_ = nullptr;
  agent::LogCollector* collector_ = nullptr;
  agent::SessionStatus status_;
  agent::Presence presence_;
  std::optional<Instant> ticked_at_;
};

class NoOwnLog : public agent::OwnLogSource {
 public:
  agent::OwnLog Take() override { return {}; }
};

absl::StatusOr<std::vector<agent::LogContainer>> Containers(const Options& options) {
  std::vector<agent::LogContainer> containers;
  for (const std::string& described : options.containers) {
    const std::vector<std::string> parts = absl::StrSplit(described, ':');
    if (parts.size() != 3) return absl::InvalidArgumentError("--container is ID:NAME:tty or ID:NAME:plain");
    const auto index = containers.size() % static_cast<std::size_t>(options.deployments);
    containers.push_back({.id = parts[0],
                          .name = parts[1],
                          .deployment_key = fmt::format("compose/d{}", index + 1),
                          .revision = "1",
                          .has_tty = parts[2] == "tty",
                          .log_driver = "json-file",
                          .created = absl::UnixEpoch(),
                          .is_running = true});
  }
  return containers;
}

absl::Status Run(const Options& options) {
  ASSIGN_OR_RETURN(const agent::RunConfig config, Finalize(options.raw));
  Account account(options.oracle);
  if (!account.is_open()) return absl::InvalidArgumentError("the oracle's file cannot be written");
  ASSIGN_OR_RETURN(const agent::DataDir dir, agent::DataDir::Open(config.data_dir));
  agent::AgentState state = dir.LoadState();
  state.target_id = config.target_id;
  const agent::HostFacts facts = agent::ReadHostFacts();
  ASSIGN_OR_RETURN(const std::vector<agent::LogContainer> containers, Containers(options));
  ASSIGN_OR_RETURN(const agent::Masker masker, agent::Masker::Create({}));
  // As in the real agent: readings that go into the file count from the machine's boot.
  const Clock* const boot_clock = Clock::SinceBoot();
  Journal journal({.path = config.data_dir + "/journal.db",
                   .target_id = config.target_id,
                   .boot_id = facts.boot_id,
                   .epoch = agent::NewEpoch(),
                   .capacity_bytes = options.journal_bytes,
                   .vfs = {}},
                  Clock::System());
  journal.WaitUntilOpen(absl::Seconds(5));
  WatchedJournal watched(&journal, &account);

  agent::StateKeeper keeper(&dir, Clock::System(), state);
  LabHousekeeping housekeeping(&keeper, &journal);
  agent::GrpcDialer dialer({.hub = config.hub.address, .ca_pem = config.hub.ca_pem, .insecure = config.hub.insecure});
  const agent::HostView host{.facts =
                                 [&facts] {
                                   v1::Hello hello;
                                   *hello.mutable_machine() = facts.machine;
                                   hello.set_boot_id(facts.boot_id);
                                   hello.set_machine_id(facts.machine_id);
                                   return hello;
                                 },
                             .use = agent::ReadOwnUse,
                             .records = &watched};
  agent::SessionRunner runner(
      {.target_id = config.target_id, .secret = config.secret, .session_counter = state.session_counter}, host,
      SystemUniform(), Clock::System(), &dialer, &housekeeping);
  agent::Recorder recorder(Clock::System(), &journal, &runner);
  housekeeping.set_recorder(&recorder);
  NoOwnLog no_own_log;
  agent::LogCollector collector({.boot_id = facts.boot_id, .uniform = SystemUniform()}, boot_clock,
                                std::make_unique<agent::BeastStreamGroup>(agent::HttpServer::AtSocket(options.engine)),
                                &masker, &journal, &no_own_log);
  housekeeping.set_collector(&collector);
  collector.Publish(containers);
  Source source(options, journal.View().epoch, &account, &recorder);
  std::thread signals([&runner] {
    WaitForTermination();
    runner.Stop(v1::GOODBYE_REASON_STOPPED);
  });
  runner.Run();
  signals.join();
  return absl::OkStatus();
}

int RunCommandLine(int argc, char** argv) {
  Options options;
  CLI::App app("An agent with made-up deployments that tells what it recorded");
  app.add_option("--hub", options.raw.hub)->required();
  app.add_option("--target-id", options.raw.target_id)->required();
  app.add_option("--target-secret-file", options.raw.target_secret_file)->required();
  app.add_option("--ca-file", options.raw.ca_file)->required();
  app.add_option("--data-dir", options.raw.data_dir)->required();
  app.add_option("--oracle", options.oracle)->required();
  app.add_option("--deployments", options.deployments);
  app.add_option("--rate", options.rate, "changes per second");
  app.add_option("--message-bytes", options.message_bytes, "length of a deployment's message, at least");
  app.add_option("--journal-bytes", options.journal_bytes);
  app.add_option("--seed", options.seed);
  app.add_option("--engine", options.engine, "socket of the engine that has the containers");
  app.add_option("--container", options.containers, "ID:NAME:tty or ID:NAME:plain");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  BlockTerminationSignals();
  std::signal(SIGUSR1, [](int) { quiet = true; });
  const absl::Status ran = Run(options);
  if (ran.ok()) return 0;
  log::Error("{}", MessageOf(ran));
  return 1;
}

}  // namespace
}  // namespace muster::fault

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  try {
    return muster::fault::RunCommandLine(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
