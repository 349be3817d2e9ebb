// The hub's own certificate authority and server certificate (ECDSA P-256), or the ones it was given. Used by main at
// start, before any listener; not thread-safe against a second process on the same folder (the data directory's lock
// is). Every error says what is wrong with which file and what to do. docs/install.md tells how the pin is used.
#ifndef MUSTER_HUB_TLS_AUTHORITY_H_
#define MUSTER_HUB_TLS_AUTHORITY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/secret.h"

namespace muster::hub {

// What a listener needs. Everything speaks TLS 1.2 or newer.
struct ServerTls {
  std::string cert_chain_pem;
  Secret key_pem;
  // The authority clients must trust; empty for a certificate that was given: then the machine's own store decides.
  std::string ca_pem;
  // SHA-256 of the server key's SubjectPublicKeyInfo, as `curl --pinnedpubkey sha256//...` wants it.
  std::string spki_sha256_base64;
  absl::Time not_after;
};

// Loads ca.pem, ca.key, server.pem and server.key from `dir`, making what is missing. `names` are added to localhost,
// 127.0.0.1 and ::1: DNS names and IP addresses without brackets. The server certificate is made anew, with the same
// key (so the pin stays), when it ends within 30 days, is not from this authority, or `names` has one it lacks.
absl::StatusOr<ServerTls> EnsureTls(const std::string& dir, const std::vector<std::string>& names, absl::Time now);

// A certificate chain and key in PEM files given by flags.
absl::StatusOr<ServerTls> LoadTls(const std::string& cert_file, const std::string& key_file, absl::Time now);

// The host of "https://host:port/..."; empty when there is none.
std::string HostOfUrl(std::string_view url);

// This machine's own name; empty when it has none.
std::string LocalHostname();

}  // namespace muster::hub

#endif  // MUSTER_HUB_TLS_AUTHORITY_H_
