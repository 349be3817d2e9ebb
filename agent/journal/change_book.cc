#include "agent/journal/change_book.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/time_format.h"

namespace muster::agent {
namespace {

// Removed deployments whose change_time is remembered.
constexpr std::size_t kMaxRemovedKnown = kMaxDeploymentsPerTarget;

bool Differs(const v1::DeploymentState& a, const v1::DeploymentState& b) {
  return a.status() != b.status() || a.application_version() != b.application_version() ||
         a.revision() != b.revision() || a.gone() != b.gone();
}

v1::Record TransitionOf(const v1::DeploymentState& state, bool is_removed) {
  v1::Record record;
  *record.mutable_observed_at() = state.change_time();
  v1::DeploymentTransition& transition = *record.mutable_transition();
  *transition.mutable_deployment() = state;
  transition.mutable_deployment()->clear_resources();
  transition.set_removed(is_removed);
  return record;
}

}  // namespace

std::vector<v1::Record> ChangeBook::Update(absl::Time now, Present* present) {
  std::vector<v1::Record> records;
  if (present->fault.has_value()) return records;
  std::set<std::string> listed;
  for (v1::DeploymentState& state : present->deployments) {
    listed.insert(state.key());
    if (UpdateOne(now, &state)) records.push_back(TransitionOf(state, false));
  }
  if (present->omitted > 0) return records;
  for (auto& [key, known] : known_) {
    if (known.is_removed || listed.contains(key)) continue;
    known.is_removed = true;
    known.change_time = std::max(ToMicros(now), known.change_time + absl::Microseconds(1));
    *known.state.mutable_change_time() = ToProto(known.change_time);
    records.push_back(TransitionOf(known.state, true));
  }
  ForgetRemoved();
  return records;
}

bool ChangeBook::UpdateOne(absl::Time now, v1::DeploymentState* state) {
  const auto [it, is_new] = known_.try_emplace(state->key());
  Known& known = it->second;
  const bool is_first = is_new || known.is_removed;
  const bool is_change = is_first || Differs(known.state, *state);
  if (is_change) {
    const bool has_status_time = state->has_status_time() && (is_first || known.state.status() != state->status());
    const absl::Time time = has_status_time ? std::min(FromProto(state->status_time()), now) : now;
    // Docker's times have nanoseconds; those of a history do not.
    known.change_time = is_new ? ToMicros(time) : std::max(ToMicros(time), known.change_time + absl::Microseconds(1));
    known.is_removed = false;
  }
  *state->mutable_change_time() = ToProto(known.change_time);
  known.state = *state;
  known.state.clear_resources();
  return is_change;
}

void ChangeBook::ForgetRemoved() {
  std::vector<std::pair<absl::Time, std::string>> removed;
  for (const auto& [key, known] : known_) {
    if (known.is_removed) removed.emplace_back(known.change_time, key);
  }
  if (removed.size() <= kMaxRemovedKnown) return;
  std::sort(removed.begin(), removed.end());
  removed.resize(removed.size() - kMaxRemovedKnown);
  for (const auto& [time, key] : removed) known_.erase(key);
}

}  // namespace muster::agent
