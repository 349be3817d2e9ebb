// The command line of muster-agent.
#ifndef MUSTER_AGENT_COMMAND_LINE_H_
#define MUSTER_AGENT_COMMAND_LINE_H_

namespace muster::agent {

// Returns the exit code: 0 done, 1 failed, 2 wrong usage or configuration, 5 not connected (status).
int RunCommandLine(int argc, char** argv);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_COMMAND_LINE_H_
