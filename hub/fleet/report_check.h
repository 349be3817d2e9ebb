// What an agent reports, checked and brought within limits before the hub believes it. Pure functions; used by Target.
#ifndef MUSTER_HUB_FLEET_REPORT_CHECK_H_
#define MUSTER_HUB_FLEET_REPORT_CHECK_H_

#include <string>
#include <vector>

#include "muster/agent/v1/agent.pb.h"
#include "muster/types/v1/types.pb.h"

namespace muster::hub {

// Empty, or what breaks the contract: too many deployments, a missing or repeated key, a status no agent may report.
std::string FindDefect(const agent::v1::DeploymentSnapshot& snapshot);

// Texts cut and made valid UTF-8, resources cut to their limit, times brought into the years 1 to 9999.
agent::v1::DeploymentState CleanReport(const agent::v1::DeploymentState& raw);
agent::v1::JournalDepth CleanJournal(const agent::v1::JournalDepth& raw);
// Epochs and lanes that Hello may list.
inline constexpr int kMaxListedPositions = 1000;
// What Hello tells of its journal, within bounds.
std::vector<agent::v1::LanePosition> ListedPositions(const agent::v1::Hello& hello);
types::v1::MachineFacts CleanMachine(const types::v1::MachineFacts& raw);

}  // namespace muster::hub

#endif  // MUSTER_HUB_FLEET_REPORT_CHECK_H_
