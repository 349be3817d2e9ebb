// How a Target shows itself at /metrics: rows of numbers (hub/fleet/exposed.h).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <unordered_map>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/fleet/target.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

double Seconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }
double Seconds(const std::optional<absl::Duration>& duration) {
  return duration ? absl::ToDoubleSeconds(*duration) : kUnknown;
}

// "DEPLOYMENT_KIND_COMPOSE_PROJECT" -> "compose_project".
std::string KindWord(types::v1::DeploymentKind kind) {
  std::string word = types::v1::DeploymentKind_Name(kind);
  constexpr std::string_view kPrefix = "DEPLOYMENT_KIND_";
  if (word.starts_with(kPrefix)) word.erase(0, kPrefix.size());
  std::transform(word.begin(), word.end(), word.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return word;
}

std::string MachineLabels(const types::v1::MachineFacts& machine) {
  return fmt::format("{},{},{},{},{}", Label("hostname", machine.hostname()), Label("os", machine.os()),
                     Label("kernel", machine.kernel()), Label("architecture", machine.architecture()),
                     Label("runtime", machine.runtime()));
}

ExposedJournal ExposeJournal(const JournalView& journal) {
  const agent::v1::JournalDepth& depth = *journal.depth;
  return {.records = static_cast<double>(depth.records()),
          .bytes = static_cast<double>(depth.bytes()),
          .capacity = static_cast<double>(depth.capacity_bytes()),
          .oldest_age = depth.has_oldest_age() ? absl::ToDoubleSeconds(FromProto(depth.oldest_age())) : 0,
          .newest_applied = journal.newest ? Seconds(*journal.newest) : kUnknown,
          .dropped = static_cast<double>(depth.dropped_total()),
          .poisoned = static_cast<double>(depth.poisoned_total()),
          .gap_records = static_cast<double>(journal.gap_records),
          .duplicate_records = static_cast<double>(journal.duplicate_records),
          .has_fault = !depth.fault().empty()};
}

// Of names that are cut alike the first stands for all.
template <typename Seen>
void MakeUnique(std::string* label, Seen* seen) {
  if (!seen->insert(*label).second) label->clear();
}

}  // namespace

void Target::MakeShown(std::string_view organization) {
  shown_ = std::make_unique<Shown>();
  const std::string place = fmt::format("{},{},{}", organization, Label("customerorganization", stored_.customer),
                                        Label("deploymenttarget", stored_.name));
  shown_->labels = fmt::format("{},{}", place, Label("deploymenttargetid", stored_.id));
  shown_->place_bytes = place.size();
  shown_->is_cut = stored_.name.size() > kMaxLabelBytes;
  if (!stored_.agent_version.empty()) shown_->agent = Label("version", stored_.agent_version);
  shown_->machine = MachineLabels(stored_.machine);
  shown_->deployments.reserve(deployments_.size());
  for (const auto& [key, d] : deployments_) {
    Shown::Deployment shown{
        .labels = fmt::format(
            "{},{},{},{}", place, Label("deploymentid", d.id),
            Label("application", d.choices.application.value_or(d.report.application())),
            Label("applicationversion", d.choices.application_version.value_or(d.report.application_version()))),
        .info = fmt::format("{},{},{}", Label("deployment", d.report.name()), Label("kind", KindWord(d.report.kind())),
                            Label("revision", d.report.revision())),
        .status = d.open.status,
        .since = Seconds(d.open.from)};
    for (const types::v1::Resource& resource : d.report.resources()) {
      ++shown.containers[ContainerStateOf(resource.state())];
      shown.restarts += static_cast<double>(resource.restart_count());
    }
    shown_->deployments.push_back(std::move(shown));
  }
}

void Target::ShowHost() {
  shown_->host_names = host_->names;
  const agent::v1::HostReport report = ReportOf(*host_);
  std::set<std::string> seen;
  shown_->filesystems.clear();
  for (const auto& disk : report.sample().disks()) {
    shown_->filesystems.push_back(fmt::format("{},{},{}", Label("device", disk.device()),
                                              Label("mountpoint", disk.mount_path()),
                                              Label("fstype", disk.filesystem_type())));
    MakeUnique(&shown_->filesystems.back(), &seen);
  }
  seen.clear();
  shown_->network.clear();
  for (const auto& device : report.totals().network_devices()) {
    if (IsVirtualNetworkDevice(device.device())) continue;
    shown_->network.push_back(Label("device", device.device()));
    MakeUnique(&shown_->network.back(), &seen);
  }
  seen.clear();
  shown_->disks.clear();
  for (const auto& device : report.totals().block_devices()) {
    if (IsVirtualBlockDevice(device.device())) continue;
    shown_->disks.push_back(Label("device", device.device()));
    MakeUnique(&shown_->disks.back(), &seen);
  }
  shown_->containers.clear();
  std::set<std::pair<std::size_t, std::string>> seen_containers;
  std::unordered_map<std::string_view, std::size_t> by_key;
  for (const auto& [key, deployment] : deployments_) by_key.emplace(key, by_key.size());
  for (int i = 0; i < report.containers_size(); ++i) {
    const auto deployment = by_key.find(report.containers(i).deployment_key());
    if (deployment == by_key.end()) continue;
    std::string label = Label("container", report.containers(i).container());
    if (!seen_containers.emplace(deployment->second, label).second) continue;
    shown_->containers.push_back(
        {.deployment = deployment->second, .use = static_cast<std::size_t>(i), .label = std::move(label)});
  }
}

void Target::ExposeHost(std::string_view labels, std::size_t first_deployment, ExposedFleet* fleet) const {
  const HostNumbers& numbers = host_->numbers;
  fleet->hosts.push_back({.labels = labels, .numbers = numbers.scalars});
  const auto add = [&](const std::vector<std::string>& names, const auto& values, auto* rows) {
    // As many as there are names, unless somebody found two reports with the same hash.
    for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i) {
      if (names[i].empty()) continue;
      rows->push_back({.labels = labels, .more = fleet->text.Keep(names[i]), .numbers = values[i]});
    }
  };
  add(shown_->filesystems, numbers.filesystems, &fleet->filesystems);
  add(shown_->network, numbers.network, &fleet->network);
  add(shown_->disks, numbers.disks, &fleet->disks);
  for (const Shown::Container& container : shown_->containers) {
    if (container.use >= numbers.use.size()) continue;
    fleet->containers.push_back({.labels = fleet->deployments[first_deployment + container.deployment].labels,
                                 .more = fleet->text.Keep(container.label),
                                 .numbers = numbers.use[container.use]});
  }
}

std::optional<HostPresent> Target::Host() const {
  if (!WhyNoHost().ok()) return std::nullopt;
  return HostPresent{.report = ReportOf(*host_), .taken = host_->taken_wall};
}

absl::Status Target::WhyNoHost() const {
  const auto absent = [this](std::string_view why) {
    return MakeError(absl::StatusCode::kUnavailable, "HOST_NOT_PRESENT",
                     fmt::format("there are no present metrics of \"{}\": {}", stored_.name, why));
  };
  if (!stored_.metrics_enabled) return absent("they are switched off (\"muster target set\" with --metrics on)");
  if (state() == types::v1::TARGET_STATE_STALE) return absent("it is stale, no heartbeat for 60 s");
  if (state() != types::v1::TARGET_STATE_CONNECTED) return absent("it is not connected");
  if (host_ == nullptr) return absent("no sample of the last 90 s has come; old agents take none");
  return absl::OkStatus();
}

void Target::Expose(std::string_view organization, ExposedFleet* fleet) {
  if (shown_ == nullptr) MakeShown(organization);
  const std::string_view labels = fleet->text.Keep(shown_->labels);
  fleet->targets.push_back({.id = fleet->text.Keep(stored_.id),
                            .labels = labels,
                            .place = labels.substr(0, shown_->place_bytes),
                            .is_cut = shown_->is_cut,
                            .has_session = session_.has_value(),
                            .has_observer_fault = !observer_fault_.empty(),
                            .has_identity_warning = !stored_.identity_warning.empty(),
                            .has_journal = journal_.depth.has_value(),
                            .state = stored_.open.state,
                            .state_since = Seconds(stored_.open.from),
                            .last_seen = stored_.last_seen ? Seconds(*stored_.last_seen) : 0,
                            .omitted = static_cast<double>(omitted_),
                            .round_trip = session_ ? Seconds(session_->round_trip) : kUnknown,
                            .clock_skew = session_ ? Seconds(session_->clock_skew) : kUnknown,
                            .agent = fleet->text.Keep(shown_->agent),
                            .machine = fleet->text.Keep(shown_->machine),
                            .cpu_cores = static_cast<double>(stored_.machine.cpu_cores()),
                            .memory = static_cast<double>(stored_.machine.memory_bytes())});
  if (journal_.depth) fleet->targets.back().journal = ExposeJournal(journal_);
  const double confirmed = deployments_confirmed_wall_ ? Seconds(*deployments_confirmed_wall_) : 0;
  const std::size_t first = fleet->deployments.size();
  for (const Shown::Deployment& shown : shown_->deployments) {
    // Before the first report since the hub's start: when it came into its status.
    const bool has_status = shown.status != types::v1::DEPLOYMENT_STATUS_NO_STATUS;
    fleet->deployments.push_back({.labels = fleet->text.Keep(shown.labels),
                                  .info = fleet->text.Keep(shown.info),
                                  .status = shown.status,
                                  .reported = confirmed > 0 ? confirmed
                                              : has_status  ? shown.since
                                                            : 0,
                                  .since = shown.since,
                                  .restarts = shown.restarts,
                                  .containers = shown.containers});
  }
  if (host_ == nullptr || state() != types::v1::TARGET_STATE_CONNECTED) return;
  if (shown_->host_names != host_->names) ShowHost();
  ExposeHost(labels, first, fleet);
}

}  // namespace muster::hub
