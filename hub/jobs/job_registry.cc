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
constexpr char kBadName[] = "BAD_NAME";
constexpr std::array<const char*, 3> kReasons = {kTypeClash, kSeriesLimit, kBadName};
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
  for (const ShownFamily& family : group->families) {
    for (const std::string& claim : ClaimsOf(family.name, family.type)) {
      owners_[claim].emplace(OwnerKey{group->id, family.name}, Owner{group, family.type});
    }
  }
  (*groups)[group->name] = std::move(group);
}

void JobRegistry::Remove(Groups* groups, const std::string& name) {
  const auto found = groups->find(name);
  if (found == groups->end()) return;
  for (const ShownFamily& family : found->second->families) {
    for (const std::string& claim : ClaimsOf(family.name, family.type)) {
      const auto owners = owners_.find(claim);
      if (owners == owners_.end()) continue;
      owners->second.erase(OwnerKey{found->second->id, family.name});
      if (owners->second.empty()) owners_.erase(owners);
    }
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
  if (groups.empty()) targets_.erase(outcome.target_id);
  return refusals;
}

std::vector<std::string> JobRegistry::Clashes(const ShownGroup& group, const Moment& now) const {
  std::vector<std::string> clashes;
  if (group.HasEnded(now.monotonic)) return clashes;
  for (const auto& [name, series] : group.taken_names) {
    clashes.push_back(fmt::format("{} {}: with the prefix of the hub the name is taken", kBadName, name));
  }
  for (const ShownFamily& family : group.families) {
    for (const std::string& claim : ClaimsOf(family.name, family.type)) {
      const auto& owners = owners_.at(claim);
      const auto first = std::find_if(owners.begin(), owners.end(),
                                      [&](const auto& owner) { return !owner.second.group->HasEnded(now.monotonic); });
      const std::string& name = first->first.second;
      const FamilyType type = first->second.type;
      if (name == family.name && type == family.type) continue;
      clashes.push_back(fmt::format("{} {}: {} {} elsewhere, a {} in \"{}\"; the one that came first is shown",
                                    kTypeClash, family.name, name == family.name ? "a" : fmt::format("\"{}\", a", name),
                                    WordOf(type), WordOf(family.type), group.name));
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
  }
  const Kinds kinds = KindsShown(now, picture);
  for (auto& [target_id, target] : picture.targets) Limit(now, options_.max_series, kinds, &target, &picture);
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

// Of each name that is claimed, the family and type that came first.
JobRegistry::Kinds JobRegistry::KindsShown(const Moment& now, const Picture& picture) {
  std::map<Kind, std::int64_t> came;
  for (const auto& [target_id, target] : picture.targets) {
    for (const Group& group : target.groups) {
      if (group->HasEnded(now.monotonic)) continue;
      for (const ShownFamily& family : group->families) {
        const auto [it, is_new] = came.try_emplace(Kind{family.name, family.type}, group->id);
        if (!is_new) it->second = std::min(it->second, group->id);
      }
    }
  }
  std::map<std::string, std::pair<std::int64_t, Kind>> owners;
  for (const auto& [kind, id] : came) {
    for (std::string& claim : ClaimsOf(std::string(kind.first), kind.second)) {
      const auto [it, is_new] = owners.try_emplace(std::move(claim), id, kind);
      if (!is_new) it->second = std::min(it->second, std::pair(id, kind));
    }
  }
  Kinds shown;
  for (const auto& entry : came) {
    const Kind& kind = entry.first;
    const std::vector<std::string> claims = ClaimsOf(std::string(kind.first), kind.second);
    const bool is_first = std::all_of(claims.begin(), claims.end(),
                                      [&](const std::string& claim) { return owners.at(claim).second == kind; });
    if (is_first) shown.insert(kind);
  }
  return shown;
}

// Groups that came earlier are shown first.
void JobRegistry::Limit(const Moment& now, int max_series, const Kinds& kinds, TargetPicture* target,
                        Picture* picture) {
  std::vector<const ShownGroup*> by_age;
  for (const Group& group : target->groups) {
    if (!group->HasEnded(now.monotonic)) by_age.push_back(group.get());
  }
  std::sort(by_age.begin(), by_age.end(), [](const ShownGroup* a, const ShownGroup* b) { return a->id < b->id; });
  for (const ShownGroup* group : by_age) {
    const auto refuse = [&](const char* reason, int series) {
      target->refused[reason] += series;
      target->refused_by_group[group->name].emplace_back(reason);
    };
    for (const auto& [name, series] : group->taken_names) refuse(kBadName, series);
    for (const ShownFamily& family : group->families) {
      if (!kinds.contains(Kind{family.name, family.type})) {
        refuse(kTypeClash, family.count());
      } else if (target->shown + family.count() > max_series) {
        refuse(kSeriesLimit, family.count());
      } else {
        target->shown += family.count();
        target->shown_by_group[group->name] += family.count();
        picture->families[family.name].push_back({&target->place.labels, group, &family});
      }
    }
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
        if (!group->IsTold(now.monotonic)) continue;
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
      if (!group->IsTold(now.monotonic)) continue;
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
  // Whose it is: its texts stay the same when others come and go.
  const ShownFamily& first = *std::min_element(parts.begin(), parts.end(), [](const ShownPart& a, const ShownPart& b) {
                                return a.group->id < b.group->id;
                              })->family;
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

std::vector<EndedJobGroup> JobRegistry::TakeEnded(Instant now) {
  std::vector<EndedJobGroup> ended;
  MutexLock lock(&mutex_);
  for (auto& [target_id, groups] : targets_) {
    std::vector<Group> changed;
    for (const auto& [name, group] : groups) {
      if (group->has_ended || !group->HasEnded(now)) continue;
      ended.push_back({.target_id = target_id, .name = name, .push = group->push.wall});
      auto without_series = std::make_shared<ShownGroup>(*group);
      without_series->has_ended = true;
      without_series->families.clear();
      changed.push_back(std::move(without_series));
    }
    for (Group& group : changed) Put(&groups, std::move(group));
  }
  if (!ended.empty()) version_.fetch_add(1, std::memory_order_relaxed);
  return ended;
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
