// Sentences about what is wrong with a deployment, within the bytes that a picture has for them. Pure functions; used
// by the status rules of agent/docker and agent/kubernetes.
#ifndef MUSTER_AGENT_DEPLOYMENTS_MESSAGES_H_
#define MUSTER_AGENT_DEPLOYMENTS_MESSAGES_H_

#include <string>
#include <vector>

namespace muster::agent {

// "web-1 is unhealthy: connection refused"
struct Complaint {
  std::string name;
  std::string reason;
  // What a check or a registry said; left out first when the room is short. May be empty.
  std::string output;
};

// "a is dead; b exited with code 1; and 3 more": at most kMaxMessageBytes of valid UTF-8.
std::string MessageAbout(const std::vector<Complaint>& complaints);

// "exited with code 137 (stopped by SIGKILL)"
std::string ExitReason(int code);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DEPLOYMENTS_MESSAGES_H_
