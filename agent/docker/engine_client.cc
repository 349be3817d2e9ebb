#include "agent/docker/engine_client.h"

#include <fmt/format.h>

#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxQuotedBodyBytes = 200;
// {"type":["container"]}
constexpr std::string_view kEventsTarget = "/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D";

}  // namespace

absl::StatusOr<std::string> EngineClient::Get(std::string target, absl::Duration deadline, std::size_t max_body_bytes) {
  absl::StatusOr<HttpResponse> response =
      http_->Get({.target = target, .deadline = deadline, .max_body_bytes = max_body_bytes});
  if (!response.ok()) return Annotate(response.status(), fmt::format("GET {}", target));
  if (response->code == 200) return std::move(response->body);
  return MakeError(
      response->code == 404 ? absl::StatusCode::kNotFound : absl::StatusCode::kInternal, "HTTP_CODE",
      fmt::format("GET {}: HTTP {} {}", target, response->code, CleanUtf8(response->body, kMaxQuotedBodyBytes)));
}

absl::Status EngineClient::Ping() { return Get("/_ping", deadlines_.small, kMaxSmallAnswerBytes).status(); }

absl::StatusOr<EngineVersion> EngineClient::Version() {
  ASSIGN_OR_RETURN(const std::string body, Get("/version", deadlines_.small, kMaxSmallAnswerBytes));
  return DecodeVersion(body);
}

absl::StatusOr<ContainerList> EngineClient::List() {
  ASSIGN_OR_RETURN(const std::string body, Get("/containers/json?all=1", deadlines_.list, kMaxListBytes));
  return DecodeList(body);
}

absl::StatusOr<Container> EngineClient::Inspect(std::string_view id) {
  absl::StatusOr<std::string> body = Get(fmt::format("/containers/{}/json", id), deadlines_.inspect, kMaxInspectBytes);
  if (!body.ok() && body.status().code() == absl::StatusCode::kNotFound && ReasonOf(body.status()) == "HTTP_CODE") {
    return MakeError(absl::StatusCode::kNotFound, kNoSuchContainer, MessageOf(body.status()));
  }
  if (!body.ok()) return body.status();
  return DecodeInspect(*body);
}

absl::StatusOr<ContainerStats> EngineClient::Stats(std::string_view id) {
  ASSIGN_OR_RETURN(const std::string body, Get(fmt::format("/containers/{}/stats?stream=false&one-shot=true", id),
                                               deadlines_.stats, kMaxStatsBytes));
  return DecodeStats(body);
}

absl::StatusOr<std::unique_ptr<HttpStream>> EngineClient::OpenEvents() {
  auto stream = http_->OpenStream({.target = std::string(kEventsTarget), .deadline = deadlines_.open_stream});
  if (!stream.ok()) return Annotate(stream.status(), "GET /events");
  return stream;
}

bool IsEngineFailure(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kCancelled:
      return true;
    case absl::StatusCode::kNotFound:
      return ReasonOf(status) != kNoSuchContainer;
    default:
      return false;
  }
}

std::string DescribeFault(const absl::Status& status, std::string_view socket_path) {
  const std::string reason = ReasonOf(status);
  const auto say = [&](std::string_view what_to_do) {
    return fmt::format("docker socket {}: {}", socket_path, what_to_do);
  };
  if (reason == "SOCKET_MISSING") {
    return say("does not exist. Start the Docker engine, or run the agent with --runtime none");
  }
  if (reason == "SOCKET_FORBIDDEN") {
    return say(
        "permission denied. Add the agent's user to the group that owns the socket (usermod -aG docker USER) and "
        "restart the agent, or run it as root");
  }
  if (reason == "NO_ANSWER") {
    return say(
        fmt::format("the Docker engine does not answer ({}). If this lasts, look at its log (journalctl -u docker) "
                    "and restart it",
                    MessageOf(status)));
  }
  if (reason == "ANSWER_TOO_LARGE") {
    return say(
        fmt::format("the Docker engine's answer is too large ({}). Remove containers that are no longer needed "
                    "(docker container prune)",
                    MessageOf(status)));
  }
  if (reason == "BAD_JSON" || reason == "BAD_HTTP") {
    return say(
        fmt::format("the answer is not the Docker Engine API's ({}). Look at what listens there", MessageOf(status)));
  }
  if (reason == "HTTP_CODE") {
    return say(
        fmt::format("the Docker engine refuses ({}). Look at its log (journalctl -u docker)", MessageOf(status)));
  }
  return say(
      fmt::format("the Docker engine cannot be reached ({}). Start it (systemctl start docker)", MessageOf(status)));
}

}  // namespace muster::agent
