#include "hub/metrics/metrics_endpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "hub/http/server.h"
#include "hub/http/testing/raw_client.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class MetricsEndpointTest : public ::testing::Test {
 protected:
  void Start(const std::map<std::string, std::string>& environment) {
    const auto config = ReadMetricsConfig([&](const std::string& name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional(found->second);
    });
    ASSERT_TRUE(config.ok()) << config.status();
    endpoint_ = std::make_unique<MetricsEndpoint>(
        *config,
        MetricsSources{
            .organization = "Vendor",
            .fleet = [] { return ExposedFleet(); },
            .add_logs = [](ExposedFleet*) {},
            .hub = [] { return HubGauges{.organizations = 1, .open_sessions = 7}; },
            .version = [this] { return version_.load(); },
            .targets = [] { return std::vector<Fleet::TargetName>{{.id = "tgt_1", .name = "edge", .customer = ""}}; },
            .host = [](std::string_view id) -> absl::StatusOr<Fleet::NamedHost> {
              if (id == "tgt_1") return Fleet::NamedHost();
              if (id == "away") return MakeError(absl::StatusCode::kUnavailable, "HOST_NOT_PRESENT", "it is stale");
              return MakeError(absl::StatusCode::kNotFound, "TARGET_NOT_FOUND", "there is none");
            },
            .hub_token_allows = [](std::string_view token) { return token == "mtk_metrics"; }},
        &counters_, &clock_);
    endpoint_->AddTo(&router_);
    HttpServerOptions listener = MetricsListener({.address = {.host = "127.0.0.1", .port = 0}, .token = {}});
    listener.limits.send_timeout = absl::Milliseconds(200);
    server_ = *HttpServer::Start(std::move(listener), &router_);
  }
  std::string Scrape(const std::string& headers, const std::string& target = "/metrics",
                     const std::string& method = "GET") {
    RawClient client(server_->address().port);
    client.Send(
        fmt::format("{} {} HTTP/1.1\r\nHost: hub:3000\r\nConnection: close\r\n{}\r\n", method, target, headers));
    return client.ReadAll();
  }

  FakeClock clock_;
  std::atomic<std::int64_t> version_{1};
  HubMetrics counters_;
  HttpRouter router_;
  std::unique_ptr<MetricsEndpoint> endpoint_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(MetricsEndpointTest, AnswersWithTheContentTypeToTheLetter) {
  Start({});
  const std::string page = Scrape("");
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(page, HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("\ndistr_hub_sessions 7\n"));
  EXPECT_THAT(page, HasSubstr("\nprocess_open_fds "));
  EXPECT_THAT(Scrape("Accept-Encoding: gzip\r\n"), HasSubstr("Content-Encoding: gzip\r\n"));
}

TEST_F(MetricsEndpointTest, AsksForTheTokenWhenOneIsSet) {
  Start({{"METRICS_BEARER_TOKEN", "s3cret"}});
  for (const char* headers : {"", "Authorization: Bearer wrong\r\n", "Authorization: Bearer \r\n",
                              "Authorization: Basic s3cret\r\n", "Authorization: Bearer s3cre\r\n"}) {
    const std::string refused = Scrape(headers);
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 401")) << headers;
    EXPECT_THAT(refused, HasSubstr("WWW-Authenticate: Bearer\r\n"));
    EXPECT_THAT(refused, Not(HasSubstr("distr_")));
  }
  EXPECT_THAT(Scrape("Authorization: Bearer s3cret\r\n"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Scrape("Authorization: Bearer mtk_metrics\r\n"), StartsWith("HTTP/1.1 200"));
}

TEST_F(MetricsEndpointTest, CountsItsScrapes) {
  Start({});
  Scrape("");
  ++version_;
  EXPECT_THAT(Scrape(""), HasSubstr("distr_hub_scrape_seconds_count 1\n"));
}

TEST_F(MetricsEndpointTest, SpeaksOpenMetricsWhenAsked) {
  Start({});
  const std::string page = Scrape("Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
  EXPECT_THAT(page, HasSubstr("Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
  EXPECT_THAT(page, HasSubstr("\n# EOF\n"));
  EXPECT_THAT(Scrape("Accept: text/plain\r\n"), Not(HasSubstr("# EOF")));
}

TEST_F(MetricsEndpointTest, FiltersAndNamesTheGroups) {
  Start({});
  const std::string page = Scrape("", "/metrics?collect%5B%5D=process");
  EXPECT_THAT(page, HasSubstr("process_open_fds"));
  EXPECT_THAT(page, Not(HasSubstr("distr_hub_info")));
  const std::string refused = Scrape("", "/metrics?collect[]=nonsense");
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(refused, HasSubstr("the groups are deployments, targets"));
}

TEST_F(MetricsEndpointTest, ServesTargetsByIdOrSaysWhyNot) {
  Start({});
  EXPECT_THAT(Scrape("", "/metrics/target?id=tgt_1"), HasSubstr("node_time_seconds"));
  EXPECT_THAT(Scrape("", "/metrics/target?id=away"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(Scrape("", "/metrics/target?id=nobody"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Scrape("", "/metrics/target"), StartsWith("HTTP/1.1 400"));
}

TEST_F(MetricsEndpointTest, DiscoveryNamesTheListenerAsTheClientDoes) {
  Start({});
  const std::string page = Scrape("", "/sd/targets");
  EXPECT_THAT(page, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(page, HasSubstr("\"targets\":[\"hub:3000\"]"));
}

TEST_F(MetricsEndpointTest, EveryPageAsksForTheToken) {
  Start({{"METRICS_BEARER_TOKEN", "s3cret"}});
  for (const char* path : {"/metrics", "/metrics/target?id=tgt_1", "/metrics/target?id=nobody", "/sd/targets"}) {
    EXPECT_THAT(Scrape("", path), StartsWith("HTTP/1.1 401")) << path;
    EXPECT_THAT(Scrape("Authorization: Bearer s3cret\r\n", path), Not(StartsWith("HTTP/1.1 401"))) << path;
  }
}

TEST_F(MetricsEndpointTest, HeadHasTheLengthAndNoBody) {
  Start({});
  const std::string head = Scrape("", "/metrics?collect[]=hub", "HEAD");
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(head, Not(HasSubstr("distr_")));
  EXPECT_THAT(head, Not(HasSubstr("Content-Length: 0\r\n")));
}

TEST_F(MetricsEndpointTest, HalfOpenScrapersKeepNobodyWaiting) {
  Start({});
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int i = 0; i < 30; ++i) {
    idle.push_back(std::make_unique<RawClient>(server_->address().port));
    // Some say nothing, some half a request, some ask and never read.
    if (i % 3 == 1) idle.back()->Send("GET /metrics HTTP/1.1\r\nHost: h\r\n");
    if (i % 3 == 2) idle.back()->Send("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  for (int i = 0; i < 20; ++i) {
    ++version_;
    EXPECT_THAT(Scrape(""), StartsWith("HTTP/1.1 200"));
  }
}

TEST(ReadMetricsConfig, HasDistrsDefaults) {
  const auto config = ReadMetricsConfig([](const std::string&) { return std::nullopt; });
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->enabled);
  EXPECT_EQ(config->address.ToString(), ":3000");
  EXPECT_FALSE(config->token.has_value());
}

TEST(ReadMetricsConfig, NamesTheVariableThatIsWrong) {
  const struct { const char *name, *value; } cases[] = {{"METRICS_ENABLED", "maybe"}, {"METRICS_ADDR", "nonsense"}};
  for (const auto& c : cases) {
    const auto config = ReadMetricsConfig([&](const std::string& name) -> std::optional<std::string> {
      return name == c.name ? std::optional<std::string>(c.value) : std::nullopt;
    });
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(MessageOf(config.status()), HasSubstr(c.name));
  }
}

}  // namespace
}  // namespace muster::hub
