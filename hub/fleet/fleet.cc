#include "hub/fleet/fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/log.h"
#include "common/status.h"
#include "common/time_format.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {
namespace {

absl::Status TargetNotFound(std::string_view reference) {
  return MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND",
                   fmt::format("there is no target \"{}\"; \"muster target list\" shows them all", reference));
}

absl::Status DeploymentNotFound(std::string_view reference) {
  return MakeError(absl::StatusCode::kNotFound, "DEPLOYMENT_NOT_FOUND",
                   fmt::format("there is no deployment \"{}\"; \"muster deployment list\" shows them all", reference));
}

bool Visible(const Target& target, std::string_view customer) {
  return !target.deleted() && (customer.empty() || target.customer() == customer);
}

// Why a session must end. One whose secret was replaced is told so even where its end has not reached it yet.
std::optional<Refusal> Check(const Target& target, const Fleet::SessionKey& key) {
  if (!target.deleted() && target.generation() != key.generation) return RotatedRefusal();
  return target.CheckSession(key.number);
}

Fleet::TargetName NameOfTarget(const Target& target) {
  return {.id = target.id(),
          .name = target.name(),
          .customer = target.customer(),
          .metrics_enabled = target.metrics_enabled()};
}

bool Names(const fleet::v1::Deployment& deployment, std::string_view reference) {
  return deployment.id() == reference || deployment.name() == reference ||
         fmt::format("{}/{}", deployment.target_name(), deployment.name()) == reference;
}

}  // namespace

Fleet::Fleet(std::string organization, std::vector<StoredTarget> targets, HistorySink* history, const Moment& start)
    : organization_(std::move(organization)),
      organization_label_(Label("organization", organization_)),
      history_(history),
      listening_{.since = start.monotonic, .deaf_from = start.wall},
      last_tick_(start) {
  for (StoredTarget& target : targets) {
    std::string id = target.id;
    slots_.emplace(std::move(id), std::make_shared<Slot>(std::move(target)));
  }
}

std::variant<Fleet::Admission, Refusal> Fleet::Admit(const agent::v1::Hello& hello, absl::Time now) {
  if (hello.protocol_version() < kOldestProtocolVersion) {
    return Refusal{
        agent::v1::FAREWELL_REASON_TOO_OLD,
        fmt::format("this agent speaks protocol {}, the hub needs at least {}; run the connect command again "
                    "to upgrade it",
                    hello.protocol_version(), kOldestProtocolVersion),
        {}};
  }
  std::shared_ptr<Slot> slot = FindSlot(hello.target_id());
  if (slot == nullptr) {
    return Refusal{agent::v1::FAREWELL_REASON_UNKNOWN_TARGET,
                   "this hub has no such target; check the hub's address and the target id, or connect it anew",
                   {}};
  }
  MutexLock lock(&slot->mutex);
  if (auto refusal = slot->target.CheckIdentity(hello)) return *std::move(refusal);
  return Admission{.slot = slot,
                   .generation = slot->target.generation(),
                   .opening = slot->target.PrepareOpening(hello, now),
                   .skew = hello.has_sent_at() ? FromProto(hello.sent_at()) - now : absl::ZeroDuration(),
                   .target_name = slot->target.name()};
}

std::variant<Fleet::SessionKey, Refusal> Fleet::OpenSession(const Admission& admission, std::string session_id,
                                                            std::string peer, std::shared_ptr<SessionHandle> handle,
                                                            const Moment& now) {
  SessionKey key{.slot = admission.slot,
                 .number = next_session_.fetch_add(1, std::memory_order_relaxed),
                 .generation = admission.generation};
  std::shared_ptr<SessionHandle> replaced;
  {
    MutexLock lock(&key.slot->mutex);
    Target& target = key.slot->target;
    if (target.deleted() || target.generation() != admission.generation) {
      return Refusal{
          target.deleted() ? agent::v1::FAREWELL_REASON_TARGET_DELETED : agent::v1::FAREWELL_REASON_SECRET_ROTATED,
          "the target changed while the session was opening",
          {}};
    }
    HistoryEvents events;
    replaced = target.OpenSession({.number = key.number,
                                   .counter = admission.opening.session_counter,
                                   .id = std::move(session_id),
                                   .peer = std::move(peer),
                                   .handle = std::move(handle),
                                   .run = admission.run,
                                   .start = now.wall,
                                   .hello_skew = admission.skew},
                                  admission.opening, now, events);
    Record(std::move(events));
  }
  version_.fetch_add(1, std::memory_order_relaxed);
  history_->Flush();
  if (replaced != nullptr) {
    replaced->End({agent::v1::FAREWELL_REASON_SUPERSEDED, "a newer session of this target took over", {}});
  }
  return key;
}

std::optional<Refusal> Fleet::Heartbeat(const SessionKey& key, const agent::v1::Heartbeat& heartbeat,
                                        const Moment& now) {
  heartbeats_.fetch_add(1, std::memory_order_relaxed);
  bool changed = false;
  {
    MutexLock lock(&key.slot->mutex);
    if (auto refusal = Check(key.slot->target, key)) return refusal;
    HistoryEvents events;
    if (auto refusal = key.slot->target.Heartbeat(key.number, heartbeat, now, events)) return refusal;
    changed = !events.empty() || heartbeat.present_case() != agent::v1::Heartbeat::kSnapshotDigest;
    Record(std::move(events));
  }
  if (changed) {
    version_.fetch_add(1, std::memory_order_relaxed);
    history_->Flush();
  }
  return std::nullopt;
}

std::variant<BatchOrigin, Refusal> Fleet::AcceptBatch(const SessionKey& key, absl::Time now) const {
  MutexLock lock(&key.slot->mutex);
  if (auto refusal = Check(key.slot->target, key)) return *std::move(refusal);
  return BatchOrigin{.target_id = key.slot->target.id(),
                     .secret_generation = key.generation,
                     .run = key.slot->target.run(),
                     .arrived = now,
                     .skew = key.slot->target.ClockSkew()};
}

void Fleet::NoteBatch(const SessionKey& key, const BatchOutcome& outcome) {
  MutexLock lock(&key.slot->mutex);
  key.slot->target.NoteBatch(outcome);
}

void Fleet::CloseSession(const SessionKey& key, std::string reason, std::optional<absl::Time> expected_return,
                         const Moment& now) {
  {
    MutexLock lock(&key.slot->mutex);
    key.slot->target.CloseSession(key.number, std::move(reason), expected_return, now);
  }
  version_.fetch_add(1, std::memory_order_relaxed);
}

agent::v1::Settings Fleet::SettingsFor(const SessionKey& key) const {
  MutexLock lock(&key.slot->mutex);
  return key.slot->target.SettingsForAgent();
}

void Fleet::Add(StoredTarget target) {
  std::string id = target.id;
  {
    MutexLock lock(&mutex_);
    slots_.emplace(std::move(id), std::make_shared<Slot>(std::move(target)));
    all_.reset();
  }
  version_.fetch_add(1, std::memory_order_relaxed);
}

template <typename Change>
void Fleet::ChangeTarget(std::string_view id, Change change) {
  const std::shared_ptr<Slot> slot = FindSlot(id);
  if (slot == nullptr) return;
  {
    MutexLock lock(&slot->mutex);
    HistoryEvents events;
    change(slot->target, events);
    Record(std::move(events));
  }
  version_.fetch_add(1, std::memory_order_relaxed);
  history_->Flush();
}

void Fleet::Rotate(std::string_view id, const SecretHash& hash, std::int64_t generation, const Moment& now) {
  std::shared_ptr<SessionHandle> handle;
  ChangeTarget(id,
               [&](Target& target, HistoryEvents& events) { handle = target.Rotate(hash, generation, now, events); });
  if (handle != nullptr) {
    handle->End(RotatedRefusal());
  }
}

void Fleet::Delete(std::string_view id, const Moment& now) {
  std::shared_ptr<SessionHandle> handle;
  ChangeTarget(id, [&](Target& target, HistoryEvents& events) { handle = target.Delete(now, events); });
  if (handle != nullptr) {
    handle->End(DeletedRefusal());
  }
}

void Fleet::Update(std::string_view id, std::string name, bool metrics_enabled) {
  std::shared_ptr<SessionHandle> handle;
  agent::v1::Settings settings;
  ChangeTarget(id, [&](Target& target, HistoryEvents&) {
    handle = target.Update(std::move(name), metrics_enabled);
    settings = target.SettingsForAgent();
  });
  if (handle != nullptr) handle->PushSettings(settings);
}

void Fleet::SetChoices(std::string_view target_id, std::string_view deployment_id, DeploymentChoices choices,
                       const Moment& now) {
  std::shared_ptr<SessionHandle> handle;
  agent::v1::Settings settings;
  ChangeTarget(target_id, [&](Target& target, HistoryEvents& events) {
    handle = target.SetChoices(deployment_id, std::move(choices), now, events);
    settings = target.SettingsForAgent();
  });
  if (handle != nullptr) handle->PushSettings(settings);
}

void Fleet::Forget(std::string_view target_id, std::string_view deployment_id, const Moment& now) {
  ChangeTarget(target_id, [&](Target& target, HistoryEvents& events) { target.Forget(deployment_id, now, events); });
}

void Fleet::Tick(const Moment& now) {
  Listening listening;
  absl::Duration gap;
  {
    MutexLock lock(&mutex_);
    gap = now.monotonic - last_tick_.monotonic;
    if (gap > kPauseGap) {
      // Whom it had not heard of yet when it paused, it has not heard of since the deafness before.
      const bool heard_all = last_tick_.monotonic - listening_.since >= kStaleAfter;
      listening_ = {.since = now.monotonic, .deaf_from = heard_all ? last_tick_.wall : listening_.deaf_from};
    }
    last_tick_ = now;
    listening = listening_;
  }
  if (gap > kPauseGap) {
    log::Warning("the hub stood still for {}; nobody is called stale for that time", absl::FormatDuration(gap));
  }
  bool changed = false;
  const SlotList all = AllSlots();
  for (const std::shared_ptr<Slot>& slot : *all) {
    MutexLock lock(&slot->mutex);
    HistoryEvents events;
    slot->target.Tick(now, listening, events);
    changed = changed || !events.empty();
    Record(std::move(events));
  }
  if (changed) version_.fetch_add(1, std::memory_order_relaxed);
  history_->Flush();
}

std::optional<absl::Time> Fleet::GraceUntil(const Moment& now) const {
  MutexLock lock(&mutex_);
  const absl::Duration left = kStaleAfter - (now.monotonic - listening_.since);
  if (left <= absl::ZeroDuration()) return std::nullopt;
  return now.wall + left;
}

FleetSnapshot Fleet::Snapshot(absl::Time now) const {
  FleetSnapshot snapshot{.taken = now, .organization = organization_, .targets = {}};
  const SlotList all = AllSlots();
  for (const std::shared_ptr<Slot>& slot : *all) {
    MutexLock lock(&slot->mutex);
    if (!slot->target.deleted()) snapshot.targets.push_back(slot->target.Snapshot());
  }
  std::sort(snapshot.targets.begin(), snapshot.targets.end(),
            [](const TargetSnapshot& a, const TargetSnapshot& b) { return a.target.name() < b.target.name(); });
  return snapshot;
}

ExposedFleet Fleet::Expose(absl::Time now) const {
  // What is copied of a target lies in the first lines of its slot.
  constexpr std::size_t kPrefetchAhead = 6;
  constexpr std::size_t kLines = 5;
  constexpr std::size_t kLineBytes = 64;
  ExposedFleet exposed;
  exposed.taken = now;
  const SlotList all = AllSlots();
  exposed.targets.reserve(all->size());
  exposed.shown.reserve(all->size());
  exposed.live_hosts.reserve(all->size());
  for (std::size_t i = 0; i < all->size(); ++i) {
    if (i + kPrefetchAhead < all->size()) {
      const char* const next = reinterpret_cast<const char*>((*all)[i + kPrefetchAhead].get());
      for (std::size_t line = 0; line < kLines; ++line) __builtin_prefetch(next + line * kLineBytes);
    }
    Slot& slot = *(*all)[i];
    MutexLock lock(&slot.mutex);
    if (!slot.target.deleted()) slot.target.Expose(organization_label_, &exposed);
  }
  SpreadRows(&exposed);
  return exposed;
}

absl::StatusOr<TargetSnapshot> Fleet::FindTarget(std::string_view id_or_name, std::string_view customer) const {
  const SlotList all = AllSlots();
  for (const std::shared_ptr<Slot>& slot : *all) {
    MutexLock lock(&slot->mutex);
    if (!Visible(slot->target, customer)) continue;
    if (slot->target.id() == id_or_name || slot->target.name() == id_or_name) return slot->target.Snapshot();
  }
  return TargetNotFound(id_or_name);
}

absl::StatusOr<fleet::v1::Deployment> Fleet::FindDeployment(std::string_view reference,
                                                            std::string_view customer) const {
  std::vector<fleet::v1::Deployment> found;
  const SlotList all = AllSlots();
  for (const std::shared_ptr<Slot>& slot : *all) {
    MutexLock lock(&slot->mutex);
    if (!Visible(slot->target, customer)) continue;
    for (fleet::v1::Deployment& deployment : slot->target.Snapshot().deployments) {
      if (deployment.id() == reference) return deployment;
      if (Names(deployment, reference)) found.push_back(std::move(deployment));
    }
  }
  if (found.empty()) return DeploymentNotFound(reference);
  if (found.size() > 1) {
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "DEPLOYMENT_AMBIGUOUS",
        fmt::format("{} deployments are named \"{}\"; write TARGET/NAME or the id", found.size(), reference));
  }
  return found.front();
}

absl::StatusOr<DeploymentChoices> Fleet::ChoicesOf(std::string_view target_id, std::string_view deployment_id) const {
  const std::shared_ptr<Slot> slot = FindSlot(target_id);
  if (slot == nullptr) return TargetNotFound(target_id);
  MutexLock lock(&slot->mutex);
  const DeploymentChoices* choices = slot->target.ChoicesOf(deployment_id);
  if (choices == nullptr) return DeploymentNotFound(deployment_id);
  return *choices;
}

DeploymentNames Fleet::NamesOfDeployments(std::string_view target_id) const {
  const std::shared_ptr<Slot> slot = FindSlot(target_id);
  if (slot == nullptr) return {};
  MutexLock lock(&slot->mutex);
  return slot->target.NamesOfDeployments();
}

bool Fleet::MayForget(std::string_view target_id, std::string_view deployment_id) const {
  const std::shared_ptr<Slot> slot = FindSlot(target_id);
  if (slot == nullptr) return false;
  MutexLock lock(&slot->mutex);
  return slot->target.MayForget(deployment_id);
}

std::optional<HostPresent> Fleet::HostOf(std::string_view target_id) const {
  const std::shared_ptr<Slot> slot = FindSlot(target_id);
  if (slot == nullptr) return std::nullopt;
  MutexLock lock(&slot->mutex);
  return slot->target.Host();
}

absl::StatusOr<Fleet::NamedHost> Fleet::PresentHost(std::string_view id_or_name) const {
  std::shared_ptr<Slot> found = FindSlot(id_or_name);
  const SlotList all = found == nullptr ? AllSlots() : std::make_shared<std::vector<std::shared_ptr<Slot>>>(1, found);
  for (const std::shared_ptr<Slot>& slot : *all) {
    MutexLock lock(&slot->mutex);
    if (slot->target.deleted() || (slot != found && slot->target.name() != id_or_name)) continue;
    RETURN_IF_ERROR(slot->target.WhyNoHost());
    return NamedHost{.host = *slot->target.Host(), .machine = slot->target.machine()};
  }
  return TargetNotFound(id_or_name);
}

std::string TargetLabels(std::string_view organization, const Fleet::TargetName& target) {
  return fmt::format("{},{},{},{}", Label("organization", organization), Label("customerorganization", target.customer),
                     Label("deploymenttarget", target.name), Label("deploymenttargetid", target.id));
}

std::vector<Fleet::TargetName> Fleet::TargetNames() const {
  std::vector<TargetName> names;
  const SlotList all = AllSlots();
  for (const std::shared_ptr<Slot>& slot : *all) {
    MutexLock lock(&slot->mutex);
    if (!slot->target.deleted()) names.push_back(NameOfTarget(slot->target));
  }
  return names;
}

std::optional<Fleet::TargetName> Fleet::NameOf(std::string_view target_id) const {
  const std::shared_ptr<Slot> slot = FindSlot(target_id);
  if (slot == nullptr) return std::nullopt;
  MutexLock lock(&slot->mutex);
  if (slot->target.deleted()) return std::nullopt;
  return NameOfTarget(slot->target);
}

std::shared_ptr<Fleet::Slot> Fleet::FindSlot(std::string_view id) const {
  MutexLock lock(&mutex_);
  const auto it = slots_.find(std::string(id));
  return it == slots_.end() ? nullptr : it->second;
}

Fleet::SlotList Fleet::AllSlots() const {
  MutexLock lock(&mutex_);
  if (all_ != nullptr) return all_;
  std::vector<std::pair<std::string_view, std::shared_ptr<Slot>>> by_id(slots_.begin(), slots_.end());
  std::sort(by_id.begin(), by_id.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  auto all = std::make_shared<std::vector<std::shared_ptr<Slot>>>();
  all->reserve(by_id.size());
  for (auto& [id, slot] : by_id) all->push_back(std::move(slot));
  all_ = std::move(all);
  return all_;
}

void Fleet::Record(HistoryEvents events) {
  if (!events.empty()) history_->Append(std::move(events));
}

}  // namespace muster::hub
