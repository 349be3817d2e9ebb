#include "hub/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/status.h"

namespace muster::hub {
namespace {

absl::StatusOr<Config> Read(const std::function<void(RawConfig&)>& change,
                            const std::map<std::string, std::string>& environment = {},
                            const std::string& hostname = "hub-1") {
  RawConfig raw;
  raw.data_dir = "/var/lib/muster";
  change(raw);
  return Finalize(
      raw,
      [&](const std::string& name) -> std::optional<std::string> {
        const auto it = environment.find(name);
        return it == environment.end() ? std::nullopt : std::optional(it->second);
      },
      hostname);
}

TEST(Finalize, DefaultsAreWhatADefaultHubNeeds) {
  const auto config = Read([](RawConfig&) {});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->data_dir, "/var/lib/muster");
  EXPECT_EQ(config->grpc_address.port, 7443);
  EXPECT_EQ(config->http_address.port, 8080);
  EXPECT_EQ(config->public_url, "https://hub-1:8080");
  EXPECT_EQ(config->public_grpc_address, "hub-1:7443");
  EXPECT_FALSE(config->metrics.enabled);
  EXPECT_EQ(config->history, absl::Hours(24 * 400));
  EXPECT_EQ(config->log_age, absl::Hours(24 * 30));
  EXPECT_EQ(config->log_bytes, std::int64_t{10} << 30);
  EXPECT_EQ(config->metric_raw_age, absl::Hours(24 * 7));
  EXPECT_EQ(config->metric_age, absl::Hours(24 * 400));
  EXPECT_EQ(config->metric_bytes, std::int64_t{4} << 30);
}

TEST(Finalize, DerivesPublicAddresses) {
  auto config = Read([](RawConfig& raw) { raw.public_url = "https://hub.example.com:443///"; });
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->public_url, "https://hub.example.com:443");
  EXPECT_EQ(config->public_grpc_address, "hub.example.com:7443");
  config = Read([](RawConfig& raw) { raw.public_url = "https://[2001:db8::1]:8080"; });
  EXPECT_EQ(config->public_grpc_address, "[2001:db8::1]:7443");
  config = Read([](RawConfig& raw) { raw.public_grpc_addr = "agents.example.com:443"; });
  EXPECT_EQ(config->public_grpc_address, "agents.example.com:443");
  config = Read([](RawConfig& raw) { raw.insecure = true; }, {}, "");
  EXPECT_EQ(config->public_url, "http://localhost:8080") << "no certificate, no name";
}

TEST(Finalize, TheAgentsImageIsThisVersionsUnlessGiven) {
  EXPECT_TRUE(Read([](RawConfig&) {})->agent_image.starts_with("muster-agent:"));
  const std::string image = "registry.example.com:5000/ops/muster-agent:1.2@sha256:0123abc";
  EXPECT_EQ(Read([&](RawConfig& raw) { raw.agent_image = image; })->agent_image, image);
}

TEST(Finalize, MakesTheDataFolderAbsolute) {
  const auto config = Read([](RawConfig& raw) { raw.data_dir = "some/../data/"; });
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->data_dir.starts_with("/")) << config->data_dir;
  EXPECT_EQ(config->data_dir.find(".."), std::string::npos) << config->data_dir;
}

TEST(Finalize, EveryBadFlagIsNamed) {
  const struct {
    std::function<void(RawConfig&)> change;
    std::string named;
  } cases[] = {
      {[](RawConfig& raw) { raw.data_dir = ""; }, "--data-dir"},
      {[](RawConfig& raw) { raw.grpc_addr = "7443"; }, "--grpc-addr"},
      {[](RawConfig& raw) { raw.grpc_addr = ":70000"; }, "--grpc-addr"},
      {[](RawConfig& raw) { raw.http_addr = "::1:80"; }, "--http-addr"},
      {[](RawConfig& raw) { raw.http_addr = ":http"; }, "--http-addr"},
      {[](RawConfig& raw) { raw.public_url = "hub.example.com"; }, "--public-url"},
      {[](RawConfig& raw) { raw.agent_image = "muster agent"; }, "--agent-image"},
      {[](RawConfig& raw) { raw.agent_image = "x\nkind: Evil"; }, "--agent-image"},
      {[](RawConfig& raw) { raw.agent_image = "-x"; }, "--agent-image"},
      {[](RawConfig& raw) { raw.agent_image = std::string(600, 'x'); }, "--agent-image"},
      {[](RawConfig& raw) { raw.public_url = "ftp://hub.example.com"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "https://"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "https://hub example"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "https://hub/?a=b"; }, "--public-url"},
      // It is printed into a shell command that customers run as root.
      {[](RawConfig& raw) { raw.public_url = "https://hub/$(reboot)"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "https://hub;reboot"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "https://hub`reboot`"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "https://hub&"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_url = "http://hub.example.com"; }, "--public-url"},
      {[](RawConfig& raw) { raw.public_grpc_addr = "hub.example.com"; }, "--public-grpc-addr"},
      {[](RawConfig& raw) { raw.public_grpc_addr = ":7443"; }, "--public-grpc-addr"},
      {[](RawConfig& raw) { raw.public_grpc_addr = "hub $(reboot):7443"; }, "--public-grpc-addr"},
      {[](RawConfig& raw) { raw.organization = ""; }, "--organization"},
      {[](RawConfig& raw) { raw.organization = "a\nb"; }, "--organization"},
      {[](RawConfig& raw) { raw.history_days = 0; }, "--history-days"},
      {[](RawConfig& raw) { raw.history_days = 100'000; }, "--history-days"},
      {[](RawConfig& raw) { raw.log_days = 0; }, "--log-days"},
      {[](RawConfig& raw) { raw.log_days = 100'000; }, "--log-days"},
      {[](RawConfig& raw) { raw.job_prefix = "distr_"; }, "--job-prefix"},
      {[](RawConfig& raw) { raw.job_prefix = "9"; }, "--job-prefix"},
      {[](RawConfig& raw) { raw.job_series = 0; }, "--job-series"},
      {[](RawConfig& raw) { raw.job_series = 1001; }, "--job-series"},
      {[](RawConfig& raw) { raw.log_bytes = "63MiB"; }, "--log-bytes"},
      {[](RawConfig& raw) { raw.log_bytes = "10 GB"; }, "--log-bytes"},
      {[](RawConfig& raw) { raw.log_bytes = "8193GiB"; }, "--log-bytes"},
      {[](RawConfig& raw) { raw.metric_raw_days = 0; }, "--metric-raw-days"},
      {[](RawConfig& raw) { raw.metric_days = 0; }, "--metric-days"},
      {[](RawConfig& raw) { raw.metric_bytes = "1MiB"; }, "--metric-bytes"},
      {[](RawConfig& raw) { raw.tls_cert = "/x.pem"; }, "--tls-key"},
      {[](RawConfig& raw) { raw.tls_key = "/x.key"; }, "--tls-cert"},
      {[](RawConfig& raw) {
         raw.insecure = true;
         raw.tls_cert = raw.tls_key = "/x.pem";
       },
       "--insecure"},
  };
  for (const auto& c : cases) {
    const auto config = Read(c.change);
    EXPECT_TRUE(absl::IsInvalidArgument(config.status())) << c.named << ": " << config.status();
    EXPECT_NE(MessageOf(config.status()).find(c.named), std::string::npos) << config.status();
  }
}

TEST(Finalize, LogsHaveBounds) {
  const auto config = Read([](RawConfig& raw) {
    raw.log_days = 7;
    raw.log_bytes = "64MiB";
  });
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->log_age, absl::Hours(24 * 7));
  EXPECT_EQ(config->log_bytes, std::int64_t{64} << 20);
}

TEST(Finalize, PlainPublicUrlGoesWithInsecure) {
  const auto config = Read([](RawConfig& raw) {
    raw.insecure = true;
    raw.public_url = "http://hub.example.com:8080";
  });
  EXPECT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(Read([](RawConfig& raw) {
                raw.insecure = true;
                raw.public_url = "https://behind-a-proxy.example.com";
              }).ok());
}

TEST(Finalize, MetricsComeFromTheEnvironment) {
  const auto config = Read([](RawConfig&) {}, {{"METRICS_ENABLED", "true"}, {"METRICS_ADDR", "127.0.0.1:3333"}});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->metrics.enabled);
  EXPECT_EQ(config->metrics.address.port, 3333);
  const auto bad = Read([](RawConfig&) {}, {{"METRICS_ENABLED", "perhaps"}});
  EXPECT_NE(MessageOf(bad.status()).find("METRICS_ENABLED"), std::string::npos) << bad.status();
}

}  // namespace
}  // namespace muster::hub
