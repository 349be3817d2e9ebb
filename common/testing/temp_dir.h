// A folder that goes with the test.
#ifndef MUSTER_COMMON_TESTING_TEMP_DIR_H_
#define MUSTER_COMMON_TESTING_TEMP_DIR_H_

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace muster {

class TempDir {
 public:
  explicit TempDir(const std::filesystem::path& base = std::filesystem::temp_directory_path()) {
    std::string pattern = (base / "muster-test-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

  // A folder in memory where the machine has one: syncing costs nothing there.
  static std::filesystem::path InMemory() {
    const std::filesystem::path memory = "/dev/shm";
    return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  }

 private:
  std::string path_;
};

}  // namespace muster

#endif  // MUSTER_COMMON_TESTING_TEMP_DIR_H_
