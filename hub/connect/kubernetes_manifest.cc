#include "hub/connect/kubernetes_manifest.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "common/byte_size.h"
#include "common/status.h"
#include "hub/connect/install_template.h"
#include "hub/connect/template.h"
#include "hub/connect/yaml_text.h"
#include "hub/http/query.h"

namespace muster::hub {
namespace {

constexpr std::size_t kMaxNameBytes = 200;
constexpr std::size_t kMaxMessageBytes = 1000;
// The journal (256 MiB), its write-ahead log and the counts of jobs.
constexpr std::int64_t kMinStorageBytes = std::int64_t{512} << 20;
constexpr std::int64_t kMaxStorageBytes = std::int64_t{1} << 40;

absl::Status BadQuery(std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "CONNECT_QUERY", message);
}

// DNS-1123 label.
bool IsNamespaceName(std::string_view name) {
  const auto is_inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::all_of(name.begin(), name.end(), is_inner);
}

// Of the ways to write a quantity those that also mean themselves to people: 512Mi, 1Gi.
bool IsStorageSize(std::string_view text) {
  constexpr std::size_t kMaxDigits = 5;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0 || digits > kMaxDigits || text.front() == '0') return false;
  const std::string_view unit = text.substr(digits);
  if (unit != "Mi" && unit != "Gi") return false;
  const auto bytes = ParseByteSize(std::string(text) + "B");
  return bytes && *bytes >= kMinStorageBytes && *bytes <= kMaxStorageBytes;
}

absl::Status ReadScope(std::string_view value, KubernetesChoice* choice) {
  if (value != "namespace" && value != "cluster") {
    return BadQuery(fmt::format("scope {:?} is not known: write scope=namespace or scope=cluster", value));
  }
  choice->cluster = value == "cluster";
  return absl::OkStatus();
}

absl::Status ReadNamespace(std::string_view value, KubernetesChoice* choice) {
  if (!IsNamespaceName(value)) {
    return BadQuery(
        fmt::format("namespace {:?} is not a namespace's name: write that of the namespace that the agent "
                    "shall live in, for example namespace=muster",
                    value));
  }
  choice->target_namespace = value;
  return absl::OkStatus();
}

absl::Status ReadStorage(std::string_view value, KubernetesChoice* choice) {
  if (value == "emptydir") return absl::OkStatus();
  if (!IsStorageSize(value)) {
    return BadQuery(
        fmt::format("storage {:?} is not known: write storage=emptydir, or a size from 512Mi to 1024Gi for "
                    "a volume that outlives the pod, for example storage=1Gi",
                    value));
  }
  choice->storage = value;
  return absl::OkStatus();
}

absl::Status CheckPem(std::string_view pem) {
  constexpr std::string_view kOthers = "+/=- \n";
  for (const char c : pem) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && kOthers.find(c) == std::string_view::npos) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "INSTALL_VALUE",
                       "the hub's certificate authority is not PEM text");
    }
  }
  return absl::OkStatus();
}

std::string Sha256Hex(std::string_view text) {
  std::array<std::uint8_t, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(text.data()), text.size());
  return ToHex(digest.data(), digest.size());
}

std::string Indented(std::string_view text, std::string_view indent) {
  std::string lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (end > 0) lines += fmt::format("{}{}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Behind "metadata:" and the name.
std::string Meta(const std::string& target_namespace) {
  std::string lines;
  if (!target_namespace.empty()) lines = fmt::format("  namespace: {}\n", YamlQuote(target_namespace));
  return lines + "  labels:\n    app.kubernetes.io/name: muster-agent\n    app.kubernetes.io/part-of: muster\n";
}

// "rules:" and all behind it.
std::string_view RulesOf(std::string_view role) {
  constexpr std::string_view kBegin = "\nrules:\n";
  return role.substr(role.find(kBegin) + 1);
}

// A role and its binding. Those of a cluster are named after the namespace, so that a second agent in another one has
// its own. Without a namespace a RoleBinding's subject is in that of the binding.
std::string Role(const KubernetesChoice& choice) {
  const std::string name =
      YamlQuote(choice.cluster ? fmt::format("muster-agent-{}", choice.target_namespace) : "muster-agent");
  const std::string kind = choice.cluster ? "ClusterRole" : "Role";
  const std::string meta = Meta(choice.cluster ? "" : choice.target_namespace);
  std::string yaml = fmt::format("apiVersion: rbac.authorization.k8s.io/v1\nkind: {}\nmetadata:\n  name: {}\n{}{}---\n",
                                 kind, name, meta, RulesOf(choice.cluster ? kClusterRole : kRole));
  yaml += fmt::format("apiVersion: rbac.authorization.k8s.io/v1\nkind: {}Binding\nmetadata:\n  name: {}\n{}", kind,
                      name, meta);
  yaml += fmt::format("roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {}\n  name: {}\n", kind, name);
  yaml += "subjects:\n  - kind: ServiceAccount\n    name: muster-agent\n";
  if (!choice.target_namespace.empty()) yaml += fmt::format("    namespace: {}\n", YamlQuote(choice.target_namespace));
  return yaml;
}

std::string CaConfig(const KubernetesValues& values) {
  if (values.ca_pem.empty()) return "";
  return fmt::format(
      "# Of the hub's own authority. Not a secret.\n"
      "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: muster-agent\n{}data:\n  ca.pem: |\n{}---\n",
      Meta(values.choice.target_namespace), Indented(values.ca_pem, "    "));
}

std::string Claim(const KubernetesChoice& choice) {
  if (choice.storage.empty()) return "";
  return fmt::format(
      "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: muster-agent\n{}spec:\n"
      "  accessModes: [ReadWriteOnce]\n  resources:\n    requests:\n      storage: {}\n---\n",
      Meta(choice.target_namespace), YamlQuote(choice.storage));
}

std::string DataVolume(const KubernetesChoice& choice) {
  if (choice.storage.empty()) {
    return "          # The agent's journal: at most 256 MiB and a write-ahead log.\n"
           "          emptyDir:\n            sizeLimit: 512Mi\n";
  }
  return "          persistentVolumeClaim:\n            claimName: muster-agent\n";
}

}  // namespace

bool IsForKubectl(std::string_view query) {
  const auto parameters = ParseQuery(query);
  return std::any_of(parameters.begin(), parameters.end(), [](const auto& one) { return one.first == "scope"; });
}

absl::StatusOr<KubernetesChoice> ReadKubernetesChoice(std::string_view query) {
  KubernetesChoice choice;
  std::set<std::string> seen;
  for (const auto& [name, value] : ParseQuery(query)) {
    if (!seen.insert(name).second) return BadQuery(fmt::format("{} is given twice", name));
    if (name == "scope") {
      RETURN_IF_ERROR(ReadScope(value, &choice));
    } else if (name == "namespace") {
      RETURN_IF_ERROR(ReadNamespace(value, &choice));
    } else if (name == "storage") {
      RETURN_IF_ERROR(ReadStorage(value, &choice));
    } else {
      return BadQuery(fmt::format("{:?} is not known: scope, namespace and storage can be chosen", name));
    }
  }
  if (choice.cluster && choice.target_namespace.empty()) {
    return BadQuery(
        "scope=cluster needs the namespace that the agent shall live in: write ?scope=cluster&namespace=NAMESPACE at "
        "the end of the address, inside of its quotes");
  }
  return choice;
}

absl::StatusOr<std::string> RenderKubernetesManifest(const KubernetesValues& values) {
  RETURN_IF_ERROR(CheckPlain("the hub's agent address", values.hub_grpc_address));
  RETURN_IF_ERROR(CheckPlain("the target id", values.target_id));
  RETURN_IF_ERROR(CheckPem(values.ca_pem));
  const bool has_ca = !values.ca_pem.empty();
  std::string more;
  if (has_ca) more += "            - \"--ca-file=/etc/muster-agent/hub/ca.pem\"\n";
  if (values.insecure) more += "            - \"--insecure\"\n";
  return FillTemplate(
      kKubernetesTemplate,
      {
          {"TARGET", YamlQuote(values.target_name, kMaxNameBytes)},
          {"HUB_URL", YamlQuote(values.hub_url)},
          {"META", Meta(values.choice.target_namespace)},
          {"ROLE", Role(values.choice)},
          {"SECRET", YamlQuote(values.secret.Reveal())},
          {"CA_CONFIG", CaConfig(values)},
          {"CLAIM", Claim(values.choice)},
          // The agent reads the authority at its start only.
          {"CA_HASH", has_ca ? fmt::format("      annotations:\n        muster.ca-sha256: {}\n",
                                           YamlQuote(Sha256Hex(values.ca_pem)))
                             : ""},
          {"IMAGE", YamlQuote(values.image)},
          {"SCOPE_ARGUMENT", values.choice.cluster ? "\"--cluster\"" : "\"--namespace=$(POD_NAMESPACE)\""},
          {"HUB_ARGUMENT", YamlQuote(fmt::format("--hub={}", values.hub_grpc_address))},
          {"TARGET_ARGUMENT", YamlQuote(fmt::format("--target-id={}", values.target_id))},
          {"MORE_ARGUMENTS", more},
          {"CA_MOUNT", has_ca ? "            - name: hub\n              mountPath: /etc/muster-agent/hub\n"
                                "              readOnly: true\n"
                              : ""},
          {"DATA_VOLUME", DataVolume(values.choice)},
          {"CA_VOLUME", has_ca ? "        - name: hub\n          configMap:\n            name: muster-agent\n" : ""},
      });
}

std::string RefusalManifest(std::string_view message) {
  const std::string sentence = YamlQuote(fmt::format("refused/by/muster: {}", message), kMaxMessageBytes);
  return fmt::format(
      "# There is nothing to apply. kubectl shows this apiVersion in its error, which is how the reason reaches you.\n"
      "apiVersion: {}\nkind: Refusal\n",
      sentence);
}

}  // namespace muster::hub
