// What jobs on this host have counted, and the rules of counting (docs/jobs.md): types, limits, ids, time to live. In
// memory, without thread, file or clock; belongs to JobStore's thread. JobFile loads it, and writes what changed.
#ifndef MUSTER_AGENT_JOBS_JOB_BOOK_H_
#define MUSTER_AGENT_JOBS_JOB_BOOK_H_

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/jobs/push.h"
#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Of groups whose series have not ended; a histogram counts once for each bucket, +Inf included.
inline constexpr int kMaxJobSeries = 1000;
inline constexpr int kMaxJobGroups = 200;
// Of one group in a report, which must hold it: less what the report says around it.
inline constexpr std::size_t kMaxJobGroupBytes = kMaxJobReportBytes - 1024;
// Groups whose series ended, or that were deleted: the oldest beyond are forgotten. A group is at most 256 KiB, 1,000
// series about that; 20,000 of them are some 5 MiB in memory.
inline constexpr std::size_t kMaxTombstones = 1000;
inline constexpr std::size_t kMaxTombstoneSeries = 20'000;
inline constexpr absl::Duration kTombstoneAge = absl::Hours(24 * 400);
// 30 s of 20,000 pushes a second: as long as a client goes on asking. 16 bytes each on the disk, about 45 in memory.
inline constexpr std::size_t kMaxPushIds = 600'000;
inline constexpr absl::Duration kPushIdAge = absl::Hours(24);

using PushIdDigest = std::array<char, 16>;
PushIdDigest DigestOf(const std::string& group, const std::string& id);

struct JobFamilyState {
  std::int64_t row = 0;
  // Without series.
  v1::JobFamily body;
  // Series of all groups.
  std::int64_t uses = 0;
};

struct JobSeriesState {
  std::int64_t row = 0;
  JobFamilyState* family = nullptr;
  v1::JobSeries body;
  bool is_changed = false;
};

struct JobGroupState {
  std::int64_t row = 0;
  std::string name;
  // Rises with every commit that changed the group; no two groups have the same.
  std::int64_t version = 0;
  bool is_deleted = false;
  Instant first_push;
  Instant last_push;
  std::optional<Instant> last_success;
  std::optional<Instant> last_failure;
  std::int64_t successes = 0;
  std::int64_t failures = 0;
  std::optional<absl::Duration> period;
  std::optional<absl::Duration> time_to_live;
  std::int64_t refused = 0;
  // By name, '\0' and labels: in order of name.
  std::map<std::string, JobSeriesState> series;

  // As it was last told to JobStore's readers.
  bool is_published = false;
  // Not in the file yet.
  bool is_changed = false;
  std::vector<JobSeriesState*> changed_series;
  // All rows of series are to be deleted first.
  bool is_cleared = false;

  bool HasEnded(Instant now) const {
    return is_deleted || (time_to_live.has_value() && now - last_push >= *time_to_live);
  }
};

// Ids that came with one commit.
struct PushIdBatch {
  std::int64_t row = 0;
  Instant taken;
  std::vector<PushIdDigest> digests;
};

class JobBook {
 public:
  enum class Outcome { kCounted, kKnown };

  // All of the push, or nothing of it and an error.
  absl::StatusOr<Outcome> Apply(const Push& push, Instant now);
  // A push was refused before it came here.
  void NoteRefusal(const std::string& group);
  // Forgets what is too old or too much.
  void Expire(Instant now);

  bool HasChanges() const { return !changed_groups_.empty() || !removed_groups_.empty() || !new_ids_.digests.empty(); }
  // Live groups and their series.
  int Groups(Instant now) const;
  int Series(Instant now) const;

  // ---- for JobFile and JobStore
  std::map<std::string, JobGroupState>& groups() { return groups_; }
  std::map<std::string, std::unique_ptr<JobFamilyState>>& families() { return families_; }
  // Gives changed groups their versions.
  void NumberChanges();
  std::vector<JobGroupState*>& changed_groups() { return changed_groups_; }
  const std::vector<std::int64_t>& removed_groups() const { return removed_groups_; }
  const std::set<JobFamilyState*>& changed_families() const { return changed_families_; }
  const std::vector<std::int64_t>& removed_families() const { return removed_families_; }
  PushIdBatch& new_ids() { return new_ids_; }
  // Rows up to here are forgotten.
  std::int64_t forgotten_ids_row() const { return ids_.empty() ? new_ids_.row - 1 : ids_.front().row - 1; }
  std::int64_t version() const { return version_; }
  void set_version(std::int64_t version) { version_ = version; }
  // All changes are in the file.
  void ChangesAreKept();

  // While loading.
  void AddIds(PushIdBatch batch);
  void SetNextRows(std::int64_t group, std::int64_t family, std::int64_t series);
  void MarkChanged(JobGroupState* group);

 private:
  // What a push brings with it that is not there yet.
  struct Plan {
    std::map<std::string, v1::JobFamily> families;
    std::set<std::string> keys;
    // Of the new series, with their families where the group does not have them.
    int cost = 0;
    std::size_t bytes = 0;
    std::set<std::string> group_families;
  };

  absl::Status Check(const Push& push, Instant now, Plan* plan) const;
  absl::Status CheckDeclaration(const PushDeclaration& declaration, Plan* plan) const;
  absl::Status CheckFamily(const PushSample& sample, Plan* plan) const;
  absl::Status CheckLimits(const Push& push, Instant now, const Plan& plan) const;
  absl::Status CheckBytes(const Push& push, const JobGroupState* group, const Plan& plan) const;
  void Delete(const std::string& name, Instant now);
  JobGroupState* Group(const std::string& name, Instant now);
  void Declare(const Push& push, const Plan& plan);
  void Count(JobGroupState* group, const PushSample& sample);
  void DropSeries(JobGroupState* group);
  const JobFamilyState* FindFamily(const std::string& name) const;
  const JobGroupState* FindGroup(const std::string& name) const;

  std::map<std::string, JobGroupState> groups_;
  std::map<std::string, std::unique_ptr<JobFamilyState>> families_;
  std::deque<PushIdBatch> ids_;
  std::size_t ids_count_ = 0;
  absl::flat_hash_set<PushIdDigest> known_ids_;
  std::int64_t version_ = 0;
  std::int64_t next_group_row_ = 1;
  std::int64_t next_family_row_ = 1;
  std::int64_t next_series_row_ = 1;

  std::vector<JobGroupState*> changed_groups_;
  std::vector<std::int64_t> removed_groups_;
  std::set<JobFamilyState*> changed_families_;
  std::vector<std::int64_t> removed_families_;
  PushIdBatch new_ids_{.row = 1, .taken = {}, .digests = {}};
};

// Under which a group holds the series.
std::string KeyOf(const PushSample& sample);
std::string KeyOf(const std::string& family, const v1::JobSeries& series);

// What a series of the family counts towards kMaxJobSeries.
int CostOf(const v1::JobFamily& family);
bool HasFamily(const JobGroupState& group, const std::string& name);

// The group as a report tells it, without ages.
v1::JobGroup ToProto(const JobGroupState& group);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_JOB_BOOK_H_
