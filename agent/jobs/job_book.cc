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

// Prometheus' own.
constexpr double kDefaultBuckets[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
constexpr std::string_view kHistogramSuffixes[] = {"_bucket", "_sum", "_count"};

absl::Status Clash(std::string_view reason, std::string_view sentence) {
  return MakeError(absl::StatusCode::kFailedPrecondition, reason, sentence);
}

std::string_view TypeName(v1::JobMetricType type) {
  switch (type) {
    case v1::JOB_METRIC_TYPE_COUNTER:
      return "counter";
    case v1::JOB_METRIC_TYPE_GAUGE:
      return "gauge";
    default:
      return "histogram";
  }
}

std::string KeyOf(const PushSample& sample) {
  std::string key = sample.name;
  key.push_back('\0');
  // No byte of UTF-8 is 0xFF.
  for (const auto& [name, value] : sample.labels) key.append(name).append("\xFF").append(value).append("\xFF");
  return key;
}

}  // namespace

std::string KeyOf(const std::string& family, const v1::JobSeries& series) {
  std::string key = family;
  key.push_back('\0');
  for (const v1::JobLabel& label : series.labels())
    key.append(label.name()).append("\xFF").append(label.value()).append("\xFF");
  return key;
}

namespace {

// In a report, at most: tags and lengths are below 8 bytes, a count below 10.
std::size_t BytesOf(const v1::JobFamily& family) {
  return 32 + family.name().size() + family.help().size() + family.unit().size() +
         sizeof(double) * static_cast<std::size_t>(family.buckets_size());
}

std::size_t BytesOfSeries(std::size_t label_bytes, int buckets) {
  return 40 + label_bytes + 10 * static_cast<std::size_t>(buckets);
}

std::size_t LabelBytes(const PushSample& sample) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : sample.labels) bytes += 12 + name.size() + value.size();
  return bytes;
}

int CostOf(const v1::JobFamily& family) {
  return family.type() == v1::JOB_METRIC_TYPE_HISTOGRAM ? family.buckets_size() + 1 : 1;
}

std::size_t BytesOf(const JobGroupState& group) {
  std::size_t bytes = 160 + group.name.size();
  const JobFamilyState* last = nullptr;
  for (const auto& [key, series] : group.series) {
    if (series.family != last) bytes += BytesOf(series.family->body);
    last = series.family;
    std::size_t label_bytes = 0;
    for (const v1::JobLabel& label : series.body.labels())
      label_bytes += 12 + label.name().size() + label.value().size();
    bytes += BytesOfSeries(label_bytes, series.body.bucket_counts_size());
  }
  return bytes;
}

bool HasFamily(const JobGroupState& group, const std::string& name) {
  const auto found = group.series.lower_bound(name + std::string(1, '\0'));
  return found != group.series.end() && found->second.family->body.name() == name;
}

std::string BoundsText(const google::protobuf::RepeatedField<double>& bounds) {
  return fmt::format("{}", fmt::join(bounds.begin(), bounds.end(), ","));
}

double Sum(double a, double b) {
  constexpr double kMost = std::numeric_limits<double>::max();
  return std::clamp(a + b, -kMost, kMost);
}

}  // namespace

PushIdDigest DigestOf(const std::string& group, const std::string& id) {
  const std::string text = group + std::string(1, '\0') + id;
  PushIdDigest digest{};
  crypto_generichash(reinterpret_cast<unsigned char*>(digest.data()), digest.size(),
                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), nullptr, 0);
  return digest;
}

// What a push brings with it that is not there yet.
struct JobBook::Plan {
  std::map<std::string, v1::JobFamily> families;
  std::set<std::string> keys;
  // Of the new series, with their families where the group does not have them.
  int cost = 0;
  std::size_t bytes = 0;
  std::set<std::string> group_families;
};

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

absl::Status JobBook::Check(const Push& push, Instant now, Plan* plan) const {
  // Bounds first: they say what a histogram of this push is.
  for (const PushDeclaration& declaration : push.declarations) {
    if (!declaration.buckets.empty()) RETURN_IF_ERROR(CheckDeclaration(declaration, plan));
  }
  const JobGroupState* const group = FindGroup(push.group);
  for (const PushSample& sample : push.samples) {
    RETURN_IF_ERROR(CheckFamily(sample, plan));
    std::string key = KeyOf(sample);
    if (group != nullptr && group->series.contains(key)) continue;
    if (!plan->keys.insert(std::move(key)).second) continue;
    const JobFamilyState* const known = FindFamily(sample.name);
    const v1::JobFamily& family = known != nullptr ? known->body : plan->families.at(sample.name);
    plan->cost += CostOf(family);
    plan->bytes += BytesOfSeries(LabelBytes(sample), CostOf(family));
    const bool is_new_here = (group == nullptr || !HasFamily(*group, sample.name));
    if (is_new_here && plan->group_families.insert(sample.name).second) plan->bytes += BytesOf(family);
  }
  for (const auto& [name, family] : plan->families) {
    if (!plan->group_families.contains(name)) {
      return Clash("BAD_PUSH", fmt::format("buckets for {}, and no observation of it in this push", name));
    }
  }
  for (const PushDeclaration& declaration : push.declarations) {
    if (declaration.buckets.empty()) RETURN_IF_ERROR(CheckDeclaration(declaration, plan));
  }
  return CheckLimits(group, now, *plan);
}

absl::Status JobBook::CheckDeclaration(const PushDeclaration& declaration, Plan* plan) const {
  const std::string& name = declaration.name;
  const JobFamilyState* const known = FindFamily(name);
  const auto planned = plan->families.find(name);
  const v1::JobFamily* family = known != nullptr                  ? &known->body
                                : planned != plan->families.end() ? &planned->second
                                                                  : nullptr;
  if (!declaration.buckets.empty()) {
    const google::protobuf::RepeatedField<double> wanted(declaration.buckets.begin(), declaration.buckets.end());
    if (family == nullptr) {
      v1::JobFamily& made = plan->families[name];
      made.set_name(name);
      made.set_type(v1::JOB_METRIC_TYPE_HISTOGRAM);
      *made.mutable_buckets() = wanted;
      return absl::OkStatus();
    }
    if (family->type() != v1::JOB_METRIC_TYPE_HISTOGRAM) {
      return Clash("TYPE_CLASH", fmt::format("{} is a {} on this host, and only a histogram has buckets", name,
                                             TypeName(family->type())));
    }
    if (std::equal(wanted.begin(), wanted.end(), family->buckets().begin(), family->buckets().end()))
      return absl::OkStatus();
    return Clash("BUCKETS_CLASH", fmt::format("{} has the buckets {} on this host, not {}", name,
                                              BoundsText(family->buckets()), BoundsText(wanted)));
  }
  if (family == nullptr) {
    return Clash("BAD_PUSH", fmt::format("{} of {}, which has no series on this host or in this push",
                                         declaration.unit.has_value() ? "the unit" : "the help", name));
  }
  if (!declaration.unit.has_value()) return absl::OkStatus();
  if (!family->unit().empty() && family->unit() != *declaration.unit) {
    return Clash("UNIT_CLASH",
                 fmt::format("{} has the unit {} on this host, not {}", name, family->unit(), *declaration.unit));
  }
  return absl::OkStatus();
}

absl::Status JobBook::CheckFamily(const PushSample& sample, Plan* plan) const {
  const std::string& name = sample.name;
  const JobFamilyState* const known = FindFamily(name);
  const auto planned = plan->families.find(name);
  const v1::JobFamily* family = known != nullptr                  ? &known->body
                                : planned != plan->families.end() ? &planned->second
                                                                  : nullptr;
  if (family != nullptr) {
    if (family->type() == sample.type) return absl::OkStatus();
    return Clash("TYPE_CLASH", fmt::format("{} is a {} on this host, not a {}", name, TypeName(family->type()),
                                           TypeName(sample.type)));
  }
  const auto is_there = [&](const std::string& other) {
    return FindFamily(other) != nullptr || plan->families.contains(other);
  };
  const auto is_histogram = [&](const std::string& other) {
    const JobFamilyState* const there = FindFamily(other);
    if (there != nullptr) return there->body.type() == v1::JOB_METRIC_TYPE_HISTOGRAM;
    const auto found = plan->families.find(other);
    return found != plan->families.end() && found->second.type() == v1::JOB_METRIC_TYPE_HISTOGRAM;
  };
  for (const std::string_view suffix : kHistogramSuffixes) {
    const std::string longer = name + std::string(suffix);
    if (sample.type == v1::JOB_METRIC_TYPE_HISTOGRAM && is_there(longer)) {
      return Clash(
          "TYPE_CLASH",
          fmt::format("a histogram {} would write the name {}, which is another metric on this host", name, longer));
    }
    if (!name.ends_with(suffix)) continue;
    const std::string shorter = name.substr(0, name.size() - suffix.size());
    if (is_histogram(shorter)) {
      return Clash("TYPE_CLASH", fmt::format("the name {} is written by the histogram {} on this host", name, shorter));
    }
  }
  v1::JobFamily& made = plan->families[name];
  made.set_name(name);
  made.set_type(sample.type);
  if (sample.type == v1::JOB_METRIC_TYPE_HISTOGRAM) {
    made.mutable_buckets()->Add(std::begin(kDefaultBuckets), std::end(kDefaultBuckets));
  }
  return absl::OkStatus();
}

absl::Status JobBook::CheckLimits(const JobGroupState* group, Instant now, const Plan& plan) const {
  const bool comes_back = group == nullptr || group->HasEnded(now);
  if (plan.keys.empty() && !comes_back) return absl::OkStatus();
  const int had = group == nullptr ? 0 : [&] {
    int cost = 0;
    for (const auto& [key, series] : group->series) cost += CostOf(series.family->body);
    return cost;
  }();
  const int series = Series(now) + plan.cost + (comes_back ? had : 0);
  if (series > kMaxJobSeries) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "SERIES_LIMIT",
        fmt::format(
            "this host would have {} series of jobs, and {} are taken (a histogram counts once for each bucket): "
            "use fewer labels or buckets, or delete a group",
            series, kMaxJobSeries));
  }
  if (comes_back && Groups(now) >= kMaxJobGroups) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "SERIES_LIMIT",
        fmt::format("this host has {} groups, and no more are taken: delete one, or give them a ttl", kMaxJobGroups));
  }
  const std::size_t bytes = plan.bytes + (group == nullptr ? 0 : BytesOf(*group));
  if (bytes <= kMaxJobGroupBytes) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kResourceExhausted, "TOO_LARGE",
      fmt::format("the group's names, labels and help would take {} bytes, and {} are taken: use another group", bytes,
                  kMaxJobGroupBytes));
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
