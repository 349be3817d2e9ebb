#include "common/testing/benchmark_main.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace muster {
namespace {

// Prints as usual, and remembers.
class Remembering : public benchmark::ConsoleReporter {
 public:
  Remembering() : ConsoleReporter(OO_Tabular) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) has_failed_ = true;
      if (run.run_type == Run::RT_Iteration) runs_.push_back(run);
    }
    ConsoleReporter::ReportRuns(runs);
  }
  const std::vector<Run>& runs() const { return runs_; }
  bool has_failed() const { return has_failed_; }

 private:
  std::vector<Run> runs_;
  bool has_failed_ = false;
};

using Run = Remembering::Run;

// Its arguments by the label that the benchmark gave them, where it gave one.
std::string NameOf(const Run& run) {
  const std::string& arguments = run.report_label.empty() ? run.run_name.args : run.report_label;
  return arguments.empty() ? run.run_name.function_name : run.run_name.function_name + '/' + arguments;
}

std::optional<double> ValueOf(const Run& run, const BenchmarkFigure& figure) {
  if (figure.counter.empty()) return run.GetAdjustedCPUTime();
  const auto found = run.counters.find(figure.counter);
  if (found == run.counters.end()) return std::nullopt;
  return found->second.value * figure.scale;
}

std::optional<Beside> BesideOf(const BenchmarkFigure& figure, std::string_view arguments,
                               const std::vector<Run>& runs) {
  std::string name = figure.beside;
  if (name.ends_with('/')) name += arguments;
  for (const Run& run : runs) {
    if (NameOf(run) != name) continue;
    if (const auto value = ValueOf(run, figure)) return Beside{.what = name, .value = *value};
  }
  return std::nullopt;
}

void Tell(const BenchmarkFigure& figure, const std::vector<Run>& runs, Figures* figures) {
  for (const Run& run : runs) {
    const std::string name = NameOf(run);
    if (name != figure.benchmark && !name.starts_with(figure.benchmark + '/')) continue;
    const std::optional<double> value = ValueOf(run, figure);
    if (!value) continue;
    const std::string_view arguments =
        std::string_view(name).substr(std::min(name.size(), figure.benchmark.size() + 1));
    Figure told{.name = name, .value = *value, .unit = figure.unit, .must = figure.must};
    if (told.unit.empty() && figure.counter.empty()) told.unit = benchmark::GetTimeUnitString(run.time_unit);
    if (!figure.beside.empty()) {
      told.beside = BesideOf(figure, arguments, runs);
      if (!told.beside) continue;
      told.ratio_must = figure.ratio_must;
    }
    told.more_is_better = figure.more_is_better;
    figures->Tell(told);
  }
}

}  // namespace

int RunBenchmarks(int argc, char** argv, const std::vector<BenchmarkFigure>& figures) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  Remembering reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  Figures told;
  for (const BenchmarkFigure& figure : figures) Tell(figure, reporter.runs(), &told);
  return reporter.has_failed() ? 1 : told.ExitCode();
}

}  // namespace muster
