// The schema of logs.db. docs/logs.md, "The store", describes the tables.
#ifndef MUSTER_HUB_LOGS_LOG_SCHEMA_H_
#define MUSTER_HUB_LOGS_LOG_SCHEMA_H_

#include "hub/store/migration.h"

namespace muster::hub {

const Schema& LogSchema();

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_LOG_SCHEMA_H_
