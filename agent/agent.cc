#include "agent/agent.h"

#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "agent/host/data_dir.h"
#include "agent/host/facts.h"
#include "agent/host/life_sign.h"
#include "agent/host/notify.h"
#include "agent/host/own_use.h"
#include "agent/host/secret_file.h"
#include "agent/host/state_keeper.h"
#include "agent/http/beast_http_client.h"
#include "agent/http/beast_stream_group.h"
#include "agent/jobs/job_store.h"
#include "agent/jobs/push_server.h"
#include "agent/journal/journal.h"
#include "agent/journal/presence.h"
#include "agent/journal/recorder.h"
#include "agent/kubernetes/cluster_metrics.h"
#include "agent/link/grpc_dialer.h"
#include "agent/logs/collector_loop.h"
#include "agent/logs/log_collector.h"
#include "agent/logs/log_sources.h"
#include "agent/logs/log_tap.h"
#include "agent/logs/masker.h"
#include "agent/make_observer.h"
#include "agent/metrics/host_files.h"
#include "agent/metrics/metrics_collector.h"
#include "agent/session/session_runner.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/status.h"
#include "common/version.h"

namespace muster::agent {
namespace {

// Beyond, the session begins without what an earlier run recorded, and sends it when the file is open.
constexpr absl::Duration kJournalOpening = absl::Seconds(2);
constexpr absl::Duration kJournalStatusInterval = absl::Seconds(5);

class AgentHousekeeping : public Housekeeping {
 public:
  struct Parts {
    const Clock* clock;
    StateKeeper* keeper;
    LifeSign* life;
    Journal* journal;
    JobStore* jobs;
    // Null: jobs cannot push on this host.
    PushServer* pushes;
  };
  AgentHousekeeping(const RunConfig& config, const Parts& parts, ServiceNotifier notifier)
      : secret_(config.secret_file, config.secret),
        push_socket_(config.push_socket),
        parts_(parts),
        notifier_(std::move(notifier)) {
    notifier_.Ready();
  }

  // All are made after the session that they publish to, or that their lines stand before.
  void set_observer(Observer* observer) { observer_ = observer; }
  void set_recorder(Recorder* recorder) { recorder_ = recorder; }
  void set_collector(LogCollector* collector) { collector_ = collector; }
  void set_metrics(MetricsSource* metrics) { metrics_ = metrics; }

  std::optional<Secret> PollSecret() override { return secret_.Poll(); }
  void KeepSessionCounter(std::int64_t counter) override { parts_.keeper->KeepSessionCounter(counter); }
  void SessionIs(const SessionStatus& status) override {
    NotePresence(status);
    if (status.changes == told_changes_) return;
    told_changes_ = status.changes;
    parts_.keeper->Update(status);
    notifier_.Status(status.connected ? "connected" : status.last_error);
  }
  void Alive(Instant now) override {
    notifier_.Alive(now);
    parts_.life->Turn();
    if (now - journal_told_ < kJournalStatusInterval) return;
    journal_told_ = now;
    const v1::JournalDepth depth = parts_.journal->View().depth;
    parts_.keeper->UpdateJournal({.records = depth.records(),
                                  .bytes = depth.bytes(),
                                  .dropped_total = depth.dropped_total(),
                                  .poisoned_total = depth.poisoned_total(),
                                  .fault = depth.fault()});
    const JobStore::Status jobs = parts_.jobs->GetStatus();
    parts_.keeper->UpdateJobs(
        {.groups = jobs.groups,
         .series = jobs.series,
         .fault = jobs.fault.empty() && parts_.pushes != nullptr ? parts_.pushes->Fault() : jobs.fault,
         .socket = push_socket_});
  }
  void RelistIntervalChanged(absl::Duration interval) override { observer_->SetRelistInterval(interval); }
  void SetLogsOff(std::vector<std::string> deployment_keys) override {
    collector_->SetLogsOff(std::move(deployment_keys));
  }
  void SetMetricsEnabled(bool enabled) override { metrics_->SetEnabled(enabled); }
  void Stopping() {
    notifier_.Stopping();
    for (v1::Record& record : presence_.Finish(parts_.clock->Read())) parts_.journal->Append(std::move(record));
  }

 private:
  void NotePresence(const SessionStatus& status) {
    auto records = presence_.OnTick({.now = parts_.clock->Read(),
                                     .connected = status.connected,
                                     .heard_at = status.heard_at,
                                     .observed = recorder_->TakeObserved()});
    for (v1::Record& record : records) parts_.journal->Append(std::move(record));
  }

  SecretFileWatch secret_;
  const std::string push_socket_;
  const Parts parts_;
  ServiceNotifier notifier_;
  Observer* observer_ = nullptr;
  Recorder* recorder_ = nullptr;
  LogCollector* collector_ = nullptr;
  MetricsSource* metrics_ = nullptr;
  Presence presence_;
  std::uint64_t told_changes_ = 0;
  Instant journal_told_;
};

// The observer's containers, for the two that look at them.
class ContainerFanOut : public ContainerSink {
 public:
  ContainerFanOut(ContainerSink* logs, ContainerSink* metrics) : logs_(logs), metrics_(metrics) {}
  void Publish(std::vector<LogContainer> containers) override {
    metrics_->Publish(containers);
    logs_->Publish(std::move(containers));
  }
  void PublishCensus(const std::optional<ContainerCensus>& census) override { metrics_->PublishCensus(census); }

 private:
  ContainerSink* const logs_;
  ContainerSink* const metrics_;
};

// Gives the collector what the agent itself logs, for as long as it lives.
class OwnLogWatch {
 public:
  OwnLogWatch(LogTap* tap, LogCollector* collector) : tap_(tap) {
    tap_->SetWake([collector] { collector->Wake(); });
  }
  ~OwnLogWatch() { tap_->SetWake(nullptr); }
  OwnLogWatch(const OwnLogWatch&) = delete;
  OwnLogWatch& operator=(const OwnLogWatch&) = delete;

 private:
  LogTap* const tap_;
};

struct Metrics {
  std::unique_ptr<MetricsSource> source;
  // Null where there is no cluster.
  NodeSink* nodes = nullptr;
};
Metrics MakeMetrics(const RunConfig& config, const std::optional<Cluster>& cluster, const Clock* clock,
                    RecordSink* records, HostReportSink* reports) {
  if (cluster.has_value()) {
    auto metrics = std::make_unique<ClusterMetrics>(
        ClusterMetrics::Parts{.api = std::make_unique<BeastHttpClient>(cluster->server),
                              .name_space = cluster->name_space,
                              .clock = clock,
                              .records = records,
                              .reports = reports});
    NodeSink* const nodes = metrics.get();
    return {.source = std::move(metrics), .nodes = nodes};
  }
  return {.source = std::make_unique<MetricsCollector>(MetricsCollector::Parts{
              .host_root = config.host_root,
              .files = std::make_unique<RootedHostFiles>(config.host_root),
              .engine = std::make_unique<BeastHttpClient>(HttpServer::AtSocket(config.docker_socket)),
              .clock = clock,
              .records = records,
              .reports = reports})};
}

AgentState InitialState(const DataDir& dir, const RunConfig& config) {
  const AgentState last = dir.LoadState();
  AgentState state;
  // A counter belongs to its target.
  if (last.target_id == config.target_id) state.session_counter = last.session_counter;
  state.target_id = config.target_id;
  state.hub = config.hub.address;
  state.agent_version = kVersion;
  state.pid = getpid();
  state.start_time = Clock::System()->Now();
  return state;
}

}  // namespace

absl::Status RunAgent(const RunConfig& config) {
  // SQLite makes files that everybody may read; what this process makes is nobody else's business.
  umask(077);
  ASSIGN_OR_RETURN(const DataDir dir, DataDir::Open(config.data_dir));
  LifeSign life(&dir, Clock::System());
  if (const auto warning = SecretFileWarning(config.secret_file)) log::Warning("{}", *warning);
  if (config.hub.insecure) log::Warning("--insecure: the target secret and all reports travel unencrypted");

  ASSIGN_OR_RETURN(const std::optional<Cluster> cluster, FindCluster(config));

  const AgentState state = InitialState(dir, config);
  // The past is told by it, and a machine that slept has been silent.
  const Clock* const clock = Clock::SinceBoot();
  LogTap own_log(clock);
  log::SetTap(&own_log);
  const absl::Cleanup untap = [] { log::SetTap(nullptr); };
  ASSIGN_OR_RETURN(const Masker masker, Masker::Create(config.mask_expressions));
  const std::string boot_id = ReadHostFacts().boot_id;
  StateKeeper keeper(&dir, clock, state);
  Journal journal({.path = dir.JournalPath(),
                   .target_id = config.target_id,
                   .boot_id = boot_id,
                   .epoch = NewEpoch(),
                   .capacity_bytes = config.journal_bytes,
                   .vfs = ""},
                  clock);
  journal.WaitUntilOpen(kJournalOpening);
  JobStore jobs({.path = dir.JobsPath(), .boot_id = boot_id, .vfs = ""}, clock);
  std::optional<PushServer> pushes;
  if (!config.push_socket.empty()) {
    pushes.emplace(PushServer::Options{.path = config.push_socket, .mode = config.push_socket_mode}, &jobs, clock);
  }
  AgentHousekeeping housekeeping(config,
                                 {.clock = clock,
                                  .keeper = &keeper,
                                  .life = &life,
                                  .journal = &journal,
                                  .jobs = &jobs,
                                  .pushes = pushes.has_value() ? &*pushes : nullptr},
                                 ServiceNotifier::FromEnvironment());
  GrpcDialer dialer({.hub = config.hub.address, .ca_pem = config.hub.ca_pem, .insecure = config.hub.insecure});

  std::unique_ptr<Observer> observer;
  const HostView host{.facts =
                          [&observer] {
                            const HostFacts facts = ReadHostFacts();
                            v1::Hello hello;
                            *hello.mutable_machine() = facts.machine;
                            hello.mutable_machine()->set_runtime(observer->RuntimeName());
                            hello.set_boot_id(facts.boot_id);
                            hello.set_machine_id(facts.machine_id);
                            return hello;
                          },
                      .use = ReadOwnUse,
                      .records = &journal,
                      .jobs = &jobs};
  SessionRunner runner(
      {.target_id = config.target_id, .secret = config.secret, .session_counter = state.session_counter}, host,
      SystemUniform(), clock, &dialer, &housekeeping);
  Recorder recorder(clock, &journal, &runner);
  housekeeping.set_recorder(&recorder);
  const HttpServer runtime_server = cluster.has_value() ? cluster->server : HttpServer::AtSocket(config.docker_socket);
  LogCollector collector({.collects_containers = config.container_logs,
                          .max_followed = cluster.has_value() ? kMaxFollowedInCluster : kMaxFollowed,
                          .boot_id = boot_id,
                          .uniform = SystemUniform()},
                         clock, std::make_unique<BeastStreamGroup>(runtime_server, kRecordTime), &masker, &journal,
                         &own_log);
  housekeeping.set_collector(&collector);
  const OwnLogWatch own_log_watch(&own_log, &collector);
  const Metrics metrics = MakeMetrics(config, cluster, clock, &journal, &runner);
  housekeeping.set_metrics(metrics.source.get());
  ContainerFanOut containers(&collector, metrics.source.get());
  observer = MakeObserver(config, cluster, {.present = &recorder, .containers = &containers, .nodes = metrics.nodes});
  housekeeping.set_observer(observer.get());

  log::Info("muster-agent {} reports target {} to the hub {}", kVersion, config.target_id, config.hub.address);
  std::thread signals([&runner] {
    WaitForTermination();
    log::Info("stopping: saying goodbye to the hub");
    runner.Stop(v1::GOODBYE_REASON_STOPPED);
  });
  runner.Run();
  housekeeping.Stopping();
  observer.reset();
  signals.join();
  return absl::OkStatus();
}

}  // namespace muster::agent
