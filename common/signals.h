// Ending a process on SIGTERM or SIGINT without doing work in a signal handler.
#ifndef MUSTER_COMMON_SIGNALS_H_
#define MUSTER_COMMON_SIGNALS_H_

namespace muster {

// Blocks SIGTERM and SIGINT in this thread and those it starts later, and ignores SIGPIPE. Call first in main.
void BlockTerminationSignals();

// Waits for SIGTERM or SIGINT and returns its number. A second signal afterwards ends the process at once.
int WaitForTermination();

}  // namespace muster

#endif  // MUSTER_COMMON_SIGNALS_H_
