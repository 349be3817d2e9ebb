// The schema of metrics.db. docs/host-metrics.md, "metrics.db", describes the tables.
#ifndef MUSTER_HUB_SAMPLES_METRIC_SCHEMA_H_
#define MUSTER_HUB_SAMPLES_METRIC_SCHEMA_H_

#include "hub/store/migration.h"

namespace muster::hub {

const Schema& MetricSchema();

}  // namespace muster::hub

#endif  // MUSTER_HUB_SAMPLES_METRIC_SCHEMA_H_
