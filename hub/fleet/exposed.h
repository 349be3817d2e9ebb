// What /metrics shows of the fleet: rows of plain numbers with their labels as text, copied out of the live fleet
// target by target. In order of target id, deployments by key: the same before and after a restart. Filled by
// Fleet::Expose, owned by the reader, who needs no lock.
#ifndef MUSTER_HUB_FLEET_EXPOSED_H_
#define MUSTER_HUB_FLEET_EXPOSED_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "hub/fleet/container_states.h"
#include "hub/fleet/live_host.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

// Text that lives as long as this does, one piece behind the other.
class TextArena {
 public:
  std::string_view Keep(std::string_view text) {
    if (text.size() > left_) {
      left_ = std::max(kChunkBytes, text.size());
      // Not initialised: what is not used is not touched.
      chunks_.emplace_back(new char[left_]);
      next_ = chunks_.back().get();
    }
    std::memcpy(next_, text.data(), text.size());
    const std::string_view kept(next_, text.size());
    next_ += text.size();
    left_ -= text.size();
    return kept;
  }

 private:
  static constexpr std::size_t kChunkBytes = 256 * 1024;

  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
};

// In all of them labels are escaped, without braces; times are Unix times in seconds; NaN: not known.

struct ExposedJournal {
  double records = 0;
  double bytes = 0;
  double capacity = 0;
  double oldest_age = 0;
  double newest_applied = 0;
  double dropped = 0;
  double poisoned = 0;
  double gap_records = 0;
  double duplicate_records = 0;
  bool has_fault = false;
};

struct ExposedTarget {
  std::string_view id;
  std::string_view labels;
  // Its labels without the id. `is_cut`: another target may have the same.
  std::string_view place;
  bool is_cut = false;
  bool has_session = false;
  bool has_observer_fault = false;
  bool has_identity_warning = false;
  bool has_journal = false;
  types::v1::TargetState state = types::v1::TARGET_STATE_NOT_CONNECTED;
  double state_since = 0;
  double last_seen = 0;  // 0: never
  double omitted = 0;
  double round_trip = 0;
  double clock_skew = 0;
  // Further labels; empty: not known.
  std::string_view agent;
  std::string_view machine;
  double cpu_cores = 0;
  double memory = 0;
  ExposedJournal journal = {};
  double log_lines = 0;
  double log_lines_rate_dropped = 0;
};

// Log lines of a target that are missing for another reason than its rate.
struct ExposedLogDrop {
  std::size_t target = 0;
  std::string reason;
  double lines = 0;
};

struct ExposedDeployment {
  std::string_view labels;
  std::string_view info;
  types::v1::DeploymentStatus status = types::v1::DEPLOYMENT_STATUS_NO_STATUS;
  double reported = 0;  // 0: never
  double since = 0;
  double restarts = 0;
  std::array<std::int32_t, kContainerStates.size()> containers{};
};

struct ExposedHost {
  std::string_view labels;  // the target's
  HostScalars numbers;
};

// A part of a host or of a deployment.
template <typename Numbers>
struct ExposedPart {
  std::string_view labels;
  std::string_view more;
  Numbers numbers;
};

struct ExposedFleet {
  absl::Time taken;
  TextArena text;
  std::vector<ExposedTarget> targets;
  std::vector<ExposedDeployment> deployments;
  std::vector<ExposedLogDrop> log_drops;  // in order of target
  std::vector<ExposedHost> hosts;
  std::vector<ExposedPart<FilesystemNumbers>> filesystems;
  std::vector<ExposedPart<DeviceNumbers>> network;
  std::vector<ExposedPart<DeviceNumbers>> disks;
  std::vector<ExposedPart<ContainerNumbers>> containers;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_EXPOSED_H_
