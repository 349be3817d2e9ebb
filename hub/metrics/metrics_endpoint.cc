#include "hub/metrics/metrics_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "hub/http/error_response.h"
#include "hub/http/gzip.h"
#include "hub/http/query.h"
#include "hub/http/request_target.h"
#include "hub/metrics/metrics_format.h"
#include "hub/metrics/service_discovery.h"
#include "hub/metrics/target_page.h"

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
    : config_(std::move(config)),
      sources_(std::move(sources)),
      counters_(counters),
      clock_(clock),
      desk_(
          {.make = [this](const PageKey& key) { return MakePage(key); }, .version = sources_.version, .clock = clock}) {
}

void MetricsEndpoint::AddTo(HttpRouter* router) {
  Add(router, "/metrics", &MetricsEndpoint::HandlePage);
  Add(router, kTargetMetricsPath, &MetricsEndpoint::HandleTarget);
  Add(router, "/sd/targets", &MetricsEndpoint::HandleDiscovery);
  router->Add("GET", "/", [](const HttpRequest& /*request*/, const std::unique_ptr<HttpResponder>& responder) {
    responder->Send({.body = "This is a Muster hub's metrics listener:\n"
                             "  GET /metrics               the fleet and the hub\n"
                             "  GET /metrics/target?id=ID  one machine, under node_exporter's names\n"
                             "  GET /sd/targets            all machines, for Prometheus' http_sd\n"});
  });
}

void MetricsEndpoint::Add(HttpRouter* router, const char* path, Handler handler) {
  router->Add("GET", path, [this, handler](const HttpRequest& request, std::unique_ptr<HttpResponder> responder) {
    if (Allowed(request.BearerToken())) return (this->*handler)(request, std::move(responder));
    responder->Send(ErrorResponse(MakeError(
        absl::StatusCode::kUnauthenticated, "METRICS_TOKEN_REQUIRED",
        "send METRICS_BEARER_TOKEN, or a hub token that may read metrics, as \"Authorization: Bearer TOKEN\"")));
  });
}

bool MetricsEndpoint::Allowed(std::string_view token) const {
  if (!config_.token.has_value()) return true;
  if (token.empty()) return false;
  if (SameHash(HashSecret(token), *config_.token)) return true;
  return sources_.hub_token_allows && sources_.hub_token_allows(token);
}

std::string MetricsEndpoint::MakePage(const PageKey& key) const {
  const Instant start = clock_->Monotonic();
  sources_.begin();
  ScrapeInput input{.groups = PageGroups::FromBits(key.groups), .parts = sources_.parts};
  if (input.groups.NeedsFleet()) input.fleet = sources_.fleet();
  input.fleet.is_from_files = sources_.is_from_files;
  if (input.groups.Has(PageGroup::kLogs)) sources_.add_logs(&input.fleet);
  if (input.groups.Has(PageGroup::kHub)) {
    input.hub = sources_.hub();
    if (counters_ != nullptr) input.counters = counters_->Collect();
  }
  if (input.groups.Has(PageGroup::kProcess)) {
    if (auto process = ReadProcessStats(); process.ok()) input.process = *process;
  }
  std::string text;
  const std::unique_ptr<GzipStream> gzip = key.gzip ? GzipStream::Make() : nullptr;
  absl::Duration compressing;
  PageWriter page(key.format, [&](std::string_view block) {
    if (gzip == nullptr) {
      text += block;
      return;
    }
    const Instant begin = clock_->Monotonic();
    gzip->Write(block);
    compressing += clock_->Monotonic() - begin;
  });
  WriteExposition(input, page);
  page.Finish();
  if (counters_ != nullptr) counters_->Scrape(clock_->Monotonic() - start - compressing);
  return gzip == nullptr ? text : gzip->Finish();
}

void MetricsEndpoint::HandlePage(const HttpRequest& request, std::unique_ptr<HttpResponder> responder) {
  const absl::StatusOr<PageGroups> groups = ReadPageGroups(request.query);
  if (!groups.ok()) return responder->Send(ErrorResponse(groups.status()));
  const PageKey key{.format = ChooseFormat(request.Header("Accept")),
                    .gzip = AcceptsGzip(request.Header("Accept-Encoding")),
                    .groups = groups->bits()};
  // std::function wants to be copied.
  desk_.Ask(key, [key, answer = std::shared_ptr<HttpResponder>(std::move(responder))](
                     const absl::StatusOr<ScrapeDesk::Page>& page) {
    if (!page.ok()) {
      HttpResponse busy = ErrorResponse(page.status());
      busy.headers.push_back({"Retry-After", "5"});
      return answer->Send(std::move(busy));
    }
    HttpResponse response{.content_type = std::string(ContentTypeOf(key.format)), .shared_body = *page};
    response.headers.push_back({"Vary", "Accept, Accept-Encoding"});
    if (key.gzip) response.headers.push_back({"Content-Encoding", "gzip"});
    answer->Send(std::move(response));
  });
}

void MetricsEndpoint::HandleTarget(const HttpRequest& request, std::unique_ptr<HttpResponder> responder) {
  const std::string id = QueryValue(request.query, "id");
  if (id.empty()) {
    return responder->Send(ErrorResponse(MakeError(absl::StatusCode::kInvalidArgument, "TARGET_MISSING",
                                                   "say which target: /metrics/target?id=ID-or-name")));
  }
  const absl::StatusOr<Fleet::NamedHost> host = sources_.host(id);
  if (!host.ok()) return responder->Send(ErrorResponse(host.status()));
  const PageFormat format = ChooseFormat(request.Header("Accept"));
  std::string text;
  PageWriter page(format, [&](std::string_view block) { text += block; });
  WriteTargetPage(*host, page);
  responder->Send({.content_type = std::string(ContentTypeOf(format)), .body = std::move(text), .compressible = true});
}

void MetricsEndpoint::HandleDiscovery(const HttpRequest& request, std::unique_ptr<HttpResponder> responder) {
  std::string_view address = request.Header("Host");
  const std::string own = config_.address.ToString();
  if (address.empty()) address = own;  // HTTP/1.0
  responder->Send({.content_type = "application/json",
                   .body = WriteServiceDiscovery(address, sources_.organization, sources_.targets()),
                   .compressible = true});
}

HttpServerOptions MetricsListener(const MetricsConfig& config) {
  HttpServerOptions options;
  options.address = config.address;
  options.address_flag = "METRICS_ADDR";
  options.limits.max_body_bytes = 1024;
  options.limits.max_connections = 256;
  // Prometheus waits for 10 s, and never longer than its interval.
  options.limits.send_timeout = absl::Seconds(60);
  return options;
}

}  // namespace muster::hub
