// The running hub: every part, built in the order in which one needs the other, and stopped in the reverse. The wiring
// diagram of this program; there is no logic here.
#ifndef MUSTER_HUB_HUB_H_
#define MUSTER_HUB_HUB_H_

#include <memory>

#include "absl/status/statusor.h"
#include "hub/config.h"

namespace muster::hub {

class Hub {
 public:
  virtual ~Hub() = default;
  // Everything is listening when it returns; errors say what to do. One hub per process.
  static absl::StatusOr<std::unique_ptr<Hub>> Start(const Config& config);
  // Farewell to the agents, what is queued to the disk, then closed.
  virtual void Stop() = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HUB_H_
