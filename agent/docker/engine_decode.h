// The Docker Engine API's JSON -> plain values. Takes bytes from outside and never throws: whatever cannot be read is
// an error (kDataLoss, reason BAD_JSON), whatever is missing or of another type has its default. Pure functions. Fuzzed
// by engine_decode_fuzz.cc. API: https://docs.docker.com/engine/api/v1.41/
#ifndef MUSTER_AGENT_DOCKER_ENGINE_DECODE_H_
#define MUSTER_AGENT_DOCKER_ENGINE_DECODE_H_

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/docker/engine_types.h"

namespace muster::agent {

// 20 times what one host runs; 5,000 containers of some 2 KiB are 10 MiB of memory.
inline constexpr std::size_t kMaxContainers = 5000;
// The answers of the engine nest 7 deep.
inline constexpr int kMaxJsonDepth = 40;

struct ContainerList {
  // All `partial`. Rows without a usable id are left out.
  std::vector<Container> containers;
  // Beyond kMaxContainers.
  int omitted = 0;
};

// GET /containers/json
absl::StatusOr<ContainerList> DecodeList(std::string_view body);
// GET /containers/{id}/json
absl::StatusOr<Container> DecodeInspect(std::string_view body);
// GET /containers/{id}/stats
absl::StatusOr<ContainerStats> DecodeStats(std::string_view body);
// One line of GET /events
absl::StatusOr<EngineEvent> DecodeEvent(std::string_view line);
// GET /version
absl::StatusOr<EngineVersion> DecodeVersion(std::string_view body);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_ENGINE_DECODE_H_
