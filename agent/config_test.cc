#include "agent/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "agent/logs/masker.h"
#include "common/files.h"
#include "common/status.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

class ConfigTest : public testing::Test {
 protected:
  ConfigTest() {
    EXPECT_TRUE(WriteFileAtomically(dir_.path() + "/secret", "mst_abc\n", 0600).ok());
    EXPECT_TRUE(WriteFileAtomically(dir_.path() + "/junk.pem", "-----BEGIN CERTIFICATE-----\nx\n", 0600).ok());
    raw_.hub = "hub.example:7443";
    raw_.target_id = "tgt_1";
    raw_.target_secret_file = dir_.path() + "/secret";
    raw_.data_dir = dir_.path() + "/data";
  }

  const TempDir dir_;
  RawRunConfig raw_;
};

TEST_F(ConfigTest, AcceptsTheLeast) {
  const auto config = Finalize(raw_);
  ASSERT_TRUE(config.ok()) << MessageOf(config.status());
  EXPECT_EQ(config->hub.address, "hub.example:7443");
  EXPECT_EQ(config->secret.Reveal(), "mst_abc");
  EXPECT_EQ(config->runtime, Runtime::kAuto);
  EXPECT_EQ(config->docker_socket, "/var/run/docker.sock");
  EXPECT_FALSE(config->hub.insecure);
  EXPECT_EQ(config->journal_bytes, std::int64_t{256} * 1024 * 1024);
}

TEST_F(ConfigTest, ReadsSizesWithAndWithoutUnit) {
  const std::vector<std::pair<std::string, std::int64_t>> cases = {
      {"1048576", 1 << 20}, {"1024KiB", 1 << 20}, {"1MiB", 1 << 20}, {"3GiB", std::int64_t{3} << 30}};
  for (const auto& [text, bytes] : cases) {
    raw_.journal_bytes = text;
    EXPECT_EQ(Finalize(raw_)->journal_bytes, bytes) << text;
  }
  for (const char* text : {"", "0", "1048575", "-1MiB", "256MB", "256 MiB", "MiB", "1MiBx", "9223372036854775807GiB",
                           "99999999999999999999", "2048GiB", "1e9"}) {
    raw_.journal_bytes = text;
    EXPECT_EQ(ReasonOf(Finalize(raw_).status()), "BAD_JOURNAL_BYTES") << text;
  }
}

TEST_F(ConfigTest, ContainerLogsAreOnUnlessTheHostForbidsThem) {
  EXPECT_TRUE(Finalize(raw_)->container_logs);
  raw_.container_logs = "off";
  EXPECT_FALSE(Finalize(raw_)->container_logs);
}

TEST_F(ConfigTest, TheSocketOfJobsIsInTheDataFolderUnlessSaidOtherwise) {
  EXPECT_EQ(Finalize(raw_)->push_socket, raw_.data_dir + "/push.sock");
  EXPECT_EQ(Finalize(raw_)->push_socket_mode, 0660u);
  raw_.push_socket = "/run/muster-agent/push.sock";
  raw_.push_socket_mode = "666";
  EXPECT_EQ(Finalize(raw_)->push_socket, "/run/muster-agent/push.sock");
  EXPECT_EQ(Finalize(raw_)->push_socket_mode, 0666u);
  raw_.push_socket = "off";
  EXPECT_EQ(Finalize(raw_)->push_socket, "");
  raw_.push_socket = "/" + std::string(107, 'x');
  EXPECT_EQ(ReasonOf(Finalize(raw_).status()), "BAD_PUSH_SOCKET");
}

TEST_F(ConfigTest, ASocketThatNobodyCanWriteToIsNoMode) {
  for (const char* mode : {"", "rw", "0", "0060", "1660", "888", "0660 ", "-600"}) {
    raw_.push_socket_mode = mode;
    EXPECT_EQ(ReasonOf(Finalize(raw_).status()), "BAD_PUSH_SOCKET_MODE") << mode;
  }
}

TEST_F(ConfigTest, HostRootStandsInFrontOfTheHostsPaths) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"/", ""}, {"//", ""}, {"/host", "/host"}, {"/host/", "/host"}, {"/a/b//", "/a/b"}};
  for (const auto& [text, root] : cases) {
    raw_.host_root = text;
    EXPECT_EQ(Finalize(raw_)->host_root, root) << text;
  }
  for (const char* text : {"", "host", "./host"}) {
    raw_.host_root = text;
    EXPECT_EQ(ReasonOf(Finalize(raw_).status()), "BAD_HOST_ROOT") << text;
  }
}

TEST_F(ConfigTest, ReadsOneMaskExpressionALine) {
  EXPECT_TRUE(Finalize(raw_)->mask_expressions.empty());
  raw_.mask_file = dir_.path() + "/masks";
  ASSERT_TRUE(WriteFileAtomically(raw_.mask_file, "# cards\n\n\\d{16}\r\n  two spaces\n#last\nno newline", 0600).ok());
  EXPECT_EQ(Finalize(raw_)->mask_expressions, (std::vector<std::string>{"\\d{16}", "  two spaces", "no newline"}));
  ASSERT_TRUE(WriteFileAtomically(raw_.mask_file, "", 0600).ok());
  EXPECT_TRUE(Finalize(raw_)->mask_expressions.empty());
}

TEST_F(ConfigTest, BadMaskFileNamesFileAndLine) {
  raw_.mask_file = dir_.path() + "/masks";
  std::string many = "# one too many\n";
  for (std::size_t i = 0; i <= kMaxMaskExpressions; ++i) many += "expression" + std::to_string(i) + "\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"# fine\n\nok\n(open\n", "/masks, line 4: "},
      {"a\nb*\n", "/masks, line 2: "},
      {"a\n" + std::string(kMaxMaskExpressionBytes + 1, 'x'), "/masks, line 2: "},
      {many, "/masks, line 66: at most 64 "}};
  for (const auto& [content, place] : cases) {
    ASSERT_TRUE(WriteFileAtomically(raw_.mask_file, content, 0600).ok());
    const absl::Status status = Finalize(raw_).status();
    EXPECT_EQ(ReasonOf(status), "BAD_MASK_FILE");
    EXPECT_NE(MessageOf(status).find(place), std::string::npos) << MessageOf(status);
  }
}

TEST_F(ConfigTest, KeepsIpv6Brackets) {
  raw_.hub = "[::1]:7443";
  EXPECT_EQ(Finalize(raw_)->hub.address, "[::1]:7443");
}

TEST_F(ConfigTest, EachMistakeHasItsReasonAndNamesTheOption) {
  struct Case {
    std::function<void(RawRunConfig*)> spoil;
    std::string reason;
    std::string mentions;
  };
  const std::vector<Case> cases = {
      {[](auto* c) { c->hub = ""; }, "MISSING_OPTION", "--hub"},
      {[](auto* c) { c->hub = "hub.example"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->hub = ":7443"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->hub = "hub.example:0"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->hub = "hub.example:99999"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->hub = "https://hub.example:7443"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->hub = "dns:///hub.example:7443"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->hub = "unix:/run/hub:1"; }, "BAD_HUB_ADDRESS", "--hub"},
      {[](auto* c) { c->target_id = ""; }, "MISSING_OPTION", "--target-id"},
      {[](auto* c) { c->target_id = "a b"; }, "BAD_TARGET_ID", "--target-id"},
      {[](auto* c) { c->target_id = std::string(256, 'a'); }, "BAD_TARGET_ID", "--target-id"},
      {[](auto* c) { c->target_secret_file = ""; }, "MISSING_OPTION", "--target-secret-file"},
      {[](auto* c) { c->target_secret_file = "/nonexistent"; }, "SECRET_FILE_UNREADABLE", "--target-secret-file"},
      {[](auto* c) { c->data_dir = ""; }, "MISSING_OPTION", "--data-dir"},
      {[](auto* c) { c->kube_namespace = "Shop"; }, "BAD_NAMESPACE", "--namespace"},
      {[](auto* c) { c->kube_namespace = "-shop"; }, "BAD_NAMESPACE", "--namespace"},
      {[](auto* c) { c->kube_namespace = "a/b"; }, "BAD_NAMESPACE", "--namespace"},
      {[](auto* c) { c->kube_namespace = std::string(64, 'a'); }, "BAD_NAMESPACE", "--namespace"},
      {[](auto* c) {
         c->kube_namespace = "shop";
         c->cluster = true;
       },
       "CONTRADICTING_OPTIONS", "--cluster"},
      {[](auto* c) { c->runtime = "podman"; }, "BAD_RUNTIME", "--runtime"},
      {[](auto* c) { c->docker_socket = ""; }, "BAD_DOCKER_SOCKET", "--docker-socket"},
      {[](auto* c) { c->container_logs = "yes"; }, "BAD_CONTAINER_LOGS", "--container-logs"},
      {[](auto* c) { c->mask_file = "/nonexistent"; }, "MASK_FILE_UNREADABLE", "--mask-file"},
      {[](auto* c) { c->ca_file = "/nonexistent"; }, "CA_FILE_UNREADABLE", "--ca-file"},
      {[this](auto* c) { c->ca_file = dir_.path() + "/secret"; }, "BAD_CA_FILE", "--ca-file"},
      {[this](auto* c) { c->ca_file = dir_.path() + "/junk.pem"; }, "BAD_CA_FILE", "--ca-file"},
      {[](auto* c) {
         c->ca_file = "/x";
         c->insecure = true;
       },
       "CONTRADICTING_OPTIONS", "--insecure"},
  };
  for (const Case& c : cases) {
    RawRunConfig raw = raw_;
    c.spoil(&raw);
    const auto config = Finalize(raw);
    ASSERT_FALSE(config.ok()) << c.reason;
    EXPECT_EQ(ReasonOf(config.status()), c.reason);
    EXPECT_NE(MessageOf(config.status()).find(c.mentions), std::string::npos) << MessageOf(config.status());
    EXPECT_EQ(MessageOf(config.status()).find("mst_abc"), std::string::npos);
  }
}

}  // namespace
}  // namespace muster::agent
