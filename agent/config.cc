#include "agent/config.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "agent/host/secret_file.h"
#include "agent/jobs/unix_socket.h"
#include "agent/journal/journal_store.h"
#include "agent/logs/masker.h"
#include "common/address.h"
#include "common/byte_size.h"
#include "common/files.h"
#include "common/status.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxNamespaceBytes = 63;
constexpr std::size_t kMaxTargetIdBytes = 255;
// More pages than SQLite can count is an error; this is far below.
constexpr std::int64_t kMaxJournalBytes = std::int64_t{1} << 40;

absl::Status BadConfig(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, message);
}

absl::Status Missing(std::string_view flag, std::string_view what) {
  return BadConfig("MISSING_OPTION", fmt::format("{} is missing; give {}", flag, what));
}

absl::StatusOr<std::string> ParseHub(const std::string& text) {
  if (text.empty()) return Missing("--hub", "the hub's gRPC address as HOST:PORT, for example hub.example:7443");
  const auto address = ParseHostPort(text);
  if (text.find('/') != std::string::npos || !address.ok() || address->host.empty() || address->port == 0) {
    return BadConfig("BAD_HUB_ADDRESS",
                     fmt::format("--hub \"{}\" is not an address; write HOST:PORT of the hub's gRPC port, for example "
                                 "hub.example:7443",
                                 text));
  }
  return address->ToString();
}

absl::StatusOr<std::string> ParseTargetId(const std::string& text) {
  if (text.empty()) return Missing("--target-id", "the id that muster target create printed");
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (printable && text.size() <= kMaxTargetIdBytes) return text;
  return BadConfig("BAD_TARGET_ID", "--target-id is not the id of a target; copy it from muster target list");
}

// An RFC 1123 label, as namespaces are named; empty: none was given.
absl::StatusOr<std::string> ParseNamespace(const std::string& text) {
  const auto is_plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool is_label = text.size() <= kMaxNamespaceBytes &&
                        std::all_of(text.begin(), text.end(), [&](char c) { return is_plain(c) || c == '-'; }) &&
                        (text.empty() || (is_plain(text.front()) && is_plain(text.back())));
  if (is_label) return text;
  return BadConfig("BAD_NAMESPACE", fmt::format("--namespace \"{}\" is not the name of a namespace; it has lower case "
                                                "letters, digits and hyphens",
                                                text));
}

absl::StatusOr<std::int64_t> ParseJournalBytes(const std::string& text) {
  const std::optional<std::int64_t> bytes = ParseByteSize(text);
  if (bytes.has_value() && *bytes >= kMinJournalBytes && *bytes <= kMaxJournalBytes) return *bytes;
  return BadConfig(
      "BAD_JOURNAL_BYTES",
      fmt::format("--journal-bytes \"{}\" is not a size from 1MiB to 1024GiB; write for example 256MiB", text));
}

absl::StatusOr<std::string> ReadCa(const std::string& path) {
  auto pem = ReadFile(path);
  if (!pem.ok()) {
    return BadConfig("CA_FILE_UNREADABLE",
                     fmt::format("the CA file cannot be read: {}; check --ca-file", MessageOf(pem.status())));
  }
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())),
                                                      &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr),
                                                                &X509_free);
  if (certificate != nullptr) return *std::move(pem);
  return BadConfig("BAD_CA_FILE", fmt::format("the CA file {} holds no PEM certificate; give --ca-file the hub's CA, "
                                              "which is tls/ca.pem in the hub's data folder",
                                              path));
}

absl::StatusOr<bool> ParseContainerLogs(const std::string& text) {
  if (text == "on") return true;
  if (text == "off") return false;
  return BadConfig("BAD_CONTAINER_LOGS", fmt::format("--container-logs \"{}\" is not known; use on or off", text));
}

absl::StatusOr<mode_t> ParseSocketMode(const std::string& text) {
  unsigned mode = 0;
  const char* const end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, mode, 8);
  // Its owner, the agent's user, can always write to it.
  if (error == std::errc() && parsed == end && mode <= 0777 && (mode & 0600) == 0600) return mode;
  return BadConfig(
      "BAD_PUSH_SOCKET_MODE",
      fmt::format("--push-socket-mode \"{}\" is not an octal mode from 0600 to 0777; write for example 0660, or 0666 "
                  "for every user of this host",
                  text));
}

// Empty: none.
absl::StatusOr<std::string> ParsePushSocket(const std::string& text, const std::string& data_dir) {
  if (text == "off") return std::string();
  const std::string path = text.empty() ? data_dir + "/push.sock" : text;
  // The path of the data folder is nobody's mistake: the agent runs, and says that there is no socket.
  if (!text.empty()) RETURN_IF_ERROR(CheckSocketPath(path));
  return path;
}

struct MaskLine {
  int number = 0;
  std::string expression;
};

std::vector<MaskLine> MaskLines(std::string_view text) {
  std::vector<MaskLine> lines;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    // As an editor on another system leaves it.
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !line.starts_with('#')) lines.push_back({.number = number, .expression = std::string(line)});
  }
  return lines;
}

absl::Status BadMaskFile(const std::string& where, std::string_view why) {
  return BadConfig("BAD_MASK_FILE", fmt::format("{}: {}; correct it, or leave --mask-file out", where, why));
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadMaskFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    return BadConfig("MASK_FILE_UNREADABLE",
                     fmt::format("the mask file cannot be read: {}; check --mask-file", MessageOf(text.status())));
  }
  const std::vector<MaskLine> lines = MaskLines(*text);
  if (lines.size() > kMaxMaskExpressions) {
    return BadMaskFile(fmt::format("{}, line {}", path, lines[kMaxMaskExpressions].number),
                       fmt::format("at most {} expressions are taken", kMaxMaskExpressions));
  }
  std::vector<std::string> expressions;
  expressions.reserve(lines.size());
  for (const MaskLine& line : lines) expressions.push_back(line.expression);
  const absl::Status all = Masker::Create(expressions).status();
  if (all.ok()) return expressions;
  // The masker counts expressions, a person lines.
  constexpr std::string_view kFirst = "expression 1";
  for (const MaskLine& line : lines) {
    const absl::Status one = Masker::Create({line.expression}).status();
    if (one.ok()) continue;
    std::string why = MessageOf(one);
    if (why.starts_with(kFirst)) why.replace(0, kFirst.size(), "the expression");
    return BadMaskFile(fmt::format("{}, line {}", path, line.number), why);
  }
  return BadMaskFile(path, MessageOf(all));
}

absl::StatusOr<HubAddress> FinalizeHub(const RawRunConfig& raw) {
  HubAddress hub;
  ASSIGN_OR_RETURN(hub.address, ParseHub(raw.hub));
  if (raw.insecure && !raw.ca_file.empty()) {
    return BadConfig(
        "CONTRADICTING_OPTIONS",
        "--ca-file asks for TLS and --insecure for none; leave out --insecure unless the hub runs with it");
  }
  if (!raw.ca_file.empty()) {
    ASSIGN_OR_RETURN(hub.ca_pem, ReadCa(raw.ca_file));
  }
  hub.insecure = raw.insecure;
  return hub;
}

absl::StatusOr<Runtime> ParseRuntime(const std::string& text) {
  if (text == "auto") return Runtime::kAuto;
  if (text == "docker") return Runtime::kDocker;
  if (text == "none") return Runtime::kNone;
  if (text == "kubernetes") return Runtime::kKubernetes;
  return BadConfig("BAD_RUNTIME",
                   fmt::format("--runtime \"{}\" is not known; use auto, docker, kubernetes or none", text));
}

absl::StatusOr<std::string> ParseHostRoot(const std::string& text) {
  if (!text.starts_with('/')) {
    return BadConfig("BAD_HOST_ROOT",
                     fmt::format("--host-root \"{}\" is not an absolute path; give the folder at which the host's / is "
                                 "mounted, for example /host",
                                 text));
  }
  return text.substr(0, text.find_last_not_of('/') + 1);
}

absl::StatusOr<RunConfig> Finalize(const RawRunConfig& raw) {
  RunConfig config;
  ASSIGN_OR_RETURN(config.hub, FinalizeHub(raw));
  ASSIGN_OR_RETURN(config.target_id, ParseTargetId(raw.target_id));
  ASSIGN_OR_RETURN(config.runtime, ParseRuntime(raw.runtime));
  if (raw.data_dir.empty()) {
    return Missing("--data-dir", "a folder that the agent may write, for example /var/lib/muster-agent");
  }
  if (raw.target_secret_file.empty()) {
    return Missing("--target-secret-file", "the path of a file that holds the target secret");
  }
  if (raw.docker_socket.empty()) {
    return BadConfig("BAD_DOCKER_SOCKET", "--docker-socket is empty; give the path of the engine's socket");
  }
  ASSIGN_OR_RETURN(config.kube_namespace, ParseNamespace(raw.kube_namespace));
  if (raw.cluster && !raw.kube_namespace.empty()) {
    return BadConfig("CONTRADICTING_OPTIONS",
                     "--namespace asks for one namespace and --cluster for all; leave one out");
  }
  config.cluster = raw.cluster;
  config.kubeconfig = raw.kubeconfig;
  config.service_account_dir = raw.service_account_dir;
  ASSIGN_OR_RETURN(config.journal_bytes, ParseJournalBytes(raw.journal_bytes));
  ASSIGN_OR_RETURN(config.host_root, ParseHostRoot(raw.host_root));
  ASSIGN_OR_RETURN(config.container_logs, ParseContainerLogs(raw.container_logs));
  if (!raw.mask_file.empty()) {
    ASSIGN_OR_RETURN(config.mask_expressions, ReadMaskFile(raw.mask_file));
  }
  ASSIGN_OR_RETURN(config.secret, ReadSecretFile(raw.target_secret_file));
  config.secret_file = raw.target_secret_file;
  config.data_dir = raw.data_dir;
  config.docker_socket = raw.docker_socket;
  ASSIGN_OR_RETURN(config.push_socket, ParsePushSocket(raw.push_socket, raw.data_dir));
  ASSIGN_OR_RETURN(config.push_socket_mode, ParseSocketMode(raw.push_socket_mode));
  return config;
}

}  // namespace muster::agent
