// muster-agent: reports one host to a hub. The wiring is in agent.cc.
#include "absl/synchronization/mutex.h"
#include "agent/command_line.h"

int main(int argc, char** argv) {
  // Debian builds Abseil with the deadlock check on, which gRPC pays for at every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return muster::agent::RunCommandLine(argc, argv);
}
