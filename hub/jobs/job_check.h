// What agents say of jobs, looked at before it is stored, and the only arithmetic that the hub does with it. Pure
// functions.
#ifndef MUSTER_HUB_JOBS_JOB_CHECK_H_
#define MUSTER_HUB_JOBS_JOB_CHECK_H_

#include <string>
#include <vector>

#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

// Empty, or what makes this no report at all: the agent has broken the contract.
std::string FindDefect(const agent::v1::JobReport& report);

// Leaves only what can be shown: families and series of which Prometheus would refuse a page go, texts are cut. Says
// what went, a sentence for each family.
std::vector<std::string> CleanGroup(agent::v1::JobGroup* group);

// `told` with the totals that a former store of the agent had counted: runs, counters, and histograms with the same
// buckets. Of `base` nothing else stays, and only so many series that the whole keeps its limit.
agent::v1::JobGroup AddTotals(const agent::v1::JobGroup& base, agent::v1::JobGroup told);

// As they count against limits.
int SeriesOf(const agent::v1::JobFamily& family);

}  // namespace muster::hub

#endif  // MUSTER_HUB_JOBS_JOB_CHECK_H_
