// A disk that is slow when it matters: loaded before the C library, every fsync and fdatasync of the process waits
// as many milliseconds as the file that MUSTER_SYNC_DELAY_FILE names says at that moment; without one, none.
#include <dlfcn.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace {

void Wait() {
  const char* const path = std::getenv("MUSTER_SYNC_DELAY_FILE");
  std::FILE* const file = path == nullptr ? nullptr : std::fopen(path, "re");
  if (file == nullptr) return;
  char text[16] = {};
  const char* const line = std::fgets(text, sizeof(text), file);
  std::fclose(file);
  if (line != nullptr) std::this_thread::sleep_for(std::chrono::milliseconds(std::strtol(line, nullptr, 10)));
}

int Call(const char* name, int fd) {
  Wait();
  return reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, name))(fd);
}

}  // namespace

extern "C" int fsync(int fd) { return Call("fsync", fd); }
extern "C" int fdatasync(int fd) { return Call("fdatasync", fd); }
