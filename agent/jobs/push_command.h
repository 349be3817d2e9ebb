// `muster-agent push`: one push from the command line, repeated under the same id until the agent says that it is
// durable (docs/jobs.md).
#ifndef MUSTER_AGENT_JOBS_PUSH_COMMAND_H_
#define MUSTER_AGENT_JOBS_PUSH_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::agent {

// As written by a person.
struct RawPush {
  std::string group;
  // "NAME{label=\"value\"}=NUMBER"
  std::vector<std::string> counters;
  std::vector<std::string> gauges;
  // "NAME{..}=NUMBER,NUMBER"
  std::vector<std::string> observations;
  // "NAME=BOUND,BOUND"
  std::vector<std::string> buckets;
  // "NAME=TEXT"
  std::vector<std::string> help_texts;
  // "NAME=WORD"
  std::vector<std::string> units;
  bool success = false;
  bool failure = false;
  std::string period;
  std::string time_to_live;
  std::string id;
  std::string wait = "30s";
  std::string socket;
  std::string output = "table";
  bool from_stdin = false;
  bool deletes = false;
};

struct PushText {
  std::string id;
  // As the socket takes it.
  std::string request;
};
// `statements` are those of standard input. INVALID_ARGUMENT with reason USAGE: not a push at all. Other errors are
// what the agent would answer.
absl::StatusOr<PushText> MakePushText(const RawPush& raw, const std::string& statements);

// Where an agent may listen: `given`, else the places of the installation.
std::vector<std::string> PushSocketPaths(const std::string& given);

// The answer's first line without its end. Sends again while there is no answer, or one that says to. UNAVAILABLE: no
// agent in all that time; DEADLINE_EXCEEDED: no answer.
absl::StatusOr<std::string> SendPush(const std::vector<std::string>& paths, const std::string& request,
                                     absl::Duration wait);

// The whole command; its exit code: 0 durable, 1 refused, 2 usage, 6 no answer in time, 7 no agent.
int RunPush(const RawPush& raw);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_PUSH_COMMAND_H_
