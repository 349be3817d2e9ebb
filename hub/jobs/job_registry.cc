#include "hub/jobs/job_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "common/metric_names.h"
#include "common/status.h"

namespace muster::hub {
namespace {

constexpr char kTypeClash[] = "TYPE_CLASH";
constexpr char kSeriesLimit[] = "SERIES_LIMIT";
constexpr std::array<const char*, 2> kReasons = {kTypeClash, kSeriesLimit};
// In one ack: a sentence each, far below the 256 KiB of a frame.
constexpr std::size_t kMaxRefusals = 100;

double Seconds(absl::Time time) { return absl::ToDoubleSeconds(time - absl::UnixEpoch()); }
double Seconds(const std::optional<ShownGroup::When>& when) { return when ? Seconds(when->wall) : 0; }

}  // namespace

absl::Status CheckJobPrefix(const std::string& prefix) {
  // Any name behind it.
  if (prefix.empty() || (IsMetricName(prefix) && !IsTakenMetricName(prefix + "x"))) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kInvalidArgument, "BAD_SETTING",
      fmt::format("--job-prefix \"{}\" cannot begin the name of a metric: letters, digits, _ and : only, no "
                  "digit first, and not distr_, muster_, process_, scrape_",
                  prefix));
}

JobRegistry::JobRegistry(Options options, FindPlace find_place)
    : options_(std::move(options)), find_place_(std::move(find_place)) {}

void JobRegistry::Put(Groups* groups, Group group) {
  Remove(groups, group->name);
  for (const ShownFamily& family : group->families) owners_[family.name].emplace(group->id, group);
  (*groups)[group->name] = std::move(group);
}

void JobRegistry::Remove(Groups* groups, const std::string& name) {
  const auto found = groups->find(name);
  if (found == groups->end()) return;
  for (const ShownFamily& family : found->second->families) {
    const auto owners = owners_.find(family.name);
    if (owners == owners_.end()) continue;
    owners->second.erase(found->second->id);
    if (owners->second.empty()) owners_.erase(owners);
  }
  groups->erase(found);
}

void JobRegistry::Load(std::vector<StoredJobGroup> groups, const Moment& now) {
  MutexLock lock(&mutex_);
  for (StoredJobGroup& stored : groups) {
    Groups& of_target = targets_[stored.target_id];
    Put(&of_target, std::make_shared<const ShownGroup>(MakeShown(std::move(stored), options_.prefix, now)));
  }
}

std::vector<std::string> JobRegistry::Apply(JobOutcome outcome, const Moment& now) {
  std::vector<std::string> refusals = std::move(outcome.refusals);
  std::vector<Group> shown;
  for (StoredJobGroup& stored : outcome.groups) {
    shown.push_back(std::make_shared<const ShownGroup>(MakeShown(std::move(stored), options_.prefix, now)));
  }
  MutexLock lock(&mutex_);
  version_.fetch_add(1, std::memory_order_relaxed);
  Groups& groups = targets_[outcome.target_id];
  for (const std::string& name : outcome.gone) Remove(&groups, name);
  for (const Group& group : shown) Put(&groups, group);
  for (const Group& group : shown) {
    for (std::string& clash : Clashes(*group, now)) refusals.push_back(std::move(clash));
  }
  int count = 0;
  for (const auto& [name, group] : groups) {
    if (group->HasEnded(now.monotonic)) continue;
    for (const ShownFamily& family : group->families) count += family.count();
  }
  if (count > options_.max_series) {
    refusals.push_back(
        fmt::format("{} {} series; the hub shows at most {} of a target", kSeriesLimit, count, options_.max_series));
  }
  if (refusals.size() > kMaxRefusals) refusals.resize(kMaxRefusals);
  return refusals;
}

std::vector<std::string> JobRegistry::Clashes(const ShownGroup& group, const Moment& now) const {
  std::vector<std::string> clashes;
  if (group.HasEnded(now.monotonic)) return clashes;
  for (const ShownFamily& family : group.families) {
    for (const auto& [id, owner] : owners_.at(family.name)) {
      if (owner->HasEnded(now.monotonic)) continue;
      const auto other = std::find_if(owner->families.begin(), owner->families.end(),
                                      [&](const ShownFamily& its) { return its.name == family.name; });
      if (other->type != family.type) {
        clashes.push_back(fmt::format("{} {}: a {} elsewhere, a {} in \"{}\"; the one that came first is shown",
                                      kTypeClash, family.name, WordOf(other->type), WordOf(family.type), group.name));
      }
      break;
    }
  }
  return clashes;
}

JobRegistry::Picture JobRegistry::Take(const Moment& now) {
  std::map<std::string, std::vector<Group>> all;
  {
    MutexLock lock(&mutex_);
    for (const auto& [target_id, groups] : targets_) {
      std::vector<Group>& of_target = all[target_id];
      of_target.reserve(groups.size());
      for (const auto& [name, group] : groups) of_target.push_back(group);
    }
  }
  Picture picture;
  std::vector<std::string> gone;
  for (auto& [target_id, groups] : all) {
    std::optional<Place> place = find_place_(target_id);
    if (!place) {
      gone.push_back(target_id);
      continue;
    }
    TargetPicture& target = picture.targets[target_id];
    target.place = *std::move(place);
    target.groups = std::move(groups);
    Limit(now, options_.max_series, &target, &picture);
  }
  KeepOneType(&picture);
  if (!gone.empty()) {
    MutexLock lock(&mutex_);
    for (const std::string& target_id : gone) {
      Groups& groups = targets_[target_id];
      while (!groups.empty()) Remove(&groups, groups.begin()->first);
      targets_.erase(target_id);
    }
  }
  return picture;
}

// Groups that came earlier are shown first.
void JobRegistry::Limit(const Moment& now, int max_series, TargetPicture* target, Picture* picture) {
  std::vector<const ShownGroup*> by_age;
  for (const Group& group : target->groups) {
    if (!group->HasEnded(now.monotonic)) by_age.push_back(group.get());
  }
  std::sort(by_age.begin(), by_age.end(), [](const ShownGroup* a, const ShownGroup* b) { return a->id < b->id; });
  for (const ShownGroup* group : by_age) {
    for (const ShownFamily& family : group->families) {
      if (target->shown + family.count() > max_series) {
        target->refused[kSeriesLimit] += family.count();
        target->refused_by_group[group->name].push_back(kSeriesLimit);
        continue;
      }
      target->shown += family.count();
      target->shown_by_group[group->name] += family.count();
      picture->families[family.name].push_back({&target->place.labels, group, &family});
    }
  }
}

void JobRegistry::KeepOneType(Picture* picture) {
  for (auto& [name, parts] : picture->families) {
    const auto first = std::min_element(
        parts.begin(), parts.end(), [](const ShownPart& a, const ShownPart& b) { return a.group->id < b.group->id; });
    const FamilyType type = first->family->type;
    std::erase_if(parts, [&](const ShownPart& part) {
      if (part.family->type == type) return false;
      TargetPicture& target = picture->targets.at(part.group->target_id);
      target.shown -= part.family->count();
      target.shown_by_group[part.group->name] -= part.family->count();
      target.refused[kTypeClash] += part.family->count();
      target.refused_by_group[part.group->name].push_back(kTypeClash);
      return true;
    });
  }
}

void JobRegistry::Write(const Moment& now, PageWriter& page) {
  const Picture picture = Take(now);
  WriteOwn(now, picture, page);
  for (const auto& [name, parts] : picture.families) WriteFamily(name, parts, page);
}

void JobRegistry::WriteOwn(const Moment& now, const Picture& picture, PageWriter& page) {
  const auto groups = [&](std::string_view name, FamilyType type, std::string_view unit, std::string_view help,
                          auto value) {
    page.Family(name, type, help, unit);
    for (const auto& [id, target] : picture.targets) {
      for (const Group& group : target.groups) {
        const std::optional<double> number = value(*group);
        if (number) page.Sample(target.place.labels, group->label, *number);
      }
    }
  };
  using Number = std::optional<double>;
  groups("distr_job_last_push_timestamp_seconds", FamilyType::kGauge, "seconds", "Unix time of the job's last push.",
         [](const ShownGroup& group) -> Number { return Seconds(group.push.wall); });
  groups("distr_job_last_success_timestamp_seconds", FamilyType::kGauge, "seconds",
         "Unix time of the job's last success; 0: never.",
         [](const ShownGroup& group) -> Number { return Seconds(group.success); });
  groups("distr_job_last_failure_timestamp_seconds", FamilyType::kGauge, "seconds",
         "Unix time of the job's last failure; 0: never.",
         [](const ShownGroup& group) -> Number { return Seconds(group.failure); });
  page.Family("distr_job_runs_total", FamilyType::kCounter, "Runs that the job has told, by result.");
  for (const auto& [id, target] : picture.targets) {
    for (const Group& group : target.groups) {
      page.Sample(target.place.labels, group->label + ",result=\"success\"", static_cast<double>(group->successes));
      page.Sample(target.place.labels, group->label + ",result=\"failure\"", static_cast<double>(group->failures));
    }
  }
  groups("distr_job_overdue", FamilyType::kGauge, {},
         "Whether the job has not succeeded for longer than its period. Absent without a period.",
         [&](const ShownGroup& group) -> Number {
           if (!group.period) return std::nullopt;
           return group.IsOverdue(now.monotonic) ? 1 : 0;
         });
  groups("distr_job_period_seconds", FamilyType::kGauge, "seconds",
         "How often the job is expected to succeed. Absent without a period.", [](const ShownGroup& group) -> Number {
           if (!group.period) return std::nullopt;
           return absl::ToDoubleSeconds(*group.period);
         });
  groups("distr_job_refused_pushes_total", FamilyType::kCounter, {}, "Pushes of the job that its agent refused.",
         [](const ShownGroup& group) -> Number { return static_cast<double>(group.refused_pushes); });
  page.Family("distr_job_series", FamilyType::kGauge, "Series of the target's jobs that are shown.");
  for (const auto& [id, target] : picture.targets) page.Sample(target.place.labels, target.shown);
  page.Family("distr_job_series_refused", FamilyType::kGauge, "Series of the target's jobs that are not shown.");
  for (const auto& [id, target] : picture.targets) {
    for (const char* reason : kReasons) {
      const auto found = target.refused.find(reason);
      page.Sample(target.place.labels, Label("reason", reason), found == target.refused.end() ? 0 : found->second);
    }
  }
}

void JobRegistry::WriteFamily(const std::string& name, const std::vector<ShownPart>& parts, PageWriter& page) {
  if (parts.empty()) return;
  const ShownFamily& first = *parts.front().family;
  page.Family(name, first.type, first.help, first.unit);
  for (const auto& [labels, group, family] : parts) {
    for (const ShownSeries& series : family->series) {
      if (family->type != FamilyType::kHistogram) {
        page.Sample(*labels, series.labels, series.value);
        continue;
      }
      for (std::size_t i = 0; i < series.cumulative.size(); ++i) {
        const double bound = i < family->buckets.size() ? family->buckets[i] : std::numeric_limits<double>::infinity();
        page.Part("_bucket", *labels, series.labels + "," + page.BucketLabel(bound), series.cumulative[i]);
      }
      page.Part("_sum", *labels, series.labels, series.sum);
      page.Part("_count", *labels, series.labels, series.cumulative.back());
    }
  }
}

std::vector<fleet::v1::Job> JobRegistry::List(const Moment& now) {
  const Picture picture = Take(now);
  std::vector<fleet::v1::Job> jobs;
  for (const auto& [target_id, target] : picture.targets) {
    for (const Group& group : target.groups) {
      fleet::v1::Job& job = jobs.emplace_back(Describe(*group, now.monotonic));
      job.set_target_name(target.place.name);
      job.set_customer(target.place.customer);
      const auto shown = target.shown_by_group.find(group->name);
      if (shown != target.shown_by_group.end()) job.set_series(shown->second);
      const auto refused = target.refused_by_group.find(group->name);
      if (refused == target.refused_by_group.end()) continue;
      std::vector<std::string> reasons = refused->second;
      std::sort(reasons.begin(), reasons.end());
      reasons.erase(std::unique(reasons.begin(), reasons.end()), reasons.end());
      for (const std::string& reason : reasons) job.add_refusals(reason);
    }
  }
  return jobs;
}

}  // namespace muster::hub
