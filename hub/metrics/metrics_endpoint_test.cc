#include "hub/metrics/metrics_endpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

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
        MetricsSources{.fleet = [] { return FleetSnapshot{.taken = {}, .organization = "Vendor", .targets = {}}; },
                       .hub = [] { return HubGauges{.organizations = 1, .open_sessions = 7}; },
                       .logs = [] { return LogCountsByTarget(); },
                       .hub_token_allows = [](std::string_view token) { return token == "mtk_metrics"; }},
        &counters_, &clock_);
    endpoint_->AddTo(&router_);
    server_ = *HttpServer::Start({.address = {.host = "127.0.0.1", .port = 0}}, &router_);
  }
  std::string Scrape(const std::string& headers) {
    RawClient client(server_->address().port);
    client.Send(fmt::format("GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}\r\n", headers));
    return client.ReadAll();
  }

  FakeClock clock_;
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
  EXPECT_THAT(Scrape(""), HasSubstr("distr_hub_scrape_seconds_count 1\n"));
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
