// Figures of benchmarks: each is printed with its limit, what it was measured beside, and whether that holds. Where
// MUSTER_FIGURES names a file it is added there as a line of JSON, which tests/bench/runner makes the report of.
// tests/bench/figures.py is the same for Python, and describes the members. One thread at a time.
#ifndef MUSTER_COMMON_TESTING_FIGURES_H_
#define MUSTER_COMMON_TESTING_FIGURES_H_

#include <optional>
#include <string>

namespace muster {

// At most one of the two.
struct Bound {
  std::optional<double> at_most = std::nullopt;
  std::optional<double> at_least = std::nullopt;

  bool Holds(double value) const {
    return (!at_most.has_value() || value <= *at_most) && (!at_least.has_value() || value >= *at_least);
  }
  bool IsNone() const { return !at_most.has_value() && !at_least.has_value(); }
};
inline Bound AtMost(double limit) { return {.at_most = limit}; }
inline Bound AtLeast(double limit) { return {.at_least = limit}; }

// The least that can be done, measured in the same run: a plain loop, another program.
struct Beside {
  std::string what;
  // In the figure's unit.
  double value = 0;
  // Of the figure to this. Absent: of the two values; else of many runs in turns.
  std::optional<double> ratio = std::nullopt;
};

struct Figure {
  // What it is of, the same in each run.
  std::string name;
  double value = 0;
  std::string unit = {};
  std::optional<Beside> beside = std::nullopt;
  Bound must = {};
  Bound ratio_must = {};
  // Follows from the bounds where there are any.
  bool more_is_better = false;
};

class Figures {
 public:
  Figures();

  // Prints it, and writes it down. False: it misses what it must be.
  bool Tell(const Figure& figure);

  // Of the program: 1 when a figure was missed.
  int ExitCode() const { return is_missed_ ? 1 : 0; }

 private:
  const std::string path_;
  bool is_missed_ = false;
};

// The figure's line of JSON, without the end of the line.
std::string ToJson(const Figure& figure);
// The figure for people.
std::string ToText(const Figure& figure);

}  // namespace muster

#endif  // MUSTER_COMMON_TESTING_FIGURES_H_
