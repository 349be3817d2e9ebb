// gRPC's failures as one sentence that says what to do. A pure function.
#ifndef MUSTER_AGENT_LINK_FAILURE_TEXT_H_
#define MUSTER_AGENT_LINK_FAILURE_TEXT_H_

#include <string>
#include <string_view>

namespace muster::agent {

// `code` and `message` are those of the grpc::Status that ended the stream to `hub`.
std::string LinkFailureText(std::string_view hub, int code, std::string_view message);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LINK_FAILURE_TEXT_H_
