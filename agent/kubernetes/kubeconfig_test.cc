#include "agent/kubernetes/kubeconfig.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/kubernetes/yaml_tree.h"
#include "common/status.h"

namespace muster::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As `kind` writes it, with another context before.
constexpr std::string_view kTypical = R"(apiVersion: v1
kind: Config
preferences: {}
current-context: kind
clusters:
- cluster:
    server: https://other.test
  name: other
- name: kind
  cluster:
    certificate-authority-data: Y2EtcGVt
    server: https://127.0.0.1:36437
contexts:
- {name: other, context: {cluster: other, user: other}}
- context:
    cluster: kind
    user: kind-user
    namespace: shop
  name: kind
users:
- name: other
  user: {exec: {command: aws}}
- name: kind-user
  user:
    client-certificate-data: Y2VydGlmaWNhdGU=
    client-key-data: a2V5
)";

// One cluster and one user, with these lines.
std::string Config(std::string_view cluster, std::string_view user) {
  return fmt::format(
      "current-context: c\ncontexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n"
      "clusters: [{{name: c, cluster: {{{}}}}}]\nusers: [{{name: u, user: {{{}}}}}]\n",
      cluster, user);
}

TEST(Kubeconfig, ReadsTheCurrentContext) {
  const auto config = DecodeKubeconfig(kTypical);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->host, "127.0.0.1");
  EXPECT_EQ(config->port, 36437);
  EXPECT_EQ(config->ca.data, "ca-pem");
  EXPECT_EQ(config->client_certificate.data, "certificate");
  EXPECT_EQ(config->client_key.data, "key");
  EXPECT_EQ(config->token, "");
  EXPECT_EQ(config->name_space, "shop");
  EXPECT_FALSE(config->skip_verify);
}

TEST(Kubeconfig, JsonIsReadToo) {
  const auto config = DecodeKubeconfig(R"({"current-context": "c",
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "clusters": [{"name": "c", "cluster": {"server": "https://[fd00::1]/", "tls-server-name": "kubernetes",
      "insecure-skip-tls-verify": true, "certificate-authority": "ca.crt"}}],
    "users": [{"name": "u", "user": {"token": "t", "tokenFile": "token", "exec": null}}]})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->host, "fd00::1");
  EXPECT_EQ(config->port, 443);
  EXPECT_EQ(config->server_name, "kubernetes");
  EXPECT_TRUE(config->skip_verify);
  EXPECT_EQ(config->ca.file, "ca.crt");
  EXPECT_EQ(config->token, "t");
  EXPECT_EQ(config->token_file, "token");
  EXPECT_EQ(config->name_space, "default");
}

TEST(Kubeconfig, ServersOfEachForm) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"https://a.test", "a.test:443"},
      {"https://a.test:6443", "a.test:6443"},
      {"https://10.0.0.1:6443/", "10.0.0.1:6443"},
      {"https://[::1]:6443", "::1:6443"},
      {"http://a.test", "only https"},
      {"a.test:6443", "only https"},
      {"https://", "has to be https://HOST:PORT"},
      {"https://:6443", "has to be https://HOST:PORT"},
      {"https://a.test:0", "has to be https://HOST:PORT"},
      {"https://a.test:70000", "has to be https://HOST:PORT"},
      {"https://rancher.test/k8s/clusters/c-1", "has a path"},
      {"https://me:pass@a.test", "has a user"},
      {"", "has no server"},
  };
  for (const auto& [server, expected] : cases) {
    const auto config = DecodeKubeconfig(Config(fmt::format("server: \"{}\"", server), "token: t"));
    EXPECT_THAT(config.ok() ? fmt::format("{}:{}", config->host, config->port) : MessageOf(config.status()),
                HasSubstr(expected))
        << server;
  }
}

TEST(Kubeconfig, WhatAnAgentDoesNotDoIsRefusedWithWhatToDo) {
  const std::string server = "server: \"https://a.test\"";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {Config(server, "exec: {command: aws, env: [{name: SECRET, value: hidden}]}"), "starts no programs"},
      {Config(server, "auth-provider: {name: gcp, config: {access-token: hidden}}"), "auth-provider"},
      {Config(server, "username: me, password: hidden"), "no longer take"},
      {Config(server, "token: hidden, as: admin"), "acts as somebody else"},
      {Config(server + ", proxy-url: \"http://hidden@proxy\"", "token: hidden"), "proxy-url"},
  };
  for (const auto& [text, says] : cases) {
    const absl::Status status = DecodeKubeconfig(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
    EXPECT_THAT(status.ToString(), HasSubstr(says));
    EXPECT_THAT(status.ToString(), Not(HasSubstr("hidden")));
  }
}

TEST(Kubeconfig, WhatIsNotWholeIsAnError) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "no kubeconfig"},
      {"just text", "no kubeconfig"},
      {"[1, 2]", "no kubeconfig"},
      {"kind: Config", "no current-context"},
      {"current-context: c", "no context \"c\""},
      {"current-context: c\ncontexts: text", "no context \"c\""},
      {"current-context: c\ncontexts: [{name: c}]", "no context \"c\""},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: x}}]", "no cluster \"x\""},
      {"current-context: c\ncontexts: [{name: c, context: {cluster: c, user: x}}]\n"
       "clusters: [{name: c, cluster: {server: \"https://a\"}}]",
       "no user \"x\""},
      {Config("server: \"https://a\", certificate-authority-data: \"%%\"", "token: t"),
       "certificate-authority-data is not base64"},
      {Config("server: \"https://a\"", "client-key-data: \"%%\""), "client-key-data is not base64"},
  };
  for (const auto& [text, says] : cases) {
    const absl::Status status = DecodeKubeconfig(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(MessageOf(status), HasSubstr(says)) << text;
  }
}

TEST(YamlTree, ReadsWhatKubeconfigsHave) {
  const auto tree = ParseYaml("a: 1\nb:\n- x\n- {c: \"y\\n\", d: ~}\ne: |\n  two\n  lines\na: again\n");
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(tree->Text("a"), "1") << "the first";
  ASSERT_EQ(tree->Find("b")->list.size(), 2U);
  EXPECT_EQ(tree->Find("b")->list[1].Text("c"), "y\n");
  EXPECT_EQ(tree->Find("b")->list[1].Text("d"), "");
  EXPECT_EQ(tree->Text("e"), "two\nlines\n");
  EXPECT_EQ(tree->Find("none"), nullptr);
}

TEST(YamlTree, BoundsWhatItReads) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "[";
  std::string wide = "[";
  for (int i = 0; i < 30'000; ++i) wide += "a,";
  struct Case {
    std::string text;
    absl::StatusCode code;
    std::string says;
  };
  const std::vector<Case> cases = {
      {deep, absl::StatusCode::kResourceExhausted, "32 levels"},
      {wide + "]", absl::StatusCode::kResourceExhausted, "20000 values"},
      {std::string(kMaxYamlBytes + 1, ' '), absl::StatusCode::kResourceExhausted, "bytes"},
      {"a: &x [1]\nb: *x\n", absl::StatusCode::kInvalidArgument, "line 2: an alias"},
      {"a: &x 1\n*x : 2\n", absl::StatusCode::kInvalidArgument, "an alias"},
      {"? [1]\n: 2\n", absl::StatusCode::kInvalidArgument, "a key that is no text"},
      {"a: 1\n---\nb: 2\n", absl::StatusCode::kInvalidArgument, "second document"},
      {"a: [1\nb: 2\n", absl::StatusCode::kInvalidArgument, "not YAML"},
      {"a: \"\xff\"", absl::StatusCode::kInvalidArgument, "not YAML"},
      {std::string("a: \0", 4), absl::StatusCode::kInvalidArgument, "not YAML"},
  };
  for (const Case& c : cases) {
    const absl::Status status = ParseYaml(c.text).status();
    EXPECT_EQ(status.code(), c.code) << c.text.substr(0, 40) << ": " << status;
    EXPECT_THAT(MessageOf(status), HasSubstr(c.says)) << c.text.substr(0, 40);
  }
}

}  // namespace
}  // namespace muster::agent
