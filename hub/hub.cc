#include "hub/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/files.h"
#include "common/log.h"
#include "common/status.h"
#include "common/version.h"
#include "hub/api/connect_rpc.h"
#include "hub/api/fleet_handlers.h"
#include "hub/api/grpc_fleet_service.h"
#include "hub/auth/token_store.h"
#include "hub/connect/agent_binary.h"
#include "hub/connect/connect_command.h"
#include "hub/connect/connect_endpoint.h"
#include "hub/first_start.h"
#include "hub/fleet/fleet.h"
#include "hub/fleet/target_admin.h"
#include "hub/grpc/grpc_server.h"
#include "hub/http/router.h"
#include "hub/http/server.h"
#include "hub/http/service_pages.h"
#include "hub/http/worker_pool.h"
#include "hub/jobs/job_registry.h"
#include "hub/jobs/job_writes.h"
#include "hub/limits.h"
#include "hub/logs/log_scanner.h"
#include "hub/logs/logs.h"
#include "hub/metrics/fleet_families.h"
#include "hub/metrics/hub_metrics.h"
#include "hub/metrics/metrics_endpoint.h"
#include "hub/redeemer.h"
#include "hub/samples/samples.h"
#include "hub/session/grpc_agent_service.h"
#include "hub/session/session_registry.h"
#include "hub/store/history_recorder.h"
#include "hub/store/reads.h"
#include "hub/store/retention.h"
#include "hub/store/store.h"
#include "hub/store/writes.h"
#include "hub/ticker.h"
#include "hub/tls/authority.h"

namespace muster::hub {
namespace {

// Stale must show within 1 s of its deadline; a look at 10,000 targets takes some 4 ms.
constexpr absl::Duration kFleetTick = absl::Milliseconds(500);
constexpr absl::Duration kSecond = absl::Seconds(1);
// Between transactions of agents' records in hub.db. What is present travels in heartbeats and does not wait for it.
constexpr absl::Duration kRecordsDistance = absl::Milliseconds(100);
constexpr std::size_t kRecordsBytes = 256 * 1024;
// How exactly a killed hub knows afterwards until when it lived.
constexpr absl::Duration kRunTouch = absl::Seconds(5);
constexpr absl::Duration kRetentionPass = absl::Hours(1);
// A look at the groups of 10,000 targets takes some milliseconds.
constexpr absl::Duration kEndedJobsPass = absl::Seconds(10);
// Short reads of SQLite on two cores.
constexpr int kWorkers = 4;
constexpr absl::Duration kDrainSpread = absl::Seconds(4);
constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

class RunningHub : public Hub {
 public:
  explicit RunningHub(Config config) : config_(std::move(config)), ticker_(clock_) {}
  ~RunningHub() override { Stop(); }

  absl::Status StartAll() {
    RETURN_IF_ERROR(LockDataDir());
    // Before the store: a hub that cannot serve must not leave a first start behind.
    RETURN_IF_ERROR(OpenTls());
    RETURN_IF_ERROR(OpenStore());
    RETURN_IF_ERROR(OpenLogs());
    RETURN_IF_ERROR(OpenSamples());
    MakeParts();
    RETURN_IF_ERROR(StartHttp());
    RETURN_IF_ERROR(StartMetrics());
    RETURN_IF_ERROR(StartGrpc());
    StartTicker();
    serving_ = true;
    grpc_->SetServing(true);
    log::Info("muster-hub {} is ready: API and install script at {}, agents at {}", kVersion, config_.public_url,
              config_.public_grpc_address);
    return absl::OkStatus();
  }

  void Stop() override;

 private:
  absl::Status LockDataDir();
  absl::Status OpenTls();
  absl::Status OpenStore();
  absl::Status OpenLogs();
  absl::Status OpenSamples();
  // Of the hub's own certificate; empty when a public authority's is used.
  std::string Pin() const;
  void MakeParts();
  absl::Status StartHttp();
  absl::Status StartMetrics();
  absl::Status StartGrpc();
  void StartTicker();
  // Jobs whose time to live has passed.
  void NoteEndedJobs();
  absl::Status Ready() const;
  HubGauges Gauges() const;
  std::optional<JobRegistry::Place> PlaceOf(const std::string& target_id) const;
  // Waits for a reading connection.
  void CountStoredRows();

  const Config config_;
  const Clock* const clock_ = Clock::System();
  const absl::Time started_ = clock_->Now();
  std::atomic<bool> serving_{false};
  bool stopped_ = false;
  // As of the last look, which a scrape does not wait for.
  std::atomic<std::int64_t> audit_entries_{0};
  std::atomic<std::int64_t> customers_{0};
  std::int64_t audit_entries_at_start_ = 0;

  // In the order of construction; destroyed in the reverse.
  HubMetrics metrics_;
  std::optional<DataDirLock> lock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Logs> logs_;
  std::unique_ptr<Samples> samples_;
  std::optional<ServerTls> tls_;
  Memory memory_;
  std::unique_ptr<HistoryRecorder> history_;
  std::unique_ptr<Retention> retention_;
  std::unique_ptr<Fleet> fleet_;
  std::unique_ptr<JobRegistry> jobs_;
  std::unique_ptr<TargetAdmin> admin_;
  std::unique_ptr<TokenStore> tokens_;
  SessionCounters session_counters_;
  SessionDeps session_deps_;
  std::unique_ptr<SessionRegistry> sessions_;
  std::unique_ptr<LogScanner> log_scanner_;
  std::unique_ptr<WorkerPool> scans_;
  std::unique_ptr<FleetHandlers> handlers_;
  std::unique_ptr<AgentBinary> agent_binary_;
  std::unique_ptr<Redeemer> redeemer_;
  std::unique_ptr<WorkerPool> workers_;
  std::unique_ptr<ConnectRpc> connect_rpc_;
  std::unique_ptr<ConnectEndpoint> connect_endpoint_;
  std::unique_ptr<MetricsEndpoint> metrics_endpoint_;
  HttpRouter router_;
  HttpRouter metrics_router_;
  std::unique_ptr<HttpServer> http_;
  std::unique_ptr<HttpServer> metrics_http_;
  std::unique_ptr<GrpcServer> grpc_;
  Ticker ticker_;
};

absl::Status RunningHub::LockDataDir() {
  RETURN_IF_ERROR(MakeDirectories(config_.data_dir, 0700));
  ASSIGN_OR_RETURN(DataDirLock lock, DataDirLock::Acquire(config_.data_dir));
  lock_.emplace(std::move(lock));
  return absl::OkStatus();
}

absl::Status RunningHub::OpenStore() {
  Store::Options options;
  options.observer = {
      .committed = [this](absl::Duration took, std::size_t count) { metrics_.StoreCommitted(took, count); },
      .failed = [this] { metrics_.StoreFailed(); }};
  options.pacing = {.distance = kRecordsDistance, .enough_weight = kRecordsBytes};
  ASSIGN_OR_RETURN(store_, Store::Open(config_.data_dir + "/hub.db", std::move(options)));
  ASSIGN_OR_RETURN(memory_, LoadMemory(*store_, config_.organization, config_.data_dir + "/admin-token", started_));
  return absl::OkStatus();
}

absl::Status RunningHub::OpenLogs() {
  Logs::Options options{.data_dir = config_.data_dir, .clock = clock_, .volume = VolumeOf(config_.data_dir)};
  options.retention = {.keep = config_.log_age,
                       .max_bytes = config_.log_bytes,
                       .deleted_targets = [this](absl::Time by) -> absl::StatusOr<std::vector<std::string>> {
                         std::vector<std::string> ids;
                         RETURN_IF_ERROR(store_->Read([&](sqlite::Database& database) -> absl::Status {
                           ASSIGN_OR_RETURN(ids, ReadDeletedTargets(database, by));
                           return absl::OkStatus();
                         }));
                         return ids;
                       }};
  options.store.observer = {
      .committed = [this](absl::Duration took) { metrics_.LogsCommitted(took); },
      .stored = [this](std::int64_t bytes) { metrics_.LogsStored(bytes); },
      .merged = [this](std::int64_t bytes) { metrics_.LogsMerged(bytes); },
      .pruned = [this](std::string_view reason, std::int64_t lines) { metrics_.LogsPruned(reason, lines); },
      .damaged = [this] { metrics_.LogChunkDamaged(); }};
  ASSIGN_OR_RETURN(logs_, Logs::Open(std::move(options)));
  return absl::OkStatus();
}

absl::Status RunningHub::OpenSamples() {
  ASSIGN_OR_RETURN(samples_,
                   Samples::Open({.data_dir = config_.data_dir,
                                  .hub = store_.get(),
                                  .retention = {.keep_raw = config_.metric_raw_age,
                                                .keep = config_.metric_age,
                                                .max_bytes = config_.metric_bytes,
                                                .keep_deleted = config_.history},
                                  .clock = clock_,
                                  .volume = VolumeOf(config_.data_dir),
                                  .observer = {.pruned = [this](std::string_view reason, std::int64_t values) {
                                    metrics_.MetricValuesPruned(reason, values);
                                  }}}));
  return absl::OkStatus();
}

absl::Status RunningHub::OpenTls() {
  if (config_.insecure) {
    log::Warning("--insecure: secrets and tokens travel in clear; use it on one machine or behind a TLS proxy only");
    return absl::OkStatus();
  }
  if (!config_.tls_cert_file.empty()) {
    ASSIGN_OR_RETURN(tls_, LoadTls(config_.tls_cert_file, config_.tls_key_file, started_));
    return absl::OkStatus();
  }
  std::vector<std::string> names = {LocalHostname(), HostOfUrl(config_.public_url)};
  if (auto grpc = ParseHostPort(config_.public_grpc_address); grpc.ok()) names.push_back(grpc->host);
  std::erase(names, "");
  ASSIGN_OR_RETURN(tls_, EnsureTls(config_.data_dir + "/tls", names, started_));
  return absl::OkStatus();
}

std::string RunningHub::Pin() const { return tls_ && !tls_->ca_pem.empty() ? tls_->spki_sha256_base64 : ""; }

void RunningHub::MakeParts() {
  history_ = std::make_unique<HistoryRecorder>(&store_->writer());
  retention_ = std::make_unique<Retention>(&store_->writer(), config_.history);
  // It hears from the moment at which history says that the hub runs.
  fleet_ = std::make_unique<Fleet>(memory_.organization, std::move(memory_.targets), history_.get(),
                                   Moment{.monotonic = clock_->Monotonic(), .wall = started_});
  jobs_ = std::make_unique<JobRegistry>(config_.jobs, [this](const std::string& id) { return PlaceOf(id); });
  jobs_->Load(std::move(memory_.jobs), clock_->Read());
  admin_ = std::make_unique<TargetAdmin>(store_.get(), fleet_.get(), clock_);
  tokens_ = std::make_unique<TokenStore>(store_.get(), clock_, std::move(memory_.tokens));
  session_counters_ = {
      .opened = [this] { metrics_.SessionOpened(); },
      .ended = [this](std::string_view reason) { metrics_.SessionEnded(reason); },
      .refused = [this](std::string_view reason) { metrics_.SessionRefused(reason); },
      .heartbeat = [this] { metrics_.Heartbeat(); },
      .frame_refused = [this](std::string_view reason) { metrics_.FrameRefused(reason); },
      .records_applied = [this](std::int64_t records) { metrics_.RecordsApplied(records); },
      .batch_refused = [this](std::string_view reason) { metrics_.BatchRefused(reason); },
      .samples_stored = [this](std::int64_t samples) { metrics_.SamplesStored(samples); },
  };
  log_scanner_ = std::make_unique<LogScanner>(logs_->store(), clock_);
  scans_ = std::make_unique<WorkerPool>(kScanThreads, kMaxWaitingScans);
  session_deps_ = {.fleet = fleet_.get(),
                   .writer = &store_->writer(),
                   .logs = logs_->store(),
                   .jobs = jobs_.get(),
                   .clock = clock_,
                   .counters = &session_counters_,
                   .hub_epoch = memory_.hub_epoch};
  sessions_ = std::make_unique<SessionRegistry>(MaxSessions());
  handlers_ = std::make_unique<FleetHandlers>(FleetHandlersDeps{
      .fleet = fleet_.get(),
      .admin = admin_.get(),
      .tokens = tokens_.get(),
      .store = store_.get(),
      .clock = clock_,
      .started = started_,
      .public_url = config_.public_url,
      .connect_command =
          [this](types::v1::TargetType type, const Secret& code) {
            return ConnectCommand({.public_url = config_.public_url, .spki_sha256_base64 = Pin()}, type, code.Reveal());
          },
      .log_fault = [this] { return logs_->store()->Fault(); },
      .logs = log_scanner_.get(),
      .scans = scans_.get(),
      .log_observer = {.scanned = [this](std::string_view end, absl::Duration took,
                                         std::int64_t bytes) { metrics_.LogScanned(end, took, bytes); },
                       .tails = [this](std::size_t open) { metrics_.LogTails(open); }},
      .samples = samples_->store(),
      .host_present = [this](std::string_view id) -> std::optional<StoredSample> {
        const auto host = fleet_->HostOf(id);
        if (!host) return std::nullopt;
        return StoredSample{.time = host->taken, .sample = host->report.sample()};
      },
      .jobs = [this] { return jobs_->List(clock_->Read()); },
  });
  logs_->store()->SetListener([this] { handlers_->LogsStored(); });
  agent_binary_ =
      std::make_unique<AgentBinary>(config_.agent_binary.empty() ? AgentBinary::DefaultPath() : config_.agent_binary);
  redeemer_ = std::make_unique<Redeemer>(admin_.get(), fleet_.get());
  workers_ = std::make_unique<WorkerPool>(kWorkers);
}

absl::Status RunningHub::StartHttp() {
  connect_rpc_ = std::make_unique<ConnectRpc>(ConnectRpcOptions{
      .service = std::string(FleetHandlers::kServiceName),
      .authenticator = tokens_.get(),
      .workers = workers_.get(),
      .on_finished = [this](std::string_view method, absl::StatusCode code,
                            absl::Duration took) { metrics_.ApiCall("connect", method, code, took); },
  });
  for (const UnaryMethod& method : handlers_->unary()) {
    connect_rpc_->Add(method);
    metrics_.ApiMethod("connect", method.name);
    metrics_.ApiMethod("grpc", method.name);
  }
  for (const StreamMethod& method : handlers_->streams()) connect_rpc_->Add(method);
  router_.Add("", connect_rpc_->path(), connect_rpc_.get());
  connect_endpoint_ = std::make_unique<ConnectEndpoint>(ConnectEndpointOptions{
      .public_url = config_.public_url,
      .hub_grpc_address = config_.public_grpc_address,
      .ca_pem = tls_ ? tls_->ca_pem : "",
      .spki_sha256_base64 = Pin(),
      .insecure = config_.insecure,
      .agent_image = config_.agent_image,
      .service = redeemer_.get(),
      .binary = agent_binary_.get(),
      .workers = workers_.get(),
      .clock = clock_,
      .on_redeemed = [this](std::string_view result) { metrics_.ConnectRedeemed(result); },
  });
  connect_endpoint_->AddTo(&router_);
  AddServicePages(&router_, kVersion, [this] { return Ready(); });
  HttpServerOptions options;
  options.address = config_.http_address;
  if (tls_) options.tls = HttpTls{.cert_chain_pem = tls_->cert_chain_pem, .key_pem = tls_->key_pem};
  ASSIGN_OR_RETURN(http_, HttpServer::Start(std::move(options), &router_));
  return absl::OkStatus();
}

absl::Status RunningHub::StartMetrics() {
  if (!config_.metrics.enabled) return absl::OkStatus();
  CountStoredRows();
  audit_entries_at_start_ = audit_entries_;
  metrics_endpoint_ = std::make_unique<MetricsEndpoint>(
      config_.metrics,
      MetricsSources{.organization = fleet_->organization(),
                     .fleet = [this] { return fleet_->Expose(clock_->Now()); },
                     .add_logs =
                         [this](ExposedFleet* fleet) {
                           logs_->store()->VisitCounts(
                               [&](const LogCountsByTarget& counts) { AddLogCounts(counts, fleet); });
                         },
                     .hub = [this] { return Gauges(); },
                     .version = [this] { return fleet_->version() + jobs_->version(); },
                     .targets = [this] { return fleet_->TargetNames(); },
                     .host = [this](std::string_view id_or_name) { return fleet_->PresentHost(id_or_name); },
                     .parts = {{.group = PageGroup::kJobs,
                                .write = [this](PageWriter& page) { jobs_->Write(clock_->Read(), page); }}},
                     .hub_token_allows =
                         [this](std::string_view token) {
                           const auto caller = tokens_->Authenticate(token);
                           return caller.ok() && caller->customer.empty();
                         }},
      &metrics_, clock_);
  metrics_endpoint_->AddTo(&metrics_router_);
  ASSIGN_OR_RETURN(metrics_http_, HttpServer::Start(MetricsListener(config_.metrics), &metrics_router_));
  log::Info("metrics at http://{}/metrics", metrics_http_->address().ToString());
  return absl::OkStatus();
}

absl::Status RunningHub::StartGrpc() {
  GrpcMethods methods;
  AddAgentService(&session_deps_, sessions_.get(), &methods);
  AddFleetService({.handlers = handlers_.get(),
                   .authenticator = tokens_.get(),
                   .workers = workers_.get(),
                   .on_finished = [this](std::string_view method, absl::StatusCode code,
                                         absl::Duration took) { metrics_.ApiCall("grpc", method, code, took); }},
                  &methods);
  ASSIGN_OR_RETURN(grpc_, GrpcServer::Start(config_.grpc_address, tls_, std::move(methods)));
  return absl::OkStatus();
}

void RunningHub::StartTicker() {
  ticker_.Add(kFleetTick, [this] { fleet_->Tick(clock_->Read()); });
  ticker_.Add(SessionRegistry::kTick, [this] { sessions_->Tick(clock_->Monotonic()); });
  ticker_.Add(kSecond, [this] { handlers_->Tick(); });
  ticker_.Add(kRunTouch, [this] {
    store_->writer().Submit([started = started_, now = clock_->Now()](
                                sqlite::Database& database) { return TouchRun(database, started, now); },
                            [](const absl::Status&) {});
  });
  if (metrics_endpoint_ != nullptr) {
    ticker_.Add(kSecond, [this] { metrics_endpoint_->Tick(); });
    // Late when the workers are all busy; the next second brings another look.
    ticker_.Add(kSecond, [this] { static_cast<void>(workers_->TrySubmit([this] { CountStoredRows(); })); });
  }
  ticker_.Add(kEndedJobsPass, [this] { NoteEndedJobs(); });
  ticker_.Add(kRetentionPass, [this] { retention_->Start(clock_->Now()); });
  retention_->Start(clock_->Now());
  ticker_.Start();
  logs_->Start();
  samples_->Start();
}

void RunningHub::NoteEndedJobs() {
  std::vector<EndedJobGroup> ended = jobs_->TakeEnded(clock_->Monotonic());
  if (ended.empty()) return;
  store_->writer().Submit(
      [ended = std::move(ended)](sqlite::Database& database) { return MarkJobsEnded(database, ended); },
      [](const absl::Status& marked) {
        if (!marked.ok()) log::Warning("it could not be noted which jobs have ended: {}", MessageOf(marked));
      });
}

absl::Status RunningHub::Ready() const {
  if (!serving_) return MakeError(absl::StatusCode::kUnavailable, "NOT_READY", "the hub is starting or stopping");
  return store_->writer().Fault();
}

std::optional<JobRegistry::Place> RunningHub::PlaceOf(const std::string& target_id) const {
  std::optional<Fleet::TargetName> target = fleet_->NameOf(target_id);
  if (!target) return std::nullopt;
  return JobRegistry::Place{.labels = TargetLabels(fleet_->organization(), *target),
                            .name = std::move(target->name),
                            .customer = std::move(target->customer)};
}

void RunningHub::CountStoredRows() {
  const absl::Status counted = store_->Read([&](sqlite::Database& database) -> absl::Status {
    ASSIGN_OR_RETURN(const RowCounts counts, CountRows(database));
    audit_entries_ = counts.audit_entries;
    customers_ = counts.customers;
    return absl::OkStatus();
  });
  if (!counted.ok()) log::Warning("rows could not be counted for /metrics: {}", MessageOf(counted));
}

HubGauges RunningHub::Gauges() const {
  const HttpServerStats http = http_->stats();
  HubGauges gauges;
  gauges.alive = clock_->Now();
  gauges.open_sessions = static_cast<std::int64_t>(sessions_->open());
  gauges.audit_entries = audit_entries_.load();
  gauges.audit_entries_written = audit_entries_.load() - audit_entries_at_start_;
  gauges.customer_organizations = customers_.load();
  gauges.store_bytes = store_->SizeBytes();
  gauges.store_writable = store_->writer().Fault().ok();
  gauges.logs = logs_->gauges();
  gauges.samples = samples_->gauges();
  gauges.http_connections_open = static_cast<std::int64_t>(http.connections_open);
  gauges.http_connections_refused_total = http.connections_refused_total;
  gauges.http_requests_refused_total = http.requests_refused_total;
  return gauges;
}

void RunningHub::Stop() {
  if (std::exchange(stopped_, true)) return;
  serving_ = false;
  if (grpc_ != nullptr) {
    grpc_->SetServing(false);
    sessions_->Drain(kDrainSpread);
    handlers_->Stop();
  }
  ticker_.Stop();
  if (http_ != nullptr) http_->Stop(absl::Seconds(2));
  if (metrics_http_ != nullptr) metrics_http_->Stop(absl::ZeroDuration());
  if (grpc_ != nullptr) grpc_->Shutdown(kShutdownGrace);
  if (workers_ != nullptr) workers_->Stop();
  if (scans_ != nullptr) scans_->Stop();
  if (logs_ != nullptr) {
    logs_->store()->SetListener(nullptr);
    logs_->Stop();
  }
  if (samples_ != nullptr) samples_->Stop();
  if (history_ == nullptr) return;
  history_->Drain();
  const absl::Status ended =
      store_->writer().Run([this](sqlite::Database& database) { return EndRun(database, started_, clock_->Now()); });
  if (!ended.ok()) log::Error("the end of this run could not be noted: {}", MessageOf(ended));
  store_->writer().Stop();
  log::Info("stopped");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Hub>> Hub::Start(const Config& config) {
  auto hub = std::make_unique<RunningHub>(config);
  RETURN_IF_ERROR(hub->StartAll());
  return hub;
}

}  // namespace muster::hub
