// One family with a sample for each row.
#ifndef MUSTER_HUB_METRICS_ROW_FAMILIES_H_
#define MUSTER_HUB_METRICS_ROW_FAMILIES_H_

#include <array>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "hub/fleet/container_states.h"
#include "hub/fleet/exposed.h"
#include "hub/metrics/page_writer.h"

namespace muster::hub {

// Of a row without a sample.
inline constexpr double kAbsent = std::numeric_limits<double>::quiet_NaN();

template <typename Row, typename Value>
void WriteRows(PageWriter& page, const std::vector<Row>& rows, std::string_view name, FamilyType type,
               std::string_view unit, std::string_view help, Value value) {
  page.Family(name, type, help, unit);
  for (const Row& row : rows) {
    if (const double number = value(row); !std::isnan(number)) page.Sample(row.labels, number);
  }
}

// With the row's further labels.
template <typename Numbers, typename Value>
void WriteRows(PageWriter& page, const std::vector<ExposedPart<Numbers>>& rows, std::string_view name, FamilyType type,
               std::string_view unit, std::string_view help, Value value) {
  page.Family(name, type, help, unit);
  for (const ExposedPart<Numbers>& row : rows) {
    if (const double number = value(row.numbers); !std::isnan(number)) page.Sample(row.labels, row.more, number);
  }
}

// By position in kContainerStates.
inline constexpr std::array<std::string_view, kContainerStates.size()> kContainerStateLabels = {
    "state=\"created\"",  "state=\"dead\"",       "state=\"exited\"",  "state=\"paused\"",
    "state=\"removing\"", "state=\"restarting\"", "state=\"running\"", "state=\"other\""};

}  // namespace muster::hub

#endif  // MUSTER_HUB_METRICS_ROW_FAMILIES_H_
