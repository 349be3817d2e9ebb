// Small files with a meaning: secrets, keys, state. Callable from any thread; every call blocks on the disk.
#ifndef MUSTER_COMMON_FILES_H_
#define MUSTER_COMMON_FILES_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace muster {

// At most `max_bytes`; a longer file is an error, not a cut.
absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes = 1 << 20);

// Durable and atomic: written beside, synced, renamed over, directory synced. A reader sees the old or the new content.
absl::Status WriteFileAtomically(const std::string& path, std::string_view content, mode_t mode);

// Makes the folder and its parents; the last one gets `mode`.
absl::Status MakeDirectories(const std::string& path, mode_t mode);

// Without leading and trailing white space.
std::string Trim(std::string_view text);

}  // namespace muster

#endif  // MUSTER_COMMON_FILES_H_
