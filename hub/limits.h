// What the process may use, as the machine has set it.
#ifndef MUSTER_HUB_LIMITS_H_
#define MUSTER_HUB_LIMITS_H_

#include <cstddef>

namespace muster::hub {

// Raises the soft limit of descriptors to the hard one and tells how many agents fit: a session is one descriptor, and
// 800 are left for the databases, the HTTP sides (512 connections each, of which metrics have few) and the process.
std::size_t MaxSessions();

}  // namespace muster::hub

#endif  // MUSTER_HUB_LIMITS_H_
