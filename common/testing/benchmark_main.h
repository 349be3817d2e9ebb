// main() of the programs that measure with Google Benchmark: its own output and options, and after that the figures
// that are named here.
#ifndef MUSTER_COMMON_TESTING_BENCHMARK_MAIN_H_
#define MUSTER_COMMON_TESTING_BENCHMARK_MAIN_H_

#include <string>
#include <vector>

#include "common/testing/figures.h"

namespace muster {

// A figure of each benchmark that `benchmark` names, or of each whose name begins with it and a slash.
struct BenchmarkFigure {
  std::string benchmark;
  // A counter of it, as it was set. Empty: the CPU time of an iteration.
  std::string counter = {};
  // What a counter is multiplied by; one of seconds is in seconds.
  double scale = 1;
  std::string unit = {};
  // The benchmark that it is beside, by its whole name, or, where this ends with a slash, followed by what follows the
  // slash in the figure's. Empty: none.
  std::string beside = {};
  Bound must = {};
  Bound ratio_must = {};
  bool more_is_better = false;
};

// Runs what --benchmark_filter selects. A figure of which a part was not selected is left out. Returns the exit code.
int RunBenchmarks(int argc, char** argv, const std::vector<BenchmarkFigure>& figures);

}  // namespace muster

#endif  // MUSTER_COMMON_TESTING_BENCHMARK_MAIN_H_
