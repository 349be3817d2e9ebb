// One family with a sample for each row.
#ifndef MUSTER_HUB_METRICS_ROW_FAMILIES_H_
#define MUSTER_HUB_METRICS_ROW_FAMILIES_H_

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string_view>
#include <vector>

#include "hub/fleet/container_states.h"
#include "hub/fleet/exposed.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {

// Of a row without a sample.
inline constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

// What a row points to is spread over the heap: it is on its way while the rows before it are written.
inline void FetchText(std::string_view text) {
  constexpr std::size_t kLineBytes = 64;
  for (std::size_t at = 0; at < text.size(); at += kLineBytes) __builtin_prefetch(text.data() + at);
}
template <typename Row>
void Fetch(const Row& row) {
  FetchText(row.labels);
  if constexpr (requires { row.more; }) FetchText(row.more);
}

// `fetch` is for what `write` needs besides labels.
template <typename Row, typename Write, typename FetchMore>
void ForEach(const std::vector<Row>& rows, Write write, FetchMore fetch) {
  constexpr std::size_t kAhead = 20;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i + kAhead < rows.size()) {
      Fetch(rows[i + kAhead]);
      fetch(rows[i + kAhead]);
    }
    write(rows[i]);
  }
}
template <typename Row, typename Write>
void ForEach(const std::vector<Row>& rows, Write write) {
  ForEach(rows, write, [](const Row&) {});
}
template <typename Row, typename Write>
void ForEachWithFacts(const std::vector<Row>& rows, Write write) {
  ForEach(rows, write, [](const Row& row) { __builtin_prefetch(row.facts); });
}

template <typename Row, typename Value>
void WriteRows(PageWriter& page, const std::vector<Row>& rows, std::string_view name, FamilyType type,
               std::string_view unit, std::string_view help, Value value) {
  page.Family(name, type, help, unit);
  ForEach(rows, [&](const Row& row) {
    if (const double number = value(row); !std::isnan(number)) page.Sample(row.labels, number);
  });
}

// With the row's further labels.
template <typename Numbers, typename Value>
void WriteRows(PageWriter& page, const std::vector<ExposedPart<Numbers>>& rows, std::string_view name, FamilyType type,
               std::string_view unit, std::string_view help, Value value) {
  page.Family(name, type, help, unit);
  ForEach(rows, [&](const ExposedPart<Numbers>& row) {
    if (const double number = value(row.numbers); !std::isnan(number)) page.Sample(row.labels, row.more, number);
  });
}

// By position in kContainerStates.
inline constexpr std::array<std::string_view, kContainerStates.size()> kContainerStateLabels = {
    "state=\"created\"",  "state=\"dead\"",       "state=\"exited\"",  "state=\"paused\"",
    "state=\"removing\"", "state=\"restarting\"", "state=\"running\"", "state=\"other\""};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_ROW_FAMILIES_H_
