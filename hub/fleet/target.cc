#include "hub/fleet/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "common/text.h"
#include "common/time_format.h"
#include "common/version.h"
#include "hub/fleet/report_check.h"

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;

std::string Effective(const std::optional<std::string>& chosen, const std::string& reported) {
  return chosen.value_or(reported);
}

// In Hello's order, which is that of the runs; the last one is this run's.
std::vector<std::string> EpochsOf(const agent::v1::Hello& hello) {
  std::vector<std::string> epochs;
  for (const agent::v1::LanePosition& position : ListedPositions(hello)) {
    const bool is_new = epochs.empty() || epochs.back() != position.epoch();
    if (is_new && position.epoch() != hello.journal_epoch()) epochs.push_back(position.epoch());
  }
  epochs.push_back(hello.journal_epoch().size() <= kMaxEpochBytes ? hello.journal_epoch() : "");
  return epochs;
}

}  // namespace

Refusal RotatedRefusal() {
  return {agent::v1::FAREWELL_REASON_SECRET_ROTATED,
          "the target secret was replaced; run the connect command that \"muster target reconnect\" printed",
          {}};
}

Refusal DeletedRefusal() {
  return {agent::v1::FAREWELL_REASON_TARGET_DELETED, "the target was deleted; uninstall this agent", {}};
}

Target::Target(StoredTarget stored) : stored_(std::move(stored)) {
  deployments_stale_ = stored_.silence.has_value();
  if (stored_.silence) stale_reason_ = stored_.silence->reason;
  for (StoredDeployment& deployment : stored_.deployments) {
    deployments_.emplace(deployment.report.key(), std::move(deployment));
  }
  stored_.deployments.clear();
  NoteNumbers();
}

std::optional<Refusal> Target::CheckIdentity(const agent::v1::Hello& hello) const {
  const SecretHash presented = HashSecret(hello.target_secret());
  if (SameHash(presented, stored_.secret_hash)) {
    if (stored_.deleted) return DeletedRefusal();
    return std::nullopt;
  }
  const bool retired = std::any_of(stored_.retired_secrets.begin(), stored_.retired_secrets.end(),
                                   [&](const SecretHash& old) { return SameHash(presented, old); });
  if (retired) return stored_.deleted ? DeletedRefusal() : RotatedRefusal();
  return Refusal{agent::v1::FAREWELL_REASON_BAD_SECRET,
                 "the target secret is wrong; run the connect command again or \"muster target reconnect\"",
                 {}};
}

SessionOpening Target::PrepareOpening(const agent::v1::Hello& hello, absl::Time now) {
  SessionOpening opening{.target_id = stored_.id,
                         .secret_generation = stored_.secret_generation,
                         .session_counter = stored_.session_counter + 1,
                         .identity_warning = stored_.identity_warning,
                         .agent_version = CleanUtf8(hello.agent_version(), kMaxNameBytes),
                         .machine = CleanMachine(hello.machine()),
                         .epochs = EpochsOf(hello),
                         .at = now};
  if (hello.session_counter() < stored_.confirmed_counter) {
    opening.identity_warning = fmt::format(
        "at {} an agent on \"{}\" (machine {}, boot {}) came with session counter {} after {} was in use: a copied "
        "machine, or a disk rolled back. If two machines share this identity, give one its own target",
        FormatRfc3339(absl::FromUnixSeconds(absl::ToUnixSeconds(now))), opening.machine.hostname(),
        CleanUtf8(hello.machine_id(), 64), CleanUtf8(hello.boot_id(), 64), hello.session_counter(),
        stored_.confirmed_counter);
  }
  stored_.session_counter = opening.session_counter;
  return opening;
}

std::shared_ptr<SessionHandle> Target::OpenSession(LiveSession session, const SessionOpening& opening,
                                                   const Moment& now, HistoryEvents& events) {
  std::shared_ptr<SessionHandle> replaced = session_ ? session_->handle : nullptr;
  const std::string reason =
      fmt::format("agent {} on {} connected from {}", opening.agent_version, opening.machine.hostname(), session.peer);
  session_ = std::move(session);
  session_end_.reset();
  stored_.identity_warning = opening.identity_warning;
  stored_.agent_version = opening.agent_version;
  stored_.machine = opening.machine;
  shown_.reset();
  last_seen_ = now.monotonic;
  stored_.last_seen = now.wall;
  observer_fault_.clear();
  SetState(types::TARGET_STATE_CONNECTED, reason, now.wall, events);
  NoteNumbers();
  return replaced;
}

std::optional<Refusal> Target::CheckSession(std::int64_t session_number) const {
  if (stored_.deleted) return DeletedRefusal();
  if (session_ && session_->number == session_number) return std::nullopt;
  return Refusal{agent::v1::FAREWELL_REASON_SUPERSEDED, "a newer session of this target took over", {}};
}

std::optional<Refusal> Target::Heartbeat(std::int64_t session_number, const agent::v1::Heartbeat& heartbeat,
                                         const Moment& now, HistoryEvents& events) {
  if (auto refusal = CheckSession(session_number)) return refusal;
  const auto protocol_error = [](std::string message) {
    return Refusal{agent::v1::FAREWELL_REASON_PROTOCOL_ERROR, std::move(message), {}};
  };
  if (heartbeat.present_case() == agent::v1::Heartbeat::kSnapshot) {
    if (std::string defect = FindDefect(heartbeat.snapshot()); !defect.empty()) return protocol_error(defect);
  }
  if (heartbeat.present_case() == agent::v1::Heartbeat::kSnapshotDigest &&
      session_->digest != heartbeat.snapshot_digest()) {
    return protocol_error("the heartbeat names a snapshot that this session has not sent");
  }
  if (heartbeat.present_case() == agent::v1::Heartbeat::PRESENT_NOT_SET) {
    return protocol_error("the heartbeat says nothing about deployments");
  }

  last_seen_ = now.monotonic;
  stored_.last_seen = now.wall;
  if (++session_->heartbeats == 1) {
    // Only now is the agent known to have stored the counter that Welcome carried.
    stored_.confirmed_counter = session_->counter;
    events.push_back(CounterConfirmed{stored_.id, session_->counter});
  }
  if (heartbeat.has_round_trip()) session_->round_trip = FromProto(heartbeat.round_trip());
  if (heartbeat.has_clock_skew()) session_->clock_skew = FromProto(heartbeat.clock_skew());
  if (heartbeat.has_journal()) journal_.depth = CleanJournal(heartbeat.journal());
  // What was under way when metrics were switched off is too late.
  if (heartbeat.has_host() && stored_.metrics_enabled) {
    host_ = std::make_shared<const LiveHost>(ReadHost(heartbeat.host(), now));
    DropOldHost(now.monotonic);
  }
  if (state() != types::TARGET_STATE_CONNECTED) {
    SetState(types::TARGET_STATE_CONNECTED, "heartbeats again", now.wall, events);
  }
  switch (heartbeat.present_case()) {
    case agent::v1::Heartbeat::kSnapshot:
      ApplySnapshot(heartbeat.snapshot(), now, events);
      break;
    case agent::v1::Heartbeat::kObserverFault:
      session_->digest.reset();
      observer_fault_ = CleanUtf8(heartbeat.observer_fault().message(), kMaxMessageBytes);
      break;
    default:
      ConfirmDeployments(now, events);
  }
  session_->last_heartbeat = now.wall;
  NoteNumbers();
  return std::nullopt;
}

absl::Duration Target::ClockSkew() const {
  if (!session_) return absl::ZeroDuration();
  return session_->clock_skew.value_or(session_->hello_skew);
}

void Target::NoteBatch(const BatchOutcome& outcome) {
  journal_.gap_records += outcome.gaps;
  journal_.duplicate_records += outcome.duplicates;
  if (outcome.newest) journal_.newest = outcome.newest;
  NoteNumbers();
}

void Target::CloseSession(std::int64_t session_number, std::string reason, std::optional<absl::Time> expected_return,
                          const Moment& now) {
  if (!session_ || session_->number != session_number) return;
  session_.reset();
  session_end_.emplace();
  *session_end_->mutable_end_time() = ToProto(now.wall);
  session_end_->set_reason(std::move(reason));
  if (expected_return) *session_end_->mutable_expected_return() = ToProto(*expected_return);
  NoteNumbers();
}

agent::v1::Settings Target::SettingsForAgent() const {
  agent::v1::Settings settings;
  *settings.mutable_heartbeat_interval() = ToProto(absl::Seconds(5));
  *settings.mutable_relist_interval() = ToProto(absl::Seconds(60));
  settings.set_metrics_enabled(stored_.metrics_enabled);
  for (const auto& [key, deployment] : deployments_) {
    if (!deployment.choices.logs_enabled) settings.add_logs_disabled_keys(key);
  }
  for (const std::string& key : stored_.archived_logs_off) settings.add_logs_disabled_keys(key);
  return settings;
}

void Target::Tick(const Moment& now, const Listening& listening, HistoryEvents& events) {
  if (stored_.deleted) return;
  const auto silent = [&](const std::optional<Instant>& heard) {
    return now.monotonic - std::max(heard.value_or(listening.since), listening.since) >= kStaleAfter;
  };
  if (state() == types::TARGET_STATE_CONNECTED && silent(last_seen_)) {
    const std::string why = session_end_ ? fmt::format("; session closed: {}", session_end_->reason()) : "";
    SetState(types::TARGET_STATE_STALE, "no heartbeat for 60 s" + why, now.wall, events, UnknownFrom(listening));
  }
  if (!deployments_.empty() && !deployments_stale_ && silent(deployments_confirmed_)) {
    MarkDeploymentsStale(now.wall, events);
  }
  if (now.monotonic < house_due_) return;
  house_due_ = now.monotonic + kHouseInterval;
  DropOldHost(now.monotonic);
  ArchiveOldGone(now.wall, events);
}

void Target::DropOldHost(Instant now) {
  if (host_ != nullptr && now - host_->taken >= kHostPresentFor) host_.reset();
}

std::optional<absl::Time> Target::UnknownFrom(const Listening& listening) const {
  if (!last_seen_) return listening.deaf_from;
  if (*last_seen_ >= listening.since) return std::nullopt;
  return std::max(listening.deaf_from, stored_.last_seen.value_or(listening.deaf_from));
}

std::shared_ptr<SessionHandle> Target::Rotate(const SecretHash& hash, std::int64_t generation, const Moment& now,
                                              HistoryEvents& events) {
  const bool newest = generation > stored_.secret_generation;
  // Two rotations at once may arrive here in either order: the later generation wins, the other is retired at once.
  stored_.retired_secrets.insert(stored_.retired_secrets.begin(), newest ? stored_.secret_hash : hash);
  if (stored_.retired_secrets.size() > kKeptRetiredSecrets) stored_.retired_secrets.resize(kKeptRetiredSecrets);
  if (!newest) return nullptr;
  stored_.secret_hash = hash;
  stored_.secret_generation = generation;
  stored_.session_counter = 0;
  stored_.confirmed_counter = 0;
  stored_.identity_warning.clear();
  std::shared_ptr<SessionHandle> handle = session_ ? session_->handle : nullptr;
  if (session_) CloseSession(session_->number, "SECRET_ROTATED", {}, now);
  if (state() != types::TARGET_STATE_NOT_CONNECTED) {
    SetState(types::TARGET_STATE_NOT_CONNECTED, "the target secret was rotated", now.wall, events);
  }
  NoteNumbers();
  return handle;
}

std::shared_ptr<SessionHandle> Target::Delete(const Moment& now, HistoryEvents& events) {
  stored_.deleted = true;
  std::shared_ptr<SessionHandle> handle = session_ ? session_->handle : nullptr;
  session_.reset();
  deployments_.clear();
  host_.reset();
  shown_.reset();
  events.push_back(TargetRemoved{stored_.id, now.wall});
  return handle;
}

std::shared_ptr<SessionHandle> Target::Update(std::string name, bool metrics_enabled) {
  stored_.name = std::move(name);
  stored_.metrics_enabled = metrics_enabled;
  shown_.reset();
  if (!metrics_enabled) host_.reset();
  return session_ ? session_->handle : nullptr;
}

std::shared_ptr<SessionHandle> Target::SetChoices(std::string_view deployment_id, DeploymentChoices choices,
                                                  const Moment& now, HistoryEvents& events) {
  StoredDeployment* deployment = FindById(deployment_id);
  if (deployment == nullptr) return nullptr;
  deployment->choices = std::move(choices);
  Refresh(*deployment, {.at = now.wall}, now.wall, events);
  return session_ ? session_->handle : nullptr;
}

bool Target::MayForget(std::string_view deployment_id) const {
  const auto it = std::find_if(deployments_.begin(), deployments_.end(),
                               [&](const auto& entry) { return entry.second.id == deployment_id; });
  return it != deployments_.end() && (it->second.gone_since || !session_);
}

void Target::Forget(std::string_view deployment_id, const Moment& now, HistoryEvents& events) {
  StoredDeployment* deployment = FindById(deployment_id);
  if (deployment != nullptr) Archive(deployments_.find(deployment->report.key()), now.wall, events);
}

void Target::SetState(types::TargetState state, std::string reason, absl::Time at, HistoryEvents& events,
                      std::optional<absl::Time> unknown_from) {
  const bool changed = stored_.open.state != state;
  if (!changed) return;
  stored_.open = {.state = state, .from = at, .to = {}, .reason = reason};
  events.push_back(TargetTransition{.target_id = stored_.id,
                                    .state = state,
                                    .at = at,
                                    .reason = std::move(reason),
                                    .last_seen = stored_.last_seen,
                                    .unknown_from = unknown_from});
  NoteNumbers();
}

void Target::ApplySnapshot(const agent::v1::DeploymentSnapshot& snapshot, const Moment& now, HistoryEvents& events) {
  session_->digest = snapshot.digest();
  omitted_ = snapshot.omitted();
  std::set<std::string, std::less<>> listed;
  for (const agent::v1::DeploymentState& report : snapshot.deployments()) {
    listed.insert(report.key());
    ApplyReport(report, now.wall, events);
  }
  // Deployments that the agent could not list are neither gone nor ended.
  if (snapshot.omitted() == 0) SettleUnlisted(listed, now.wall, events);
  session_->listed = std::move(listed);
  ConfirmDeployments(now, events);
}

void Target::ApplyReport(const agent::v1::DeploymentState& raw, absl::Time now, HistoryEvents& events) {
  // What an operator removed, or what was archived, does not return as gone.
  if (raw.gone() && !deployments_.contains(raw.key())) return;
  agent::v1::DeploymentState report = CleanReport(raw);
  auto [it, created] = deployments_.try_emplace(report.key());
  StoredDeployment& deployment = it->second;
  const Change change = ChangeOf(report, deployment.report, now);
  if (created) {
    deployment.id = DerivedId("dep_", stored_.id, report.key());
    deployment.created = now;
    deployment.choices.logs_enabled = std::erase(stored_.archived_logs_off, report.key()) == 0;
  }
  if (created || deployment.report.revision() != report.revision()) deployment.revision_since = change.at;
  const bool gone = report.gone();
  deployment.report = std::move(report);
  if (gone) return MarkGone(deployment, change, now, events);
  deployment.gone_since.reset();
  Refresh(deployment, change, now, events);
}

Target::Change Target::ChangeOf(const agent::v1::DeploymentState& report, const agent::v1::DeploymentState& before,
                                absl::Time now) const {
  if (!report.has_change_time()) return {.at = now};
  const absl::Time told = FromProto(report.change_time());
  const absl::Time earliest = std::max(stored_.created, session_->last_heartbeat.value_or(stored_.created));
  const absl::Time at = std::min(std::max(told - ClockSkew(), earliest), now);
  return {
      // As it is stored, so that a restart does not change it.
      .at = ToMicros(at),
      .name = ChangeName{.run = session_->run, .time = told},
      .renamed = !before.has_change_time() || FromProto(before.change_time()) != told,
  };
}

void Target::MarkGone(StoredDeployment& deployment, const Change& change, absl::Time now, HistoryEvents& events) {
  if (!deployment.gone_since) deployment.gone_since = now;
  deployment.report.set_status(types::DEPLOYMENT_STATUS_ERROR);
  deployment.report.set_message(kGoneMessage);
  deployment.report.set_gone(true);
  deployment.report.clear_resources();
  Refresh(deployment, change, now, events);
}

void Target::SettleUnlisted(const std::set<std::string, std::less<>>& listed, absl::Time at, HistoryEvents& events) {
  for (auto it = deployments_.begin(); it != deployments_.end();) {
    StoredDeployment& deployment = it->second;
    if (deployment.gone_since || listed.contains(it->first)) {
      ++it;
    } else if (session_->listed.contains(it->first)) {
      it = Archive(it, at, events);
    } else {
      MarkGone(deployment, {.at = at}, at, events);
      ++it;
    }
  }
}

void Target::ConfirmDeployments(const Moment& now, HistoryEvents& events) {
  observer_fault_.clear();
  deployments_confirmed_ = now.monotonic;
  deployments_confirmed_wall_ = now.wall;
  if (!deployments_stale_) return;
  deployments_stale_ = false;
  for (auto& [key, deployment] : deployments_) ShowStatus(deployment, now.wall, now.wall);
  events.push_back(SilenceEnded{stored_.id, now.wall});
}

void Target::MarkDeploymentsStale(absl::Time at, HistoryEvents& events) {
  deployments_stale_ = true;
  stale_reason_ =
      observer_fault_.empty() ? "not reported for 60 s" : fmt::format("not reported for 60 s: {}", observer_fault_);
  for (auto& [key, deployment] : deployments_) ShowStatus(deployment, at, at);
  events.push_back(SilenceBegan{stored_.id, {.from = at, .reason = stale_reason_}});
}

void Target::ArchiveOldGone(absl::Time now, HistoryEvents& events) {
  std::vector<const StoredDeployment*> gone;
  for (const auto& [key, deployment] : deployments_) {
    if (deployment.gone_since) gone.push_back(&deployment);
  }
  std::sort(gone.begin(), gone.end(), [](const auto* a, const auto* b) { return a->gone_since < b->gone_since; });
  for (const StoredDeployment* deployment : gone) {
    const bool expired = now - *deployment->gone_since >= kArchiveGoneAfter;
    if (!expired && deployments_.size() <= kMaxKnownDeployments) return;
    Archive(deployments_.find(deployment->report.key()), now, events);
  }
}

Target::Deployments::iterator Target::Archive(Deployments::iterator deployment, absl::Time at, HistoryEvents& events) {
  events.push_back(DeploymentArchived{deployment->second.id, at});
  std::vector<std::string>& off = stored_.archived_logs_off;
  if (!deployment->second.choices.logs_enabled) off.insert(off.begin(), deployment->first);
  if (off.size() > kMaxArchivedLogsOff) off.resize(kMaxArchivedLogsOff);
  shown_.reset();
  return deployments_.erase(deployment);
}

void Target::ShowStatus(StoredDeployment& deployment, absl::Time changed, absl::Time now) {
  DeploymentInterval& open = deployment.open;
  DeploymentInterval wanted{
      .status = deployments_stale_ ? types::DEPLOYMENT_STATUS_STALE : deployment.report.status(),
      .from = open.from,
      .to = {},
      .message = deployments_stale_ ? stale_reason_ : deployment.report.message(),
      .application_version = Effective(deployment.choices.application_version, deployment.report.application_version()),
      .revision = deployment.report.revision()};
  const bool same = open.status == wanted.status && open.application_version == wanted.application_version &&
                    open.revision == wanted.revision;
  // What was stale is shown from the moment at which it is heard of again, whenever it changed.
  if (!same) wanted.from = open.status == types::DEPLOYMENT_STATUS_STALE ? now : changed;
  open = std::move(wanted);
  // Everybody who changes a deployment comes by here.
  shown_.reset();
}

void Target::Refresh(StoredDeployment& deployment, const Change& change, absl::Time now, HistoryEvents& events) {
  ShowStatus(deployment, change.at, now);
  DeploymentFact fact{.status = deployment.report.status(),
                      .message = deployment.report.message(),
                      .application_version = deployment.open.application_version,
                      .revision = deployment.report.revision()};
  DeploymentFact& recorded = deployment.recorded;
  const bool changed = recorded.status != fact.status || recorded.application_version != fact.application_version ||
                       recorded.revision != fact.revision || change.renamed;
  if (!changed && recorded.message == fact.message) return;
  recorded = std::move(fact);
  DeploymentTransition transition{.target_id = stored_.id, .deployment = deployment};
  if (changed) transition.change = RecordedChange{.at = change.at, .name = change.name, .fact = recorded};
  events.push_back(std::move(transition));
}

StoredDeployment* Target::FindById(std::string_view deployment_id) {
  for (auto& [key, deployment] : deployments_) {
    if (deployment.id == deployment_id) return &deployment;
  }
  return nullptr;
}

const DeploymentChoices* Target::ChoicesOf(std::string_view deployment_id) const {
  for (const auto& [key, deployment] : deployments_) {
    if (deployment.id == deployment_id) return &deployment.choices;
  }
  return nullptr;
}

}  // namespace muster::hub
