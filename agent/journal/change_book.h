// Compares each picture of the deployments with the one before: gives every change its time and makes the transitions
// that record it. Plain logic; not thread-safe.
#ifndef MUSTER_AGENT_JOURNAL_CHANGE_BOOK_H_
#define MUSTER_AGENT_JOURNAL_CHANGE_BOOK_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/present.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

class ChangeBook {
 public:
  // Stamps change_time on every deployment of the picture. Returns one transition for each deployment whose status,
  // application version, revision or gone changed, and for each that is listed no more although nothing is omitted. In
  // the first picture everything is a change: nobody knows what happened before. A picture with a fault changes
  // nothing.
  std::vector<v1::Record> Update(absl::Time now, Present* present);

 private:
  struct Known {
    v1::DeploymentState state;  // without resources: history does not keep them
    absl::Time change_time;
    bool is_removed = false;
  };

  bool UpdateOne(absl::Time now, v1::DeploymentState* state);
  void ForgetRemoved();

  // Removed ones stay for their change_time, which must rise when they come back.
  std::map<std::string, Known> known_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOURNAL_CHANGE_BOOK_H_
