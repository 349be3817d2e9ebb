// JobBook's rules of what may be counted: types, declarations, limits.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/jobs/job_book.h"
#include "common/status.h"

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

std::string BoundsText(const google::protobuf::RepeatedField<double>& bounds) {
  return fmt::format("{}", fmt::join(bounds.begin(), bounds.end(), ","));
}

}  // namespace

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
  return CheckLimits(push, now, *plan);
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

absl::Status JobBook::CheckLimits(const Push& push, Instant now, const Plan& plan) const {
  const JobGroupState* const group = FindGroup(push.group);
  const bool comes_back = group == nullptr || group->HasEnded(now);
  int series = plan.keys.empty() && !comes_back ? 0 : Series(now) + plan.cost;
  if (comes_back && group != nullptr) {
    for (const auto& [key, one] : group->series) series += CostOf(one.family->body);
  }
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
  return CheckBytes(push, group, plan);
}

absl::Status JobBook::CheckBytes(const Push& push, const JobGroupState* group, const Plan& plan) const {
  std::size_t more_text = 0;
  for (const PushDeclaration& declaration : push.declarations) {
    const JobFamilyState* const known = FindFamily(declaration.name);
    if (declaration.unit.has_value() && (known == nullptr || known->body.unit().empty())) {
      more_text += declaration.unit->size();
    }
    if (!declaration.help.has_value()) continue;
    const std::size_t had = known == nullptr ? 0 : known->body.help().size();
    more_text += declaration.help->size() - std::min(had, declaration.help->size());
  }
  const auto check = [&](const std::string& name, std::size_t bytes) {
    if (bytes <= kMaxJobGroupBytes) return absl::OkStatus();
    return MakeError(
        absl::StatusCode::kResourceExhausted, "TOO_LARGE",
        fmt::format("the names, labels and help of group {} would take {} bytes, and {} are taken: use another group",
                    name, bytes, kMaxJobGroupBytes));
  };
  if (!plan.keys.empty() || more_text > 0) {
    RETURN_IF_ERROR(check(push.group, (group == nullptr ? 0 : BytesOf(*group)) + plan.bytes + more_text));
  }
  if (more_text == 0) return absl::OkStatus();
  // Help and unit are of the host: they grow in other groups, too.
  for (const auto& entry : groups_) {
    const JobGroupState& other = entry.second;
    if (&other == group) continue;
    const bool has_one =
        std::any_of(push.declarations.begin(), push.declarations.end(),
                    [&](const PushDeclaration& declaration) { return HasFamily(other, declaration.name); });
    if (has_one) RETURN_IF_ERROR(check(other.name, BytesOf(other) + more_text));
  }
  return absl::OkStatus();
}

}  // namespace muster::agent
