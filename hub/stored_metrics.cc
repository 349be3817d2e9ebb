#include "hub/stored_metrics.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "common/log.h"
#include "common/mutex.h"
#include "common/sqlite/database.h"
#include "common/status.h"
#include "hub/http/router.h"
#include "hub/http/server.h"
#include "hub/jobs/job_writes.h"
#include "hub/metrics/metrics_endpoint.h"
#include "hub/store/reads.h"
#include "hub/store/schema.h"
#include "hub/ticker.h"

namespace muster::hub {
namespace {

constexpr absl::Duration kSecond = absl::Seconds(1);

class NoHistory : public HistorySink {
 public:
  void Append(std::vector<HistoryEvent> /*events*/) override {}
  void Flush() override {}
};
NoHistory no_history;  // without behaviour

std::string PathOf(const std::string& data_dir) { return data_dir + "/hub.db"; }

absl::StatusOr<std::unique_ptr<sqlite::Database>> OpenStored(const std::string& data_dir) {
  const std::string path = PathOf(data_dir);
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_DATABASE",
                     fmt::format("there is no {}; --data-dir is the folder of a hub that has run", path));
  }
  ASSIGN_OR_RETURN(auto database, sqlite::Database::Open(path, sqlite::OpenMode::kReader));
  RETURN_IF_ERROR(Annotate(CheckOwnership(*database, HubSchema()), path));
  ASSIGN_OR_RETURN(const int version, database->UserVersion());
  if (version != kSchemaVersion) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "DATABASE_TOO_OLD",
                     fmt::format("{} has schema {}, this muster-hub reads {}; start the hub of this version first",
                                 path, version, kSchemaVersion));
  }
  return database;
}

// What a hub that is gone shows of a target: it was connected then, nobody knows what it is now.
void ShowAsOf(absl::Time alive, StoredTarget* target) {
  if (target->open.state == types::v1::TARGET_STATE_CONNECTED) {
    target->open = {.state = types::v1::TARGET_STATE_STALE, .from = alive, .to = {}, .reason = "the hub does not run"};
  }
  if (!target->silence) target->silence = OpenSilence{.from = alive, .reason = "the hub does not run"};
  for (StoredDeployment& deployment : target->deployments) {
    if (deployment.open.status == types::v1::DEPLOYMENT_STATUS_STALE) continue;
    deployment.open.status = types::v1::DEPLOYMENT_STATUS_STALE;
    deployment.open.from = std::max(deployment.open.from, alive);
  }
}

std::int64_t SizeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_size : 0;
}

// Changes with every commit: the database or its log is another file, longer, or was written to.
std::int64_t VersionOf(const std::string& path) {
  std::uint64_t version = 0;
  for (const char* suffix : {"", "-wal"}) {
    struct stat info {};
    stat((path + suffix).c_str(), &info);
    for (const std::int64_t part : {static_cast<std::int64_t>(info.st_ino), std::int64_t{info.st_size},
                                    std::int64_t{info.st_mtim.tv_sec}, std::int64_t{info.st_mtim.tv_nsec}}) {
      version = (version ^ static_cast<std::uint64_t>(part)) * 0x9E3779B97F4A7C15u;
    }
  }
  return static_cast<std::int64_t>(version);
}

}  // namespace

absl::StatusOr<StoredHub> ReadStoredHub(const std::string& data_dir, const JobRegistry::Options& jobs,
                                        const Moment& now) {
  ASSIGN_OR_RETURN(const auto database, OpenStored(data_dir));
  StoredHub hub;
  // One moment for all of it.
  RETURN_IF_ERROR(database->Execute("BEGIN"));
  ASSIGN_OR_RETURN(const std::string organization, ReadMeta(*database, "organization"));
  ASSIGN_OR_RETURN(const std::optional<LastRun> run, ReadLastRun(*database));
  ASSIGN_OR_RETURN(std::vector<StoredTarget> targets, LoadTargets(*database, absl::InfiniteFuture()));
  ASSIGN_OR_RETURN(std::vector<StoredJobGroup> groups, LoadJobs(*database));
  ASSIGN_OR_RETURN(hub.tokens, LoadTokens(*database));
  ASSIGN_OR_RETURN(const RowCounts counts, CountRows(*database));
  RETURN_IF_ERROR(database->Execute("COMMIT"));

  hub.gauges.alive = run ? run->alive : absl::UnixEpoch();
  hub.gauges.is_up = run && !run->is_stopped && now.wall - run->alive < kHubUpWithin;
  hub.gauges.customer_organizations = counts.customers;
  hub.gauges.audit_entries = counts.audit_entries;
  hub.gauges.store_bytes = SizeOf(PathOf(data_dir)) + SizeOf(PathOf(data_dir) + "-wal");
  if (!hub.gauges.is_up) {
    for (StoredTarget& target : targets) ShowAsOf(hub.gauges.alive, &target);
  }
  hub.fleet = std::make_unique<Fleet>(organization, std::move(targets), &no_history, now);
  hub.jobs = std::make_unique<JobRegistry>(
      jobs, [fleet = hub.fleet.get()](const std::string& id) -> std::optional<JobRegistry::Place> {
        std::optional<Fleet::TargetName> target = fleet->NameOf(id);
        if (!target) return std::nullopt;
        return JobRegistry::Place{.labels = TargetLabels(fleet->organization(), *target),
                                  .name = std::move(target->name),
                                  .customer = std::move(target->customer)};
      });
  hub.jobs->Load(std::move(groups), now);
  return hub;
}

namespace {

class StoredMetricsServer : public StoredMetrics {
 public:
  StoredMetricsServer(StoredMetricsConfig config, const Clock* clock)
      : config_(std::move(config)), clock_(clock), ticker_(clock) {}
  ~StoredMetricsServer() override {
    ticker_.Stop();
    if (http_ != nullptr) http_->Stop(absl::ZeroDuration());
  }

  absl::Status Begin();
  HostPort address() const override { return http_->address(); }

 private:
  std::shared_ptr<const StoredHub> Hub() const ABSL_LOCKS_EXCLUDED(mutex_) {
    MutexLock lock(&mutex_);
    return hub_;
  }
  // What was read last stays when the files cannot be read now; but then no hub is up.
  void Refresh() ABSL_LOCKS_EXCLUDED(mutex_);
  // Reads anew when the files have changed or a second has passed.
  std::shared_ptr<const StoredHub> Newest() ABSL_LOCKS_EXCLUDED(mutex_, refresh_mutex_);
  bool TokenAllows(std::string_view token);

  const StoredMetricsConfig config_;
  const Clock* const clock_;
  mutable Mutex mutex_;
  std::shared_ptr<const StoredHub> hub_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_ ABSL_GUARDED_BY(mutex_);
  // One at a time reads.
  Mutex refresh_mutex_;
  std::int64_t read_version_ ABSL_GUARDED_BY(refresh_mutex_) = 0;
  Instant read_ ABSL_GUARDED_BY(refresh_mutex_);

  std::unique_ptr<MetricsEndpoint> endpoint_;
  HttpRouter router_;
  std::unique_ptr<HttpServer> http_;
  Ticker ticker_;
};

void StoredMetricsServer::Refresh() {
  absl::StatusOr<StoredHub> read = ReadStoredHub(config_.data_dir, config_.jobs, clock_->Read());
  if (read.ok()) {
    auto hub = std::make_shared<const StoredHub>(*std::move(read));
    MutexLock lock(&mutex_);
    hub_ = std::move(hub);
    last_ = absl::OkStatus();
    return;
  }
  MutexLock lock(&mutex_);
  if (last_.ok()) log::Error("the hub's files cannot be read: {}", MessageOf(read.status()));
  last_ = read.status();
}

std::shared_ptr<const StoredHub> StoredMetricsServer::Newest() {
  MutexLock lock(&refresh_mutex_);
  // Before it is read, so that a commit meanwhile is seen the next time.
  const std::int64_t version = VersionOf(PathOf(config_.data_dir));
  const Instant now = clock_->Monotonic();
  if (version != read_version_ || now - read_ >= kSecond) {
    Refresh();
    read_version_ = version;
    read_ = now;
  }
  return Hub();
}

bool StoredMetricsServer::TokenAllows(std::string_view token) {
  const SecretHash hash = HashSecret(token);
  const std::shared_ptr<const StoredHub> hub = Newest();
  return std::any_of(hub->tokens.begin(), hub->tokens.end(), [&](const StoredToken& stored) {
    return SameHash(stored.hash, hash) && !stored.revoked && stored.customer.empty() &&
           (!stored.expires || *stored.expires > clock_->Now());
  });
}

absl::Status StoredMetricsServer::Begin() {
  ASSIGN_OR_RETURN(StoredHub first, ReadStoredHub(config_.data_dir, config_.jobs, clock_->Read()));
  {
    MutexLock lock(&mutex_);
    hub_ = std::make_shared<const StoredHub>(std::move(first));
  }
  const auto gauges = [this] {
    HubGauges read = Hub()->gauges;
    MutexLock lock(&mutex_);
    read.is_up = read.is_up && last_.ok();
    return read;
  };
  endpoint_ = std::make_unique<MetricsEndpoint>(
      config_.metrics,
      MetricsSources{.organization = Hub()->fleet->organization(),
                     .is_from_files = true,
                     .begin = [this] { Newest(); },
                     .fleet = [this] { return Hub()->fleet->Expose(clock_->Now()); },
                     .add_logs = [](ExposedFleet* /*fleet*/) {},
                     .hub = gauges,
                     .version = [this] { return VersionOf(PathOf(config_.data_dir)); },
                     .targets = [this] { return Newest()->fleet->TargetNames(); },
                     .host = [this](std::string_view id_or_name) -> absl::StatusOr<Fleet::NamedHost> {
                       RETURN_IF_ERROR(Newest()->fleet->FindTarget(id_or_name, "").status());
                       return MakeError(absl::StatusCode::kUnavailable, "HOST_NOT_PRESENT",
                                        "hosts' present metrics are in the hub's memory; ask the hub's own listener");
                     },
                     .parts = {{.group = PageGroup::kJobs,
                                .write = [this](PageWriter& page) { Hub()->jobs->Write(clock_->Read(), page); }}},
                     .hub_token_allows = [this](std::string_view token) { return TokenAllows(token); }},
      nullptr, clock_);
  endpoint_->AddTo(&router_);
  ASSIGN_OR_RETURN(http_, HttpServer::Start(MetricsListener(config_.metrics), &router_));
  ticker_.Add(kSecond, [this] { endpoint_->Tick(); });
  ticker_.Start();
  log::Info("metrics of {} at http://{}/metrics", config_.data_dir, http_->address().ToString());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoredMetrics>> StoredMetrics::Start(StoredMetricsConfig config, const Clock* clock) {
  auto server = std::make_unique<StoredMetricsServer>(std::move(config), clock);
  RETURN_IF_ERROR(server->Begin());
  return server;
}

}  // namespace muster::hub
