// Pushes as text, for tests.
#ifndef MUSTER_AGENT_JOBS_TESTING_PUSHES_H_
#define MUSTER_AGENT_JOBS_TESTING_PUSHES_H_

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "agent/jobs/push_parser.h"

namespace muster::agent {

inline std::vector<PushRequest> ParseAll(const std::string& text, std::size_t piece = std::string::npos) {
  PushParser parser;
  std::vector<PushRequest> requests;
  for (std::size_t at = 0; at < text.size(); at += std::min(piece, text.size())) {
    parser.Feed(std::string_view(text).substr(at, piece), &requests);
  }
  return requests;
}

// "push GROUP ..." and statements, without `end`; must be understood.
inline Push PushOf(const std::string& text) {
  std::vector<PushRequest> requests = ParseAll(text + "\nend\n");
  if (requests.size() != 1 || requests[0].kind != PushRequest::Kind::kPush) std::abort();
  return std::move(requests[0].push);
}

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_TESTING_PUSHES_H_
