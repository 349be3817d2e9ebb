// How a Target shows itself at /metrics: rows of numbers (hub/fleet/exposed.h).
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>
#include <unordered_map>

#include "common/status.h"
#include "common/time_format.h"
#include "common/virtual_devices.h"
#include "hub/fleet/target.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

// In whole microseconds, as times are.
double Seconds(absl::Duration duration) { return static_cast<double>(absl::ToInt64Microseconds(duration)) / 1e6; }
double Seconds(const std::optional<absl::Duration>& duration) { return duration ? Seconds(*duration) : kUnknown; }

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
          .oldest_age = depth.has_oldest_age() ? Seconds(FromProto(depth.oldest_age())) : 0,
          .newest_applied = journal.newest ? UnixSeconds(*journal.newest) : kUnknown,
          .dropped = static_cast<double>(depth.dropped_total()),
          .poisoned = static_cast<double>(depth.poisoned_total()),
          .gap_records = static_cast<double>(journal.gap_records),
          .duplicate_records = static_cast<double>(journal.duplicate_records)};
}

// Texts on their way into one: each view is set once all are there.
class Texts {
 public:
  void Add(std::string text, std::string_view* view) { pieces_.push_back({std::move(text), view}); }
  // Of names that are cut alike the first stands for all, the others stay empty.
  void AddOnce(std::string text, std::string_view* view, std::set<std::string>* seen) {
    if (seen->insert(text).second) Add(std::move(text), view);
  }
  std::string Join() {
    std::size_t size = 0;
    for (const Piece& piece : pieces_) size += piece.text.size();
    std::string all;
    all.reserve(size);
    for (const Piece& piece : pieces_) {
      *piece.view = std::string_view(all.data() + all.size(), piece.text.size());
      all += piece.text;
    }
    return all;
  }

 private:
  struct Piece {
    std::string text;
    std::string_view* view;
  };
  std::vector<Piece> pieces_;
};

void ShowHost(const agent::v1::HostReport& report, Texts& texts, ShownTarget& shown) {
  std::set<std::string> seen;
  shown.filesystems.resize(static_cast<std::size_t>(report.sample().disks_size()));
  auto view = shown.filesystems.begin();
  for (const auto& disk : report.sample().disks()) {
    texts.AddOnce(fmt::format("{},{},{}", Label("device", disk.device()), Label("mountpoint", disk.mount_path()),
                              Label("fstype", disk.filesystem_type())),
                  &*view++, &seen);
  }
  const auto devices = [&](const auto& list, bool (*is_virtual)(std::string_view), auto* views) {
    seen.clear();
    // The views must not move while texts point to them.
    views->reserve(static_cast<std::size_t>(list.size()));
    for (const auto& device : list) {
      if (!is_virtual(device.device())) {
        texts.AddOnce(Label("device", device.device()), &views->emplace_back(), &seen);
      }
    }
  };
  devices(report.totals().network_devices(), IsVirtualNetworkDevice, &shown.network);
  devices(report.totals().block_devices(), IsVirtualBlockDevice, &shown.disks);
}

}  // namespace

std::shared_ptr<const ShownTarget> Target::MakeShown(std::string_view organization) const {
  auto shown = std::make_shared<ShownTarget>();
  Texts texts;
  TargetLine& facts = shown->target;
  const std::string place = fmt::format("{},{},{}", organization, Label("customerorganization", stored_.customer),
                                        Label("deploymenttarget", stored_.name));
  texts.Add(fmt::format("{},{}", place, Label("deploymenttargetid", stored_.id)), &facts.labels);
  facts.is_cut = stored_.name.size() > kMaxLabelBytes;
  if (!stored_.agent_version.empty()) texts.Add(Label("version", stored_.agent_version), &facts.agent);
  texts.Add(MachineLabels(stored_.machine), &facts.machine);
  facts.cpu_cores = static_cast<double>(stored_.machine.cpu_cores());
  facts.memory = static_cast<double>(stored_.machine.memory_bytes());
  shown->deployments.resize(deployments_.size());
  std::unordered_map<std::string_view, std::uint32_t> by_key;
  for (const auto& [key, d] : deployments_) {
    DeploymentLine& deployment = shown->deployments[by_key.size()];
    by_key.emplace(key, static_cast<std::uint32_t>(by_key.size()));
    texts.Add(fmt::format(
                  "{},{},{},{}", place, Label("deploymentid", d.id),
                  Label("application", d.choices.application.value_or(d.report.application())),
                  Label("applicationversion", d.choices.application_version.value_or(d.report.application_version()))),
              &deployment.labels);
    texts.Add(fmt::format("{},{},{}", Label("deployment", d.report.name()), Label("kind", KindWord(d.report.kind())),
                          Label("revision", d.report.revision())),
              &deployment.info);
    deployment.status = d.open.status;
    deployment.since = UnixSeconds(d.open.from);
    for (const types::v1::Resource& resource : d.report.resources()) {
      ++deployment.containers[ContainerStateOf(resource.state())];
      deployment.restarts += static_cast<double>(resource.restart_count());
    }
  }
  if (host_ != nullptr) {
    const agent::v1::HostReport report = ReportOf(*host_);
    shown->host_names = host_->names;
    ShowHost(report, texts, *shown);
    std::set<std::pair<std::uint32_t, std::string>> seen;
    shown->containers.reserve(static_cast<std::size_t>(report.containers_size()));
    for (int i = 0; i < report.containers_size(); ++i) {
      const auto deployment = by_key.find(report.containers(i).deployment_key());
      if (deployment == by_key.end()) continue;
      std::string label = Label("container", report.containers(i).container());
      if (!seen.emplace(deployment->second, label).second) continue;
      shown->containers.push_back(
          {.deployment = deployment->second, .use = static_cast<std::uint32_t>(i), .label = {}});
      texts.Add(std::move(label), &shown->containers.back().label);
    }
  }
  shown->text = texts.Join();
  facts.place = facts.labels.substr(0, place.size());
  // Between the quotes at its end; ids need no escaping.
  facts.id = facts.labels.substr(facts.labels.size() - 1 - stored_.id.size(), stored_.id.size());
  return shown;
}

void Target::NoteNumbers() {
  numbers_.state = stored_.open.state;
  numbers_.has_session = session_.has_value();
  numbers_.has_observer_fault = !observer_fault_.empty();
  numbers_.has_identity_warning = !stored_.identity_warning.empty();
  numbers_.has_journal = journal_.depth.has_value();
  numbers_.has_journal_fault = journal_.depth && !journal_.depth->fault().empty();
  numbers_.state_since = UnixSeconds(stored_.open.from);
  numbers_.last_seen = stored_.last_seen ? UnixSeconds(*stored_.last_seen) : 0;
  numbers_.reported = deployments_confirmed_wall_ ? UnixSeconds(*deployments_confirmed_wall_) : 0;
  numbers_.omitted = static_cast<double>(omitted_);
  numbers_.round_trip = session_ ? Seconds(session_->round_trip) : kUnknown;
  numbers_.clock_skew = session_ ? Seconds(session_->clock_skew) : kUnknown;
  if (journal_.depth) numbers_.journal = ExposeJournal(journal_);
}

void Target::Expose(std::string_view organization, ExposedFleet* fleet) {
  const bool shows_host = host_ != nullptr && state() == types::v1::TARGET_STATE_CONNECTED;
  const bool is_made = shown_ != nullptr && (!shows_host || shown_->host_names == host_->names);
  if (!is_made) shown_ = MakeShown(organization);
  fleet->targets.push_back(numbers_);
  fleet->shown.push_back(shown_);
  fleet->live_hosts.push_back(shows_host ? host_ : nullptr);
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

}  // namespace muster::hub
