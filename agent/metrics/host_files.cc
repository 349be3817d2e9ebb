#include "agent/metrics/host_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/files.h"

namespace muster::agent {

absl::StatusOr<std::string> RootedHostFiles::Read(const std::string& path, std::size_t max_bytes) const {
  return ReadFile(root_ + path, max_bytes);
}

std::vector<std::string> RootedHostFiles::List(const std::string& path) const {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entry(root_ + path, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace muster::agent
