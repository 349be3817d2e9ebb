// 64 MiB that are given back when the disk is full (docs/logs.md, "When something is wrong with it"): SQLite's log
// takes no DELETE without room of its own. Called by the thread of Logs; not thread-safe.
#ifndef MUSTER_HUB_LOGS_BALLAST_H_
#define MUSTER_HUB_LOGS_BALLAST_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "hub/logs/volume.h"

namespace muster::hub {

class Ballast {
 public:
  static constexpr std::int64_t kBytes = 64 * 1024 * 1024;

  explicit Ballast(std::string path) : path_(std::move(path)) {}

  // Deletes the file when the disk is full; makes it when enough stays free beside it. An error says why it could not.
  absl::Status Keep(bool is_disk_full, const VolumeSpace& space);

 private:
  bool IsThere() const;
  absl::Status Make();

  const std::string path_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_BALLAST_H_
