#include "tests/bench/paths/paths.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "common/testing/benchmark_main.h"

// What callgrind counts: this and all that it calls. By this name, whatever is optimised.
extern "C" [[gnu::noinline, gnu::used]] void muster_counted(muster::Path* path) { path->Go(); }

namespace muster {
namespace {

// Whatever is made at the first use is made.
constexpr int kWarmUps = 2;
constexpr int kCounted = 4;

int List(const std::vector<NamedPath>& paths) {
  for (const NamedPath& path : paths) std::printf("%s\t%s\n", path.name.c_str(), path.beside.c_str());
  return 0;
}

int Count(std::string_view name, const std::vector<NamedPath>& paths) {
  const auto found = std::find_if(paths.begin(), paths.end(), [&](const NamedPath& path) { return path.name == name; });
  if (found == paths.end()) {
    std::fprintf(stderr, "there is no path \"%.*s\"\n", static_cast<int>(name.size()), name.data());
    return 2;
  }
  const std::unique_ptr<Path> path = found->make();
  for (int i = 0; i < kWarmUps; ++i) {
    path->Prepare();
    path->Go();
  }
  for (int i = 0; i < kCounted; ++i) {
    path->Prepare();
    muster_counted(path.get());
  }
  std::printf("%d\n", kCounted * found->operations);
  return 0;
}

void Measure(benchmark::State& state, const NamedPath& named) {
  const std::unique_ptr<Path> path = named.make();
  path->Prepare();
  path->Go();
  for (auto _ : state) {
    state.PauseTiming();
    path->Prepare();
    state.ResumeTiming();
    path->Go();
  }
  const auto operations = static_cast<double>(state.iterations()) * named.operations;
  state.counters["each"] = benchmark::Counter(operations, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

}  // namespace

int RunPaths(int argc, char** argv, const std::vector<NamedPath>& paths) {
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "--list" && argc == 2) return List(paths);
  if (first == "--count" && argc == 3) return Count(argv[2], paths);
  std::vector<BenchmarkFigure> figures;
  for (const NamedPath& path : paths) {
    benchmark::RegisterBenchmark(path.name.c_str(), [&path](benchmark::State& state) {
      Measure(state, path);
    })->Unit(benchmark::kMicrosecond);
    if (path.beside.empty()) continue;
    figures.push_back(
        {.benchmark = path.name, .counter = "each", .scale = 1e6, .unit = "us of CPU", .beside = path.beside});
  }
  return RunBenchmarks(argc, argv, figures);
}

}  // namespace muster
