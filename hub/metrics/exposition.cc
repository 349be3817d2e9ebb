#include "hub/metrics/exposition.h"

#include <fmt/format.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <map>
#include <sstream>
#include <string_view>
#include <unordered_set>

#include "common/text.h"
#include "common/time_format.h"
#include "common/version.h"

namespace muster::hub {
namespace {

using fleet::v1::Deployment;
using fleet::v1::Target;

// A deployment's series take about 2 KB, a target's 5 KB.
constexpr std::size_t kBytesPerDeployment = 2048;
constexpr std::size_t kBytesPerTarget = 5120;

// "TARGET_STATE_NOT_CONNECTED" -> "not_connected".
std::string Word(const std::string& enum_name, std::string_view prefix) {
  std::string word = enum_name.substr(std::min(prefix.size(), enum_name.size()));
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

double Seconds(const google::protobuf::Timestamp& time) {
  return absl::ToDoubleSeconds(FromProto(time) - absl::UnixEpoch());
}

double Seconds(const google::protobuf::Duration& duration) { return absl::ToDoubleSeconds(FromProto(duration)); }

class Page {
 public:
  explicit Page(std::size_t expected_bytes) { text_.reserve(expected_bytes); }

  // Begins a family: every sample until the next one belongs to it.
  void Family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void Sample(std::string_view labels, double value) {
    fmt::format_to(std::back_inserter(text_), "{}{{{}}} {}\n", name_, labels, value);
  }
  void Sample(std::string_view labels, std::string_view more, double value) {
    fmt::format_to(std::back_inserter(text_), "{}{{{},{}}} {}\n", name_, labels, more, value);
  }
  void Sample(double value) { fmt::format_to(std::back_inserter(text_), "{} {}\n", name_, value); }

  void Gauge(std::string_view name, std::string_view help, double value) {
    Family(name, "gauge", help);
    Sample(value);
  }
  void Append(const std::string& text) { text_ += text; }
  std::string Take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string text_;
};

// An entity with its labels, escaped once for all its series.
struct LabelledTarget {
  const Target* target;
  std::string labels;
};
struct LabelledDeployment {
  const Deployment* deployment;
  std::string labels;
};

struct Fleet {
  std::vector<LabelledTarget> targets;
  std::vector<LabelledDeployment> deployments;
};

Fleet LabelFleet(const FleetSnapshot& snapshot) {
  Fleet fleet;
  const std::string organization = Label("organization", snapshot.organization);
  for (const TargetSnapshot& entry : snapshot.targets) {
    const Target& target = entry.target;
    const std::string place = fmt::format("{},{},{}", organization, Label("customerorganization", target.customer()),
                                          Label("deploymenttarget", target.name()));
    fleet.targets.push_back({&target, fmt::format("{},{}", place, Label("deploymenttargetid", target.id()))});
    for (const Deployment& deployment : entry.deployments) {
      fleet.deployments.push_back(
          {&deployment, fmt::format("{},{},{},{}", place, Label("deploymentid", deployment.id()),
                                    Label("application", deployment.application()),
                                    Label("applicationversion", deployment.application_version()))});
    }
  }
  return fleet;
}

// ---- the series that dashboards for Distr read; names, labels and meaning are theirs

void WriteSeedSeries(const ScrapeInput& input, const Fleet& fleet, Page& page) {
  page.Gauge("distr_organizations_total", "Current number of organizations.",
             static_cast<double>(input.hub.organizations));
  struct Status {
    types::v1::DeploymentStatus status;
    std::string_view label;
  };
  static constexpr std::array<Status, 4> kStatuses = {
      {{types::v1::DEPLOYMENT_STATUS_HEALTHY, "status=\"healthy\""},
       {types::v1::DEPLOYMENT_STATUS_RUNNING, "status=\"running\""},
       {types::v1::DEPLOYMENT_STATUS_PROGRESSING, "status=\"progressing\""},
       {types::v1::DEPLOYMENT_STATUS_ERROR, "status=\"error\""}}};
  page.Family("distr_deployment_status", "gauge",
              "Whether the deployment is in a certain status: 1 or 0. All 0 while it is stale or has no status.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    for (const Status& status : kStatuses) page.Sample(labels, status.label, deployment->status() == status.status);
  }
  page.Family("distr_deployment_status_timestamp_seconds", "gauge",
              "Unix time at which the agent last reported the deployment; 0: never.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    double time = 0;
    if (deployment->has_status_time() && deployment->status() != types::v1::DEPLOYMENT_STATUS_NO_STATUS) {
      time = Seconds(deployment->status_time());
    }
    if (deployment->has_reported_time()) time = Seconds(deployment->reported_time());
    page.Sample(labels, time);
  }
  // In Distr's source, not in its manual. Without the id two names that are cut alike would collide: the first wins.
  page.Family("distr_deployment_target_status_timestamp_seconds", "gauge",
              "Unix time at which the deployment target was last heard from; 0: never.");
  std::unordered_set<std::string_view> seen;
  for (const auto& [target, labels] : fleet.targets) {
    const std::string_view place = std::string_view(labels).substr(0, labels.rfind(",deploymenttargetid="));
    if (!seen.insert(place).second) continue;
    page.Sample(place, target->has_last_seen_time() ? Seconds(target->last_seen_time()) : 0);
  }
}

// ---- targets

void WriteTargetState(const Fleet& fleet, Page& page) {
  page.Family("distr_deployment_target_state", "gauge", "Whether the deployment target is in a certain state: 1 or 0.");
  for (const auto& [target, labels] : fleet.targets) {
    for (const auto state :
         {types::v1::TARGET_STATE_NOT_CONNECTED, types::v1::TARGET_STATE_CONNECTED, types::v1::TARGET_STATE_STALE}) {
      page.Sample(labels, Label("state", Word(types::v1::TargetState_Name(state), "TARGET_STATE_")),
                  target->state() == state);
    }
  }
  page.Family("distr_deployment_target_state_timestamp_seconds", "gauge",
              "Unix time at which the deployment target came into its state.");
  for (const auto& [target, labels] : fleet.targets) page.Sample(labels, Seconds(target->state_time()));
  page.Family("distr_deployment_target_last_seen_timestamp_seconds", "gauge",
              "Unix time of the last heartbeat, by the hub's clock; 0: none since the hub started.");
  for (const auto& [target, labels] : fleet.targets) {
    page.Sample(labels, target->has_last_seen_time() ? Seconds(target->last_seen_time()) : 0);
  }
  page.Family("distr_deployment_target_session_open", "gauge", "Whether the agent's stream is open.");
  for (const auto& [target, labels] : fleet.targets) page.Sample(labels, target->has_session());
  page.Family("distr_deployment_target_observer_fault", "gauge",
              "Whether the agent cannot see deployments: its runtime does not answer.");
  for (const auto& [target, labels] : fleet.targets) page.Sample(labels, !target->observer_fault().empty());
  page.Family("distr_deployment_target_identity_warning", "gauge",
              "Whether two machines were seen with this identity, or its disk was rolled back.");
  for (const auto& [target, labels] : fleet.targets) page.Sample(labels, !target->identity_warning().empty());
  page.Family("distr_deployment_target_omitted_deployments", "gauge",
              "Deployments that the agent saw but could not list, because of the limit per target.");
  for (const auto& [target, labels] : fleet.targets) page.Sample(labels, target->omitted_deployments());
}

void WriteTargetFacts(const Fleet& fleet, Page& page) {
  page.Family("distr_deployment_target_round_trip_seconds", "gauge",
              "Round trip between hub and agent, measured by heartbeat echoes. Absent until the first.");
  for (const auto& [target, labels] : fleet.targets) {
    if (target->session().has_round_trip()) page.Sample(labels, Seconds(target->session().round_trip()));
  }
  page.Family("distr_deployment_target_clock_skew_seconds", "gauge",
              "The agent's clock minus the hub's. Absent until the first heartbeat echo.");
  for (const auto& [target, labels] : fleet.targets) {
    if (target->session().has_clock_skew()) page.Sample(labels, Seconds(target->session().clock_skew()));
  }
  page.Family("distr_deployment_target_agent_info", "gauge",
              "The agent's version; always 1. Absent until it is known.");
  for (const auto& [target, labels] : fleet.targets) {
    if (!target->agent_version().empty()) page.Sample(labels, Label("version", target->agent_version()), 1);
  }
  page.Family("distr_deployment_target_machine_info", "gauge", "The machine; always 1. Absent until it is known.");
  for (const auto& [target, labels] : fleet.targets) {
    if (!target->has_machine()) continue;
    const types::v1::MachineFacts& machine = target->machine();
    page.Sample(labels,
                fmt::format("{},{},{},{},{}", Label("hostname", machine.hostname()), Label("os", machine.os()),
                            Label("kernel", machine.kernel()), Label("architecture", machine.architecture()),
                            Label("runtime", machine.runtime())),
                1);
  }
  page.Family("distr_deployment_target_cpu_cores", "gauge", "CPU cores of the machine. Absent until known.");
  for (const auto& [target, labels] : fleet.targets) {
    if (target->has_machine()) page.Sample(labels, target->machine().cpu_cores());
  }
  page.Family("distr_deployment_target_memory_bytes", "gauge", "Memory of the machine. Absent until known.");
  for (const auto& [target, labels] : fleet.targets) {
    if (target->has_machine()) page.Sample(labels, static_cast<double>(target->machine().memory_bytes()));
  }
}

// How far the hub's history is behind while records wait: the age of the newest that was applied, or as long as the
// oldest has waited when none was applied yet.
double ReplayLag(const fleet::v1::Journal& journal, absl::Time now) {
  if (journal.records() == 0) return 0;
  if (!journal.has_newest_applied_time()) return Seconds(journal.oldest_age());
  return std::max(0.0, absl::ToDoubleSeconds(now - FromProto(journal.newest_applied_time())));
}

void WriteTargetJournals(const Fleet& fleet, absl::Time now, Page& page) {
  const auto family = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    page.Family(name, type, help);
    for (const auto& [target, labels] : fleet.targets) {
      if (target->has_journal()) page.Sample(labels, static_cast<double>(value(target->journal())));
    }
  };
  using fleet::v1::Journal;
  family("distr_journal_records", "gauge", "Records of the agent's journal that the hub has not acknowledged.",
         [](const Journal& journal) { return journal.records(); });
  family("distr_journal_bytes", "gauge", "Size of the records that the hub has not acknowledged.",
         [](const Journal& journal) { return journal.bytes(); });
  family("distr_journal_capacity_bytes", "gauge", "Bound of the agent's journal.",
         [](const Journal& journal) { return journal.capacity_bytes(); });
  family("distr_journal_oldest_age_seconds", "gauge", "How long the oldest unacknowledged record has waited; 0: none.",
         [](const Journal& journal) { return Seconds(journal.oldest_age()); });
  family("distr_journal_replay_lag_seconds", "gauge",
         "Age of the newest record that the hub has applied, while records wait; 0: none waits.",
         [&](const Journal& journal) { return ReplayLag(journal, now); });
  family("distr_journal_fault", "gauge", "Whether the agent cannot make records durable.",
         [](const Journal& journal) { return !journal.fault().empty(); });
  family("distr_journal_dropped_records_total", "counter",
         "Records that the agent gave up before the hub had them, since its journal was created.",
         [](const Journal& journal) { return journal.dropped_total(); });
  family("distr_journal_poisoned_records_total", "counter",
         "Records that the hub refused for good, since the agent's journal was created.",
         [](const Journal& journal) { return journal.poisoned_total(); });
  family("distr_journal_gap_records_total", "counter", "Gap records that the hub took, since it started.",
         [](const Journal& journal) { return journal.gap_records(); });
  family("distr_journal_duplicate_records_total", "counter", "Records that were sent again, since the hub started.",
         [](const Journal& journal) { return journal.duplicate_records(); });
}

// Of every target, so that the first line is seen as an increase.
void WriteTargetLogs(const Fleet& fleet, const LogCountsByTarget& logs, Page& page) {
  static const LogCounts kNone;
  const auto counts_of = [&](const Target& target) -> const LogCounts& {
    const auto found = logs.find(target.id());
    return found == logs.end() ? kNone : found->second;
  };
  page.Family("distr_log_lines_total", "counter", "Log lines of the target that were stored, since the hub started.");
  for (const auto& [target, labels] : fleet.targets) {
    page.Sample(labels, static_cast<double>(counts_of(*target).lines));
  }
  page.Family("distr_log_dropped_lines_total", "counter",
              "Log lines of the target that are missing, as far as they were counted, since the hub started.");
  for (const auto& [target, labels] : fleet.targets) {
    std::map<std::string, std::int64_t> dropped = counts_of(*target).dropped;
    dropped.try_emplace("RATE", 0);
    for (const auto& [reason, lines] : dropped) {
      page.Sample(labels, Label("reason", reason), static_cast<double>(lines));
    }
  }
}

// ---- deployments

// Docker's own words; anything else counts as "other", so that no host can make up label values.
std::string_view ContainerState(const std::string& state) {
  for (const std::string_view known : {"created", "running", "paused", "restarting", "removing", "exited", "dead"}) {
    if (state == known) return known;
  }
  return "other";
}

void WriteDeployments(const Fleet& fleet, Page& page) {
  page.Family("distr_deployment_stale", "gauge", "Whether the deployment was not reported for 60 s.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    page.Sample(labels, deployment->status() == types::v1::DEPLOYMENT_STATUS_STALE);
  }
  page.Family("distr_deployment_status_since_timestamp_seconds", "gauge",
              "Unix time at which the deployment came into its status; 0: it has none.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    page.Sample(labels, deployment->has_status_time() ? Seconds(deployment->status_time()) : 0);
  }
  page.Family("distr_deployment_info", "gauge", "Name, kind and revision of the deployment; always 1.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    page.Sample(labels,
                fmt::format("{},{},{}", Label("deployment", deployment->name()),
                            Label("kind", Word(types::v1::DeploymentKind_Name(deployment->kind()), "DEPLOYMENT_KIND_")),
                            Label("revision", deployment->revision())),
                1);
  }
  page.Family("distr_deployment_containers", "gauge",
              "Containers of the deployment by state. The running ones always; other states while they occur.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    std::map<std::string_view, int> by_state = {{"running", 0}};
    for (const types::v1::Resource& resource : deployment->resources()) ++by_state[ContainerState(resource.state())];
    for (const auto& [state, count] : by_state) page.Sample(labels, Label("state", state), count);
  }
  page.Family("distr_deployment_container_restarts_total", "counter",
              "Restarts of the deployment's present containers, as the runtime counts them.");
  for (const auto& [deployment, labels] : fleet.deployments) {
    double restarts = 0;
    for (const types::v1::Resource& resource : deployment->resources()) {
      restarts += static_cast<double>(resource.restart_count());
    }
    page.Sample(labels, restarts);
  }
}

// ---- the hub and its process

void WriteHub(const HubGauges& hub, Page& page) {
  page.Gauge("distr_organizations", "Current number of organizations.", static_cast<double>(hub.organizations));
  page.Gauge("distr_customer_organizations", "Current number of customer organizations.",
             static_cast<double>(hub.customer_organizations));
  page.Family("distr_hub_info", "gauge", "The hub's version; always 1.");
  page.Sample(Label("version", kVersion), 1);
  page.Gauge("distr_hub_sessions", "Agent sessions that are open.", static_cast<double>(hub.open_sessions));
  page.Gauge("distr_hub_store_bytes", "Size of the hub's database with its write-ahead log.",
             static_cast<double>(hub.store_bytes));
  page.Gauge("distr_hub_store_writable", "Whether the hub can store history now.", hub.store_writable);
  page.Gauge("distr_hub_log_store_bytes", "Size of the stored log lines, which the bound is about.",
             static_cast<double>(hub.logs.store_bytes));
  page.Gauge("distr_hub_log_store_limit_bytes", "What the stored log lines may take now.",
             static_cast<double>(hub.logs.limit_bytes));
  page.Gauge("distr_hub_log_store_writable", "Whether the hub can store log lines now.", hub.logs.is_writable);
  page.Gauge("distr_hub_log_tail_rows", "Rows of log lines that are not merged yet.",
             static_cast<double>(hub.logs.tail_rows));
  page.Gauge("distr_hub_log_chunks", "Chunks of log lines.", static_cast<double>(hub.logs.chunks));
  page.Gauge("distr_hub_audit_log_entries", "Entries of the audit log.", static_cast<double>(hub.audit_entries));
  page.Gauge("distr_hub_http_connections", "Open connections of the API's HTTP listener.",
             static_cast<double>(hub.http_connections_open));
  page.Family("distr_hub_http_connections_refused_total", "counter",
              "Connections closed at once because of a limit on connections.");
  page.Sample(static_cast<double>(hub.http_connections_refused_total));
  page.Family("distr_hub_http_requests_refused_total", "counter",
              "Requests ended by a limit, malformed requests and failed TLS handshakes.");
  page.Sample(static_cast<double>(hub.http_requests_refused_total));
}

void WriteProcess(const ProcessStats& process, Page& page) {
  page.Family("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.");
  page.Sample(process.cpu_seconds);
  page.Gauge("process_open_fds", "Number of open file descriptors.", static_cast<double>(process.open_fds));
  page.Gauge("process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(process.max_fds));
  page.Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.",
             static_cast<double>(process.virtual_bytes));
  page.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
             static_cast<double>(process.resident_bytes));
  page.Gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
             process.start_time_seconds);
  page.Gauge("process_threads", "Number of OS threads of the process.", static_cast<double>(process.threads));
}

}  // namespace

std::string WriteExposition(const ScrapeInput& input) {
  const Fleet fleet = LabelFleet(input.fleet);
  Page page(64 * 1024 + fleet.targets.size() * kBytesPerTarget + fleet.deployments.size() * kBytesPerDeployment);
  WriteSeedSeries(input, fleet, page);
  WriteTargetState(fleet, page);
  WriteTargetFacts(fleet, page);
  WriteTargetJournals(fleet, input.fleet.taken, page);
  WriteTargetLogs(fleet, input.logs, page);
  WriteDeployments(fleet, page);
  WriteHub(input.hub, page);
  std::ostringstream counters;
  prometheus::TextSerializer().Serialize(counters, input.counters);
  page.Append(counters.str());
  if (input.process.has_value()) WriteProcess(*input.process, page);
  return page.Take();
}

}  // namespace muster::hub
