// What jobs pushed, as it is shown now: at /metrics under the jobs' own names, and as a list of jobs. Holds what hub.db
// holds (job_writes.h) and judges it by time: whose series have ended, who is overdue, whose type a family has, what is
// too much. Thread-safe; nothing waits for the store. docs/jobs.md.
#ifndef MUSTER_HUB_JOBS_JOB_REGISTRY_H_
#define MUSTER_HUB_JOBS_JOB_REGISTRY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/clock.h"
#include "common/mutex.h"
#include "hub/jobs/job_records.h"
#include "hub/jobs/shown_group.h"
#include "hub/metrics/page_writer.h"
#include "muster/fleet/v1/fleet.pb.h"

namespace muster::hub {

// INVALID_ARGUMENT "BAD_SETTING": no name begins so, or all that do are taken.
absl::Status CheckJobPrefix(const std::string& prefix);

class JobRegistry {
 public:
  struct Options {
    // In front of every name; checked.
    std::string prefix = {};
    // Of one target that are shown.
    int max_series = kMaxJobSeries;
  };
  // What the fleet says of a target that is there.
  struct Place {
    // As a page's labels.
    std::string labels;
    std::string name;
    std::string customer;
  };
  // Nullopt: there is no such target. Called without a lock held.
  using FindPlace = std::function<std::optional<Place>(const std::string& target_id)>;

  JobRegistry(Options options, FindPlace find_place);

  // At start. How long ago something was is told by the stored times and the wall clock, as nothing else is left: a
  // group whose time to live had passed by then does not come back, nor one that was noted as ended (TakeEnded).
  void Load(std::vector<StoredJobGroup> groups, const Moment& now) ABSL_LOCKS_EXCLUDED(mutex_);

  // A report that is stored, in the order of the commits. Returns what is not shown of it, and why.
  std::vector<std::string> Apply(JobOutcome outcome, const Moment& now) ABSL_LOCKS_EXCLUDED(mutex_);

  // Grows with every change.
  std::int64_t version() const { return version_.load(std::memory_order_relaxed); }

  // The families of jobs: the hub's own about them, then theirs.
  void Write(const Moment& now, PageWriter& page) ABSL_LOCKS_EXCLUDED(mutex_);

  // Groups that have ended since the last call, to be noted in the store: they stay ended, also when a hub that starts
  // later finds its clock set back.
  std::vector<EndedJobGroup> TakeEnded(Instant now) ABSL_LOCKS_EXCLUDED(mutex_);

  // By target, then by name.
  std::vector<fleet::v1::Job> List(const Moment& now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Group = std::shared_ptr<const ShownGroup>;
  // By name.
  using Groups = std::map<std::string, Group>;

  // All that is shown of one target at one moment.
  struct TargetPicture {
    Place place;
    std::vector<Group> groups;  // by name
    int shown = 0;
    std::map<std::string, int> refused;                                // series by reason
    std::map<std::string, std::vector<std::string>> refused_by_group;  // reasons
    std::map<std::string, int> shown_by_group;
  };
  struct ShownPart {
    const std::string* labels;
    const ShownGroup* group;
    const ShownFamily* family;
  };
  struct Picture {
    std::map<std::string, TargetPicture> targets;
    // Of one type each; those of one target lie together.
    std::map<std::string, std::vector<ShownPart>> families;
  };

  Picture Take(const Moment& now) ABSL_LOCKS_EXCLUDED(mutex_);
  using Kind = std::pair<std::string_view, FamilyType>;
  using Kinds = std::set<Kind>;
  // Those that are no other's: one family has one type, and no two write the same names.
  static Kinds KindsShown(const Moment& now, const Picture& picture);
  static void Limit(const Moment& now, int max_series, const Kinds& kinds, TargetPicture* target, Picture* picture);
  static void WriteOwn(const Moment& now, const Picture& picture, PageWriter& page);
  static void WriteFamily(const std::string& name, const std::vector<ShownPart>& parts, PageWriter& page);
  void Put(Groups* groups, Group group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(Groups* groups, const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::string> Clashes(const ShownGroup& group, const Moment& now) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const FindPlace find_place_;

  std::atomic<std::int64_t> version_{0};
  Mutex mutex_;
  std::map<std::string, Groups> targets_ ABSL_GUARDED_BY(mutex_);
  // A group and its family.
  using OwnerKey = std::pair<std::int64_t, std::string>;
  struct Owner {
    Group group;
    FamilyType type;
  };
  // By the names that families claim, the first to come first.
  std::map<std::string, std::map<OwnerKey, Owner>> owners_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_JOBS_JOB_REGISTRY_H_
