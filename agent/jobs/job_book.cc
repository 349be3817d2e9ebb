#include "agent/jobs/job_book.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

double Sum(double a, double b) {
  constexpr double kMost = std::numeric_limits<double>::max();
  return std::clamp(a + b, -kMost, kMost);
}

}  // namespace

std::string KeyOf(const PushSample& sample) {
  std::string key = sample.name;
  key.push_back('\0');
  // No byte of UTF-8 is 0xFF.
  for (const auto& [name, value] : sample.labels) key.append(name).append("\xFF").append(value).append("\xFF");
  return key;
}

std::string KeyOf(const std::string& family, const v1::JobSeries& series) {
  std::string key = family;
  key.push_back('\0');
  for (const v1::JobLabel& label : series.labels())
    key.append(label.name()).append("\xFF").append(label.value()).append("\xFF");
  return key;
}

int CostOf(const v1::JobFamily& family) {
  return family.type() == v1::JOB_METRIC_TYPE_HISTOGRAM ? family.buckets_size() + 1 : 1;
}

bool HasFamily(const JobGroupState& group, const std::string& name) {
  const auto found = group.series.lower_bound(name + std::string(1, '\0'));
  return found != group.series.end() && found->second.family->body.name() == name;
}

PushIdDigest DigestOf(const std::string& group, const std::string& id) {
  const std::string text = group + std::string(1, '\0') + id;
  PushIdDigest digest{};
  crypto_generichash(reinterpret_cast<unsigned char*>(digest.data()), digest.size(),
                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), nullptr, 0);
  return digest;
}

const JobFamilyState* JobBook::FindFamily(const std::string& name) const {
  const auto found = families_.find(name);
  return found == families_.end() ? nullptr : found->second.get();
}

const JobGroupState* JobBook::FindGroup(const std::string& name) const {
  const auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : &found->second;
}

absl::StatusOr<JobBook::Outcome> JobBook::Apply(const Push& push, Instant now) {
  if (push.is_deletion) {
    Delete(push.group, now);
    return Outcome::kCounted;
  }
  std::optional<PushIdDigest> digest;
  if (!push.id.empty()) {
    digest = DigestOf(push.group, push.id);
    if (known_ids_.contains(*digest)) return Outcome::kKnown;
  }
  Plan plan;
  if (absl::Status checked = Check(push, now, &plan); !checked.ok()) {
    NoteRefusal(push.group);
    return checked;
  }
  Declare(push, plan);
  JobGroupState* const group = Group(push.group, now);
  group->last_push = now;
  if (push.time_to_live.has_value()) group->time_to_live = push.time_to_live;
  if (push.period.has_value()) group->period = push.period;
  if (push.result == RunResult::kSuccess) {
    group->last_success = now;
    ++group->successes;
  } else if (push.result == RunResult::kFailure) {
    group->last_failure = now;
    ++group->failures;
  }
  for (const PushSample& sample : push.samples) Count(group, sample);
  MarkChanged(group);
  if (digest.has_value()) {
    known_ids_.insert(*digest);
    new_ids_.digests.push_back(*digest);
    new_ids_.taken = now;
  }
  return Outcome::kCounted;
}

int JobBook::Groups(Instant now) const {
  return static_cast<int>(
      std::count_if(groups_.begin(), groups_.end(), [now](const auto& group) { return !group.second.HasEnded(now); }));
}

int JobBook::Series(Instant now) const {
  int cost = 0;
  for (const auto& [name, group] : groups_) {
    if (group.HasEnded(now)) continue;
    for (const auto& [key, series] : group.series) cost += CostOf(series.family->body);
  }
  return cost;
}

void JobBook::Declare(const Push& push, const Plan& plan) {
  for (const auto& [name, family] : plan.families) {
    auto made = std::make_unique<JobFamilyState>();
    made->row = next_family_row_++;
    made->body = family;
    changed_families_.insert(made.get());
    families_[name] = std::move(made);
  }
  for (const PushDeclaration& declaration : push.declarations) {
    JobFamilyState* const family = families_.at(declaration.name).get();
    const v1::JobFamily before = family->body;
    if (declaration.unit.has_value()) family->body.set_unit(*declaration.unit);
    if (declaration.help.has_value()) family->body.set_help(*declaration.help);
    if (before.unit() == family->body.unit() && before.help() == family->body.help()) continue;
    changed_families_.insert(family);
    for (auto& [name, group] : groups_) {
      if (HasFamily(group, declaration.name)) MarkChanged(&group);
    }
  }
}

JobGroupState* JobBook::Group(const std::string& name, Instant now) {
  const auto [found, is_new] = groups_.try_emplace(name);
  JobGroupState& group = found->second;
  if (is_new) {
    group.name = name;
    group.row = next_group_row_++;
  }
  if (is_new || group.is_deleted) group.first_push = now;
  group.is_deleted = false;
  return &group;
}

void JobBook::Count(JobGroupState* group, const PushSample& sample) {
  const auto [found, is_new] = group->series.try_emplace(KeyOf(sample));
  JobSeriesState& series = found->second;
  if (is_new) {
    series.row = next_series_row_++;
    series.family = families_.at(sample.name).get();
    ++series.family->uses;
    for (const auto& [name, value] : sample.labels) {
      v1::JobLabel& label = *series.body.add_labels();
      label.set_name(name);
      label.set_value(value);
    }
    if (sample.type == v1::JOB_METRIC_TYPE_HISTOGRAM) {
      series.body.mutable_bucket_counts()->Resize(series.family->body.buckets_size() + 1, 0);
    }
  }
  switch (sample.type) {
    case v1::JOB_METRIC_TYPE_COUNTER:
      series.body.set_value(Sum(series.body.value(), sample.numbers[0]));
      break;
    case v1::JOB_METRIC_TYPE_GAUGE:
      series.body.set_value(sample.numbers[0]);
      break;
    default: {
      const auto& bounds = series.family->body.buckets();
      for (const double number : sample.numbers) {
        const auto bucket = static_cast<int>(std::lower_bound(bounds.begin(), bounds.end(), number) - bounds.begin());
        series.body.set_bucket_counts(bucket, series.body.bucket_counts(bucket) + 1);
        series.body.set_sum(Sum(series.body.sum(), number));
      }
    }
  }
  if (!series.is_changed) group->changed_series.push_back(&series);
  series.is_changed = true;
}

void JobBook::NoteRefusal(const std::string& name) {
  const auto found = groups_.find(name);
  if (found == groups_.end() || found->second.is_deleted) return;
  ++found->second.refused;
  MarkChanged(&found->second);
}

void JobBook::DropSeries(JobGroupState* group) {
  for (const auto& [key, series] : group->series) {
    JobFamilyState* const family = series.family;
    if (--family->uses > 0) continue;
    removed_families_.push_back(family->row);
    changed_families_.erase(family);
    // The name goes with it.
    const std::string name = family->body.name();
    families_.erase(name);
  }
  group->series.clear();
  group->changed_series.clear();
  group->is_cleared = true;
}

void JobBook::Delete(const std::string& name, Instant now) {
  const auto found = groups_.find(name);
  if (found == groups_.end() || found->second.is_deleted) return;
  JobGroupState& group = found->second;
  DropSeries(&group);
  JobGroupState empty;
  empty.row = group.row;
  empty.name = name;
  empty.version = group.version;
  empty.is_deleted = true;
  empty.first_push = empty.last_push = now;
  empty.is_changed = group.is_changed;
  empty.is_cleared = true;
  group = std::move(empty);
  MarkChanged(&group);
}

void JobBook::Expire(Instant now) {
  while (!ids_.empty() &&
         (now - ids_.front().taken > kPushIdAge || ids_count_ - ids_.front().digests.size() >= kMaxPushIds)) {
    for (const PushIdDigest& digest : ids_.front().digests) known_ids_.erase(digest);
    ids_count_ -= ids_.front().digests.size();
    ids_.pop_front();
  }
  std::vector<JobGroupState*> ended;
  std::size_t series = 0;
  for (auto& [name, group] : groups_) {
    if (!group.HasEnded(now)) continue;
    ended.push_back(&group);
    series += group.series.size();
  }
  std::sort(ended.begin(), ended.end(), [](const auto* a, const auto* b) { return a->last_push < b->last_push; });
  std::size_t left = ended.size();
  for (JobGroupState* group : ended) {
    if (left <= kMaxTombstones && series <= kMaxTombstoneSeries && now - group->last_push <= kTombstoneAge) break;
    --left;
    series -= group->series.size();
    if (!group->is_deleted) {
      // The hub is told; the mark goes as the oldest of all a year later, or with the next that are too many.
      const Instant ended_at = group->last_push;
      Delete(group->name, ended_at);
      if (now - ended_at <= kTombstoneAge) continue;
      group->last_push = now;
      continue;
    }
    removed_groups_.push_back(group->row);
    std::erase(changed_groups_, group);
    groups_.erase(std::string(group->name));
  }
}

void JobBook::MarkChanged(JobGroupState* group) {
  if (group->is_changed) return;
  group->is_changed = true;
  group->is_published = false;
  changed_groups_.push_back(group);
}

void JobBook::NumberChanges() {
  for (JobGroupState* group : changed_groups_) group->version = ++version_;
}

void JobBook::ChangesAreKept() {
  for (JobGroupState* group : changed_groups_) {
    group->is_changed = false;
    group->is_cleared = false;
    for (JobSeriesState* series : group->changed_series) series->is_changed = false;
    group->changed_series.clear();
  }
  changed_groups_.clear();
  removed_groups_.clear();
  changed_families_.clear();
  removed_families_.clear();
  if (new_ids_.digests.empty()) return;
  const std::int64_t row = new_ids_.row;
  ids_count_ += new_ids_.digests.size();
  ids_.push_back(std::exchange(new_ids_, PushIdBatch()));
  new_ids_.row = row + 1;
}

void JobBook::AddIds(PushIdBatch batch) {
  known_ids_.insert(batch.digests.begin(), batch.digests.end());
  ids_count_ += batch.digests.size();
  new_ids_.row = batch.row + 1;
  ids_.push_back(std::move(batch));
}

void JobBook::SetNextRows(std::int64_t group, std::int64_t family, std::int64_t series) {
  next_group_row_ = group;
  next_family_row_ = family;
  next_series_row_ = series;
}

v1::JobGroup ToProto(const JobGroupState& group) {
  v1::JobGroup told;
  told.set_name(group.name);
  told.set_version(group.version);
  told.set_is_deleted(group.is_deleted);
  if (group.is_deleted) return told;
  told.set_successes(group.successes);
  told.set_failures(group.failures);
  if (group.period.has_value()) *told.mutable_period() = muster::ToProto(*group.period);
  if (group.time_to_live.has_value()) *told.mutable_time_to_live() = muster::ToProto(*group.time_to_live);
  told.set_refused_pushes(group.refused);
  const JobFamilyState* last = nullptr;
  for (const auto& [key, series] : group.series) {
    if (series.family != last) *told.add_families() = series.family->body;
    last = series.family;
    *told.mutable_families(told.families_size() - 1)->add_series() = series.body;
  }
  return told;
}

}  // namespace muster::agent
