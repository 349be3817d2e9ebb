#include "common/testing/figures.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>

namespace muster {
namespace {

double RatioOf(const Figure& figure) { return figure.beside->ratio.value_or(figure.value / figure.beside->value); }

bool IsJudged(const Figure& figure) { return !figure.must.IsNone() || !figure.ratio_must.IsNone(); }

bool Holds(const Figure& figure) {
  return figure.must.Holds(figure.value) && (!figure.beside || figure.ratio_must.Holds(RatioOf(figure)));
}

bool IsMoreBetter(const Figure& figure) {
  return figure.more_is_better || figure.must.at_least || figure.ratio_must.at_least;
}

// Three digits that matter, no exponent.
std::string Show(double value) {
  return std::abs(value) >= 1000 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value);
}

std::string Show(const Bound& bound) {
  if (bound.at_most) return fmt::format(", must be at most {:.15g}", *bound.at_most);
  if (bound.at_least) return fmt::format(", must be at least {:.15g}", *bound.at_least);
  return "";
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// JSON knows no numbers that are none.
std::string Number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

void AddBound(std::string_view prefix, const Bound& bound, std::string& json) {
  if (bound.at_most) json += fmt::format(R"(,"{}at_most":{})", prefix, Number(*bound.at_most));
  if (bound.at_least) json += fmt::format(R"(,"{}at_least":{})", prefix, Number(*bound.at_least));
}

std::string PathFromEnvironment() {
  const char* path = std::getenv("MUSTER_FIGURES");
  return path == nullptr ? "" : path;
}

}  // namespace

std::string ToJson(const Figure& figure) {
  std::string json = fmt::format(R"({{"name":{},"value":{},"unit":{},"better":"{}")", Quoted(figure.name),
                                 Number(figure.value), Quoted(figure.unit), IsMoreBetter(figure) ? "more" : "less");
  AddBound("", figure.must, json);
  if (figure.beside) {
    json += fmt::format(R"(,"beside":{},"beside_value":{},"ratio":{})", Quoted(figure.beside->what),
                        Number(figure.beside->value), Number(RatioOf(figure)));
    AddBound("ratio_", figure.ratio_must, json);
  }
  if (IsJudged(figure)) json += fmt::format(R"(,"ok":{})", Holds(figure));
  return json + '}';
}

std::string ToText(const Figure& figure) {
  const char* judged = !IsJudged(figure) ? "" : Holds(figure) ? "ok" : "MISS";
  const std::string unit = figure.unit.empty() ? "" : ' ' + figure.unit;
  std::string text = fmt::format("{:4} {}: {}{}{}", judged, figure.name, Show(figure.value), unit, Show(figure.must));
  if (figure.beside) {
    text += fmt::format("; {} of {} ({}{}){}", Show(RatioOf(figure)), figure.beside->what, Show(figure.beside->value),
                        unit, Show(figure.ratio_must));
  }
  return text;
}

Figures::Figures() : path_(PathFromEnvironment()) {}

bool Figures::Tell(const Figure& figure) {
  std::printf("%s\n", ToText(figure).c_str());
  std::fflush(stdout);
  if (!path_.empty()) std::ofstream(path_, std::ios::app) << ToJson(figure) << '\n';
  const bool holds = Holds(figure);
  is_missed_ = is_missed_ || !holds;
  return holds;
}

}  // namespace muster
