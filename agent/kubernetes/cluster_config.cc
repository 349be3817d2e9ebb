#include "agent/kubernetes/cluster_config.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <memory>
#include <utility>

#include "agent/kubernetes/file_token_source.h"
#include "agent/kubernetes/kubeconfig.h"
#include "agent/kubernetes/yaml_tree.h"
#include "common/files.h"
#include "common/status.h"

namespace muster::agent {
namespace {

// Of a CA bundle or a certificate with its chain.
constexpr std::size_t kMaxPemBytes = 1 << 20;
// DNS labels have 63.
constexpr std::size_t kMaxNamespaceBytes = 256;

class FixedToken : public TokenSource {
 public:
  explicit FixedToken(std::string token) : token_(std::move(token)) {}
  std::string Token() override { return token_; }
  void Refused() override {}

 private:
  const std::string token_;
};

absl::Status Bad(std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_CLUSTER_CONFIG", message);
}

absl::StatusOr<std::uint16_t> ParsePort(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size() && port != 0) return port;
  return Bad("KUBERNETES_SERVICE_PORT is not a port; unset it or give the API server's");
}

absl::StatusOr<std::string> ReadPem(const KubeconfigPem& pem, const std::filesystem::path& base) {
  if (pem.file.empty()) return pem.data;
  return ReadFile((base / pem.file).string(), kMaxPemBytes);
}

absl::StatusOr<std::shared_ptr<TokenSource>> TokensIn(const std::string& path, const Clock* clock) {
  auto tokens = std::make_shared<FileTokenSource>(path, clock);
  RETURN_IF_ERROR(tokens->Read());
  return std::shared_ptr<TokenSource>(std::move(tokens));
}

absl::StatusOr<ClusterConfig> LoadFiles(const Kubeconfig& config, const std::filesystem::path& base,
                                        const Clock* clock) {
  ClusterConfig cluster;
  cluster.own_namespace = config.name_space;
  cluster.server.host = config.host;
  cluster.server.port = config.port;
  TlsSettings& tls = cluster.server.tls;
  tls.server_name = config.server_name;
  tls.skip_verify = config.skip_verify;
  ASSIGN_OR_RETURN(tls.ca_pem, ReadPem(config.ca, base));
  ASSIGN_OR_RETURN(tls.client_certificate_pem, ReadPem(config.client_certificate, base));
  ASSIGN_OR_RETURN(tls.client_key_pem, ReadPem(config.client_key, base));
  if (!config.token_file.empty()) {
    ASSIGN_OR_RETURN(cluster.server.tokens, TokensIn((base / config.token_file).string(), clock));
  } else if (!config.token.empty()) {
    cluster.server.tokens = std::make_shared<FixedToken>(Trim(config.token));
  }
  return cluster;
}

}  // namespace

absl::StatusOr<ClusterConfig> InClusterConfig(const EnvLookup& environment, const std::string& directory,
                                              const Clock* clock) {
  std::string host = environment("KUBERNETES_SERVICE_HOST").value_or("");
  if (host.empty()) {
    return MakeError(absl::StatusCode::kNotFound, "NOT_IN_CLUSTER",
                     "KUBERNETES_SERVICE_HOST is not set: this is no pod of a cluster; give --kubeconfig FILE");
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  ClusterConfig cluster;
  cluster.server.host = std::move(host);
  ASSIGN_OR_RETURN(cluster.server.port, ParsePort(environment("KUBERNETES_SERVICE_PORT").value_or("443")));
  const std::string_view advice =
      "the pod has no service account mounted; set automountServiceAccountToken and serviceAccountName in its spec";
  auto ca = ReadFile(directory + "/ca.crt", kMaxPemBytes);
  if (!ca.ok()) return Annotate(ca.status(), advice);
  cluster.server.tls.ca_pem = *std::move(ca);
  auto tokens = TokensIn(directory + "/token", clock);
  if (!tokens.ok()) return Annotate(tokens.status(), advice);
  cluster.server.tokens = *std::move(tokens);
  const auto name_space = ReadFile(directory + "/namespace", kMaxNamespaceBytes);
  if (!name_space.ok()) return Annotate(name_space.status(), advice);
  cluster.own_namespace = Trim(*name_space);
  return cluster;
}

absl::StatusOr<ClusterConfig> ReadKubeconfig(const std::string& path, const Clock* clock) {
  const auto text = ReadFile(path, kMaxYamlBytes);
  if (!text.ok()) return Annotate(text.status(), "kubeconfig");
  const auto config = DecodeKubeconfig(*text);
  if (!config.ok()) return Annotate(config.status(), fmt::format("kubeconfig {}", path));
  auto cluster = LoadFiles(*config, std::filesystem::path(path).parent_path(), clock);
  if (!cluster.ok()) return Annotate(cluster.status(), fmt::format("kubeconfig {}", path));
  return cluster;
}

}  // namespace muster::agent
