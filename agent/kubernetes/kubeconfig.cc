#include "agent/kubernetes/kubeconfig.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include "agent/kubernetes/yaml_tree.h"
#include "common/address.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxShownBytes = 100;

absl::Status Bad(std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_KUBECONFIG", message);
}

absl::Status NotDone(std::string_view message) {
  return MakeError(absl::StatusCode::kUnimplemented, "KUBECONFIG_UNSUPPORTED", message);
}

std::string Shown(std::string_view text) { return EscapeControl(CleanUtf8(text, kMaxShownBytes)); }

// The `kind` ("cluster") of this name in the list at `list` ("clusters").
absl::StatusOr<const YamlNode*> Named(const YamlNode& root, std::string_view list, std::string_view kind,
                                      std::string_view name) {
  if (const YamlNode* const all = root.Find(list); all != nullptr) {
    for (const YamlNode& entry : all->list) {
      if (entry.Text("name") != name) continue;
      if (const YamlNode* const found = entry.Find(kind); found != nullptr) return found;
    }
  }
  return Bad(fmt::format("there is no {} \"{}\" under {}; choose a context that is whole (kubectl config use-context)",
                         kind, Shown(name), list));
}

absl::Status ReadServer(std::string_view url, Kubeconfig* config) {
  constexpr std::string_view kHttps = "https://";
  if (url.empty()) return Bad("the cluster has no server; give its address as https://HOST:PORT");
  if (!url.starts_with(kHttps)) {
    return Bad(fmt::format("the cluster's server is \"{}\"; only https://HOST:PORT is spoken to", Shown(url)));
  }
  std::string_view authority = url.substr(kHttps.size());
  if (authority.ends_with('/')) authority.remove_suffix(1);
  if (authority.find_first_of("/?#") != std::string_view::npos) {
    return NotDone("the cluster's server has a path behind HOST:PORT, which the agent does not support");
  }
  if (authority.find('@') != std::string_view::npos) {
    return NotDone("the cluster's server has a user before its host, which the agent does not support");
  }
  const std::size_t colon = authority.rfind(':');
  const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  const auto address = ParseHostPort(has_port ? std::string(authority) : fmt::format("{}:443", authority));
  if (!address.ok() || address->host.empty() || address->port == 0) {
    return Bad(fmt::format("the cluster's server is \"{}\"; it has to be https://HOST:PORT", Shown(url)));
  }
  config->host = address->host;
  config->port = address->port;
  return absl::OkStatus();
}

absl::StatusOr<KubeconfigPem> ReadPem(const YamlNode& node, const std::string& key) {
  KubeconfigPem pem;
  const std::string_view encoded = node.Text(key + "-data");
  if (encoded.empty()) {
    pem.file = node.Text(key);
  } else if (!absl::Base64Unescape(absl::string_view(encoded.data(), encoded.size()), &pem.data)) {
    return Bad(fmt::format("{}-data is not base64", key));
  }
  return pem;
}

absl::Status ReadCluster(const YamlNode& cluster, Kubeconfig* config) {
  RETURN_IF_ERROR(ReadServer(cluster.Text("server"), config));
  if (!cluster.Text("proxy-url").empty())
    return NotDone("the cluster has a proxy-url, which the agent does not support");
  config->server_name = cluster.Text("tls-server-name");
  config->skip_verify = cluster.Text("insecure-skip-tls-verify") == "true";
  ASSIGN_OR_RETURN(config->ca, ReadPem(cluster, "certificate-authority"));
  return absl::OkStatus();
}

absl::Status ReadUser(const YamlNode& user, Kubeconfig* config) {
  struct Refused {
    std::string_view key;
    std::string_view why;
  };
  constexpr auto kRefused = std::to_array<Refused>({
      {"exec",
       "the user's credentials come from a program (exec), and the agent starts no programs; use a service "
       "account's token (kubectl create token), or run the agent in the cluster"},
      {"auth-provider",
       "the user's credentials come from an auth-provider, which the agent does not support; use a "
       "service account's token (kubectl create token), or run the agent in the cluster"},
      {"username",
       "the user has a user name and a password, which API servers no longer take; use a token or a client "
       "certificate"},
      {"as", "the user acts as somebody else (as), which the agent does not support; use that account's own token"},
  });
  for (const Refused& refused : kRefused) {
    const YamlNode* const node = user.Find(refused.key);
    const bool is_absent = node == nullptr || (node->kind == YamlNode::Kind::kScalar && node->scalar.empty());
    if (!is_absent) return NotDone(refused.why);
  }
  config->token = user.Text("token");
  config->token_file = user.Text("tokenFile");
  ASSIGN_OR_RETURN(config->client_certificate, ReadPem(user, "client-certificate"));
  ASSIGN_OR_RETURN(config->client_key, ReadPem(user, "client-key"));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Kubeconfig> DecodeKubeconfig(std::string_view text) {
  ASSIGN_OR_RETURN(const YamlNode root, ParseYaml(text));
  if (root.kind != YamlNode::Kind::kMap) return Bad("it is no kubeconfig: no clusters, contexts and users");
  const std::string_view current = root.Text("current-context");
  if (current.empty()) return Bad("there is no current-context; choose one (kubectl config use-context)");
  ASSIGN_OR_RETURN(const YamlNode* const context, Named(root, "contexts", "context", current));
  Kubeconfig config;
  ASSIGN_OR_RETURN(const YamlNode* const cluster, Named(root, "clusters", "cluster", context->Text("cluster")));
  RETURN_IF_ERROR(ReadCluster(*cluster, &config));
  // A context may have no user: then nobody is what the agent comes as.
  if (const std::string_view name = context->Text("user"); !name.empty()) {
    ASSIGN_OR_RETURN(const YamlNode* const user, Named(root, "users", "user", name));
    RETURN_IF_ERROR(ReadUser(*user, &config));
  }
  const std::string_view name_space = context->Text("namespace");
  config.name_space = name_space.empty() ? "default" : std::string(name_space);
  return config;
}

}  // namespace muster::agent
