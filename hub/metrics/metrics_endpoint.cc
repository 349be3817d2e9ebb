#include "hub/metrics/metrics_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "hub/http/error_response.h"

namespace muster::hub {
namespace {

absl::StatusOr<bool> ParseSwitch(const std::string& name, std::string text) {
  text = Trim(text);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view yes : {"true", "1", "t", "yes", "on"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"", "false", "0", "f", "no", "off"}) {
    if (text == no) return false;
  }
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_SETTING",
                   fmt::format("{} is {:?}: set it to true or false", name, text));
}

}  // namespace

absl::StatusOr<MetricsConfig> ReadMetricsConfig(
    const std::function<std::optional<std::string>(const std::string& name)>& getenv) {
  MetricsConfig config;
  ASSIGN_OR_RETURN(config.enabled, ParseSwitch("METRICS_ENABLED", getenv("METRICS_ENABLED").value_or("")));
  if (const std::string address = Trim(getenv("METRICS_ADDR").value_or("")); !address.empty()) {
    auto parsed = ParseHostPort(address);
    if (!parsed.ok()) {
      return MakeError(absl::StatusCode::kInvalidArgument, "BAD_SETTING",
                       fmt::format("METRICS_ADDR: {}", MessageOf(parsed.status())));
    }
    config.address = *std::move(parsed);
  }
  if (const auto token = getenv("METRICS_BEARER_TOKEN"); token.has_value() && !Trim(*token).empty()) {
    config.token = HashSecret(Trim(*token));
  }
  return config;
}

MetricsEndpoint::MetricsEndpoint(MetricsConfig config, MetricsSources sources, HubMetrics* counters, const Clock* clock)
    : config_(std::move(config)), sources_(std::move(sources)), counters_(counters), clock_(clock) {}

void MetricsEndpoint::AddTo(HttpRouter* router) {
  router->Add("GET", "/metrics", this);
  router->Add("GET", "/", [](const HttpRequest& /*request*/, const std::unique_ptr<HttpResponder>& responder) {
    responder->Send({.body = "This is a Muster hub's metrics listener: GET /metrics\n"});
  });
}

bool MetricsEndpoint::Allowed(std::string_view token) const {
  if (!config_.token.has_value()) return true;
  if (token.empty()) return false;
  if (SameHash(HashSecret(token), *config_.token)) return true;
  return sources_.hub_token_allows && sources_.hub_token_allows(token);
}

void MetricsEndpoint::Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) {
  if (!Allowed(request.BearerToken())) {
    return responder->Send(ErrorResponse(MakeError(
        absl::StatusCode::kUnauthenticated, "METRICS_TOKEN_REQUIRED",
        "send METRICS_BEARER_TOKEN, or a hub token that may read metrics, as \"Authorization: Bearer TOKEN\"")));
  }
  const Instant start = clock_->Monotonic();
  ScrapeInput input{
      .fleet = sources_.fleet(), .hub = sources_.hub(), .logs = sources_.logs(), .counters = counters_->Collect()};
  if (auto process = ReadProcessStats(); process.ok()) input.process = *process;
  std::string page = WriteExposition(input);
  counters_->Scrape(clock_->Monotonic() - start);
  responder->Send({.content_type = kExpositionContentType, .body = std::move(page), .compressible = true});
}

}  // namespace muster::hub
