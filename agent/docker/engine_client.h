// The calls to the Docker Engine API that the agent makes, all of them GET: /_ping, /version, /containers/json,
// /containers/{id}/json, /containers/{id}/stats, /events. Paths carry no API version: every engine answers those with
// its own newest, and the fields read here are the same from 1.24 (Docker 1.12) on. Used by the observer's thread, by
// that of metrics, and by the probe.
#ifndef MUSTER_AGENT_DOCKER_ENGINE_CLIENT_H_
#define MUSTER_AGENT_DOCKER_ENGINE_CLIENT_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/docker/engine_decode.h"
#include "agent/docker/engine_types.h"
#include "agent/http/http_client.h"

namespace muster::agent {

// A row of the list has some 1.5 KiB: 5,000 containers.
inline constexpr std::size_t kMaxListBytes = 8 * 1024 * 1024;
// An inspection has some 6 KiB and 5 health outputs of 4 KiB at most; the rest is room for labels and environment.
inline constexpr std::size_t kMaxInspectBytes = 1024 * 1024;
// An event carries all labels of its container.
inline constexpr std::size_t kMaxEventLineBytes = 1024 * 1024;
// Some 3 KiB, and 200 bytes for each processor and network of the container.
inline constexpr std::size_t kMaxStatsBytes = 256 * 1024;
inline constexpr std::size_t kMaxSmallAnswerBytes = 64 * 1024;

// The reason code of "the engine does not know this container".
inline constexpr std::string_view kNoSuchContainer = "NO_SUCH_CONTAINER";

class EngineClient {
 public:
  struct Deadlines {
    absl::Duration list = absl::Seconds(10);
    // One stuck container must not hold up the others for long.
    absl::Duration inspect = absl::Seconds(3);
    absl::Duration stats = absl::Seconds(2);
    absl::Duration small = absl::Seconds(5);
    absl::Duration open_stream = absl::Seconds(10);
  };
  // `http` must outlive this.
  EngineClient(HttpClient* http, Deadlines deadlines) : http_(http), deadlines_(deadlines) {}

  absl::Status Ping();
  absl::StatusOr<EngineVersion> Version();
  absl::StatusOr<ContainerList> List();
  absl::StatusOr<Container> Inspect(std::string_view id);
  // Engines before API 1.41 take a second for it.
  absl::StatusOr<ContainerStats> Stats(std::string_view id);
  absl::StatusOr<std::unique_ptr<HttpStream>> OpenEvents();

 private:
  absl::StatusOr<std::string> Get(std::string target, absl::Duration deadline, std::size_t max_body_bytes);

  HttpClient* const http_;
  const Deadlines deadlines_;
};

// Whether the engine as a whole cannot be read, as opposed to one answer that is of no use.
bool IsEngineFailure(const absl::Status& status);

// What the operator reads: what failed and what to do.
std::string DescribeFault(const absl::Status& status, std::string_view socket_path);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_ENGINE_CLIENT_H_
