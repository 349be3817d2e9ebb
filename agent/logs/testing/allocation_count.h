// How often the program that this is linked into has called operator new. For tests of code that must not.
#ifndef MUSTER_AGENT_LOGS_TESTING_ALLOCATION_COUNT_H_
#define MUSTER_AGENT_LOGS_TESTING_ALLOCATION_COUNT_H_

#include <cstdint>

namespace muster::agent {

// Of all threads.
std::int64_t AllocationCount();

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_TESTING_ALLOCATION_COUNT_H_
