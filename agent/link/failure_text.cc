#include "agent/link/failure_text.h"

#include <fmt/format.h>

#include <array>

#include "absl/status/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxDetailBytes = 300;

struct Symptom {
  std::string_view found;
  std::string_view text;
};

// What gRPC 1.51 with BoringSSL or OpenSSL and c-ares writes into its messages, most telling first.
constexpr auto kSymptoms = std::to_array<Symptom>({
    {"not in peer certificate",
     "the hub's certificate is for another name; use a name or address in --hub that the certificate carries"},
    {"CERTIFICATE_VERIFY_FAILED",
     "the hub's certificate is not trusted, or has expired; give the hub's CA with --ca-file, and check this host's "
     "clock"},
    {"certificate verify failed",
     "the hub's certificate is not trusted, or has expired; give the hub's CA with --ca-file, and check this host's "
     "clock"},
    {"wrong version number",
     "the other side does not speak TLS; check the port, or use --insecure for a hub without TLS"},
    {"WRONG_VERSION_NUMBER",
     "the other side does not speak TLS; check the port, or use --insecure for a hub without TLS"},
    {"ALPN", "a web server answers there, not a hub's agent port; give --hub the hub's gRPC address"},
    {"Failed parsing HTTP/2", "something else than a hub answers there; give --hub the hub's gRPC address"},
    // Also a hub whose CA was made anew under the old name: then OpenSSL speaks of a bad signature.
    {"Ssl handshake failed",
     "the TLS handshake failed: the hub's certificate is not from the CA in --ca-file, or this is not a Muster hub; "
     "give "
     "the hub's present CA with --ca-file, and check the address"},
    {"DNS resolution failed", "the name does not resolve; check --hub and this host's DNS"},
    {"Domain name not found", "the name does not resolve; check --hub and this host's DNS"},
    {"Connection refused", "connection refused; check that the hub runs and that the port is right"},
    {"No route to host", "no route to the host; check the network and firewalls between this host and the hub"},
    {"Network is unreachable", "the network is unreachable; check this host's network"},
    {"FD Shutdown", "no connection within 10 s; check the address and firewalls between this host and the hub"},
    {"connection attempt timed out",
     "no connection within 10 s; check the address and firewalls between this host and the hub"},
    {"Deadline Exceeded", "no connection within 10 s; check the address and firewalls between this host and the hub"},
    {"larger than max",
     "the hub sent a frame above the agent's limit of 256 KiB; compare the versions of agent and hub"},
    {"keepalive", "the connection is dead: the hub did not answer a ping for 10 s"},
    {"Connection reset", "the connection was reset"},
    {"Socket closed", "the connection was closed"},
    {"GOAWAY", "the hub closed the connection"},
});

}  // namespace

std::string LinkFailureText(std::string_view hub, int code, std::string_view message) {
  for (const Symptom& symptom : kSymptoms) {
    if (message.find(symptom.found) != std::string_view::npos) return fmt::format("hub {}: {}", hub, symptom.text);
  }
  const std::string detail = CleanUtf8(message, kMaxDetailBytes);
  if (code == static_cast<int>(absl::StatusCode::kUnimplemented)) {
    return fmt::format(
        "hub {}: it does not offer muster.agent.v1.AgentService; check that --hub names the hub's gRPC "
        "address ({})",
        hub, detail);
  }
  return fmt::format("hub {}: {} ({})", hub, absl::StatusCodeToString(static_cast<absl::StatusCode>(code)), detail);
}

}  // namespace muster::agent
