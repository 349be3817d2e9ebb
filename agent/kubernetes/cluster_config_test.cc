#include "agent/kubernetes/cluster_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;

class ClusterConfigTest : public testing::Test {
 protected:
  void Write(const std::string& name, std::string_view content) {
    ASSERT_TRUE(WriteFileAtomically(dir_.path() + "/" + name, content, 0600).ok());
  }
  void MountServiceAccount() {
    Write("ca.crt", "the CA");
    Write("token", "first\n");
    Write("namespace", "shop\n");
  }
  absl::StatusOr<ClusterConfig> InCluster() {
    const auto lookup = [this](const std::string& name) -> std::optional<std::string> {
      const auto it = environment_.find(name);
      return it == environment_.end() ? std::nullopt : std::optional(it->second);
    };
    return InClusterConfig(lookup, dir_.path(), &clock_);
  }

  TempDir dir_;
  FakeClock clock_;
  std::map<std::string, std::string> environment_ = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                                                     {"KUBERNETES_SERVICE_PORT", "6443"}};
};

TEST_F(ClusterConfigTest, InAPodTheServiceAccountSaysAll) {
  MountServiceAccount();
  const auto config = InCluster();
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->server.is_socket());
  EXPECT_EQ(config->server.host, "10.96.0.1");
  EXPECT_EQ(config->server.port, 6443);
  EXPECT_EQ(config->server.tls.ca_pem, "the CA");
  EXPECT_FALSE(config->server.tls.skip_verify);
  EXPECT_EQ(config->own_namespace, "shop");
  EXPECT_EQ(config->server.tokens->Token(), "first");
  Write("token", "second");
  clock_.Advance(absl::Minutes(1));
  EXPECT_EQ(config->server.tokens->Token(), "second");
}

TEST_F(ClusterConfigTest, AddressesOfEachForm) {
  MountServiceAccount();
  environment_["KUBERNETES_SERVICE_HOST"] = "[fd00::1]";
  environment_.erase("KUBERNETES_SERVICE_PORT");
  EXPECT_EQ(InCluster()->server.host, "fd00::1");
  EXPECT_EQ(InCluster()->server.port, 443);
  environment_["KUBERNETES_SERVICE_HOST"] = "fd00::1";
  EXPECT_EQ(InCluster()->server.host, "fd00::1");
  for (const char* port : {"", "0", "70000", "https", "443x"}) {
    environment_["KUBERNETES_SERVICE_PORT"] = port;
    EXPECT_THAT(MessageOf(InCluster().status()), HasSubstr("KUBERNETES_SERVICE_PORT")) << port;
  }
  environment_["KUBERNETES_SERVICE_HOST"] = "";
  EXPECT_EQ(ReasonOf(InCluster().status()), "NOT_IN_CLUSTER");
}

TEST_F(ClusterConfigTest, APodWithoutAServiceAccountSaysWhatToDo) {
  for (const char* missing : {"ca.crt", "token", "namespace"}) {
    MountServiceAccount();
    std::filesystem::remove(dir_.path() + "/" + missing);
    EXPECT_THAT(MessageOf(InCluster().status()), HasSubstr("automountServiceAccountToken")) << missing;
    EXPECT_THAT(MessageOf(InCluster().status()), HasSubstr(missing));
  }
}

TEST_F(ClusterConfigTest, AKubeconfigsFilesAreBesideIt) {
  std::filesystem::create_directory(dir_.path() + "/pki");
  Write("pki/ca.crt", "the CA");
  Write("client.crt", "the certificate");
  Write("client.key", "the key");
  Write("token", "of the file");
  Write("config", R"(current-context: c
contexts: [{name: c, context: {cluster: c, user: u, namespace: shop}}]
clusters: [{name: c, cluster: {server: "https://a.test:6443", certificate-authority: pki/ca.crt, tls-server-name: n}}]
users: [{name: u, user: {client-certificate: ./client.crt, client-key: )" +
                      dir_.path() + R"(/client.key, token: of the text, tokenFile: token}}]
)");
  // No token has white space in it.
  EXPECT_EQ(ReasonOf(ReadKubeconfig(dir_.path() + "/config", &clock_).status()), "TOKEN_INVALID");
  Write("token", "of-the-file\n");
  const auto config = ReadKubeconfig(dir_.path() + "/config", &clock_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server.host, "a.test");
  EXPECT_EQ(config->server.tls.ca_pem, "the CA");
  EXPECT_EQ(config->server.tls.server_name, "n");
  EXPECT_EQ(config->server.tls.client_certificate_pem, "the certificate");
  EXPECT_EQ(config->server.tls.client_key_pem, "the key");
  EXPECT_EQ(config->server.tokens->Token(), "of-the-file");
  EXPECT_EQ(config->own_namespace, "shop");
}

TEST_F(ClusterConfigTest, AKubeconfigMayHoldItAll) {
  Write("config", R"(current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "https://a.test", certificate-authority-data: Y2E=, certificate-authority: none}}]
users: [{name: u, user: {token: abc}}]
)");
  const auto config = ReadKubeconfig(dir_.path() + "/config", &clock_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server.tls.ca_pem, "ca") << "data before the file";
  EXPECT_EQ(config->server.tokens->Token(), "abc");
  EXPECT_EQ(config->own_namespace, "default");
}

TEST_F(ClusterConfigTest, ErrorsNameTheFile) {
  const std::string path = dir_.path() + "/config";
  EXPECT_EQ(ReadKubeconfig(path, &clock_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(ReadKubeconfig(path, &clock_).status()), HasSubstr(path));
  Write("config", "current-context: [");
  EXPECT_THAT(MessageOf(ReadKubeconfig(path, &clock_).status()), HasSubstr("kubeconfig " + path + ": line 2"));
  Write("config", std::string(2 << 20, 'x'));
  EXPECT_THAT(MessageOf(ReadKubeconfig(path, &clock_).status()), HasSubstr(path));
}

}  // namespace
}  // namespace muster::agent
