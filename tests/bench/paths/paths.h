// Ways through the code that are gone for every heartbeat, record or scrape, in one thread and with a clock that stands
// still: so that their time can be measured with Google Benchmark, and their instructions counted under callgrind
// (tests/bench/instructions.py), which come out the same on a busy machine.
#ifndef MUSTER_TESTS_BENCH_PATHS_PATHS_H_
#define MUSTER_TESTS_BENCH_PATHS_PATHS_H_

#include <memory>
#include <string>
#include <vector>

namespace muster {

class Path {
 public:
  virtual ~Path() = default;
  // What the next Go needs that is not the path itself: frames, rows, time that passes.
  virtual void Prepare() = 0;
  virtual void Go() = 0;
};

struct NamedPath {
  // What one operation is.
  std::string name;
  // Of one Go.
  int operations = 0;
  std::unique_ptr<Path> (*make)() = nullptr;
  // The least that can be done instead, which is a path too.
  std::string beside = {};
};

// --list: the names, each with a tab and what it is beside; --count NAME: goes it for callgrind and prints how many
// operations were within muster_counted. Else Google Benchmark and its options. Returns the exit code.
int RunPaths(int argc, char** argv, const std::vector<NamedPath>& paths);

}  // namespace muster

#endif  // MUSTER_TESTS_BENCH_PATHS_PATHS_H_
