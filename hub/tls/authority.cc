#include "hub/tls/authority.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>

#include "common/files.h"
#include "common/log.h"
#include "common/status.h"
#include "common/time_format.h"

namespace muster::hub {
namespace {

// The authority lasts as long as a fleet of agents that carry it should: 20 years.
constexpr absl::Duration kCaLifetime = absl::Hours(24 * 365 * 20);
// Clients such as Apple's refuse server certificates beyond 825 days; a hub is started more often than every two years.
constexpr absl::Duration kServerLifetime = absl::Hours(24 * 820);
constexpr absl::Duration kRenewBefore = absl::Hours(24 * 30);
// A host whose clock is a day behind must still be able to connect.
constexpr absl::Duration kBackdate = absl::Hours(24);
// A chain of ten RSA-4096 certificates is 25 KB.
constexpr std::size_t kMaxPemBytes = 256 * 1024;

template <auto kFree>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Freer<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

absl::Status TlsError(absl::StatusCode code, std::string_view reason, const std::string& message) {
  ERR_clear_error();
  return MakeError(code, reason, message);
}

absl::Status LibraryError(std::string_view what) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  return TlsError(absl::StatusCode::kInternal, "TLS_LIBRARY", fmt::format("{}: OpenSSL says {}", what, text.data()));
}

BioPtr BioOf(std::string_view text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

// Never asks on the terminal for a pass phrase.
int NoPassPhrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return 0; }

CertPtr ParseCert(std::string_view pem) {
  return CertPtr(PEM_read_bio_X509(BioOf(pem).get(), nullptr, NoPassPhrase, nullptr));
}

KeyPtr ParseKey(std::string_view pem) {
  return KeyPtr(PEM_read_bio_PrivateKey(BioOf(pem).get(), nullptr, NoPassPhrase, nullptr));
}

std::string ToPem(X509* cert) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), cert);
  return TextOf(bio.get());
}

std::string ToPem(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return TextOf(bio.get());
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromUnixSeconds(timegm(&parts));
}

absl::StatusOr<std::string> SpkiPin(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return LibraryError("encode the public key");
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(der, static_cast<std::size_t>(size), digest.data());
  OPENSSL_free(der);
  std::array<unsigned char, 4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1> encoded{};
  const int length = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return std::string(reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(length));
}

bool IsIpAddress(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

// A name that can stand in a certificate and in OpenSSL's configuration syntax.
bool IsDnsName(std::string_view name) {
  return !name.empty() && name.size() <= 253 && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_'; });
}

std::set<std::string> CompleteNames(const std::vector<std::string>& names) {
  std::set<std::string> complete = {"localhost", "127.0.0.1", "::1"};
  for (std::string name : names) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (name.empty()) continue;
    if (IsIpAddress(name) || IsDnsName(name)) {
      complete.insert(name);
    } else {
      log::Warning("the server certificate leaves out {:?}: neither a DNS name nor an IP address", name);
    }
  }
  return complete;
}

bool HasName(X509* cert, const std::string& name) {
  if (IsIpAddress(name)) return X509_check_ip_asc(cert, name.c_str(), 0) == 1;
  return X509_check_host(cert, name.c_str(), name.size(), X509_CHECK_FLAG_NO_WILDCARDS, nullptr) == 1;
}

absl::StatusOr<KeyPtr> NewKey() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return LibraryError("make a key");
  return key;
}

struct CertSpec {
  std::string common_name;
  absl::Time not_before;
  absl::Time not_after;
  EVP_PKEY* key = nullptr;
  X509* issuer = nullptr;  // null: signs itself
  EVP_PKEY* issuer_key = nullptr;
  std::vector<std::pair<int, std::string>> extensions = {};
};

absl::StatusOr<CertPtr> MakeCert(const CertSpec& spec) {
  CertPtr cert(X509_new());
  X509_set_version(cert.get(), X509_VERSION_3);
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return LibraryError("draw a serial number");
  serial[0] &= 0x7F;
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get()));
  ASN1_TIME_set(X509_getm_notBefore(cert.get()), absl::ToTimeT(spec.not_before));
  ASN1_TIME_set(X509_getm_notAfter(cert.get()), absl::ToTimeT(spec.not_after));
  X509_set_pubkey(cert.get(), spec.key);
  X509_NAME* name = X509_get_subject_name(cert.get());
  // A common name holds 64 characters at most; the names that count are in subjectAltName.
  const std::string common_name = spec.common_name.substr(0, 64);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.data()),
                             static_cast<int>(common_name.size()), -1, 0);
  X509* issuer = spec.issuer != nullptr ? spec.issuer : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer));
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, cert.get(), nullptr, nullptr, 0);
  for (const auto& [nid, value] : spec.extensions) {
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    if (extension == nullptr) return LibraryError(fmt::format("make the certificate extension {:?}", value));
    X509_add_ext(cert.get(), extension.get(), -1);
  }
  if (X509_sign(cert.get(), spec.issuer_key, EVP_sha256()) == 0) return LibraryError("sign the certificate");
  return cert;
}

struct Identity {
  CertPtr cert;
  KeyPtr key;
};

// Which of the two the hub made is damaged tells the operator what deleting it costs.
absl::Status DamagedFile(const std::string& path, std::string_view cost) {
  return TlsError(
      absl::StatusCode::kFailedPrecondition, "TLS_FILE_DAMAGED",
      fmt::format("{} is not valid PEM: restore it from a backup, or remove it and start again ({})", path, cost));
}

absl::StatusOr<Identity> EnsureAuthority(const std::string& dir, absl::Time now) {
  const std::string cert_path = dir + "/ca.pem";
  const std::string key_path = dir + "/ca.key";
  const bool have_cert = std::filesystem::exists(cert_path);
  const bool have_key = std::filesystem::exists(key_path);
  if (have_cert != have_key) {
    return TlsError(
        absl::StatusCode::kFailedPrecondition, "TLS_AUTHORITY_INCOMPLETE",
        fmt::format(
            "{} is there without {}: restore the missing file from a backup, or remove the other one too to get "
            "a new authority (every agent must then be connected again)",
            have_cert ? cert_path : key_path, have_cert ? key_path : cert_path));
  }
  if (have_cert) {
    ASSIGN_OR_RETURN(const std::string cert_pem, ReadFile(cert_path, kMaxPemBytes));
    ASSIGN_OR_RETURN(const std::string key_pem, ReadFile(key_path, kMaxPemBytes));
    Identity found{.cert = ParseCert(cert_pem), .key = ParseKey(key_pem)};
    constexpr std::string_view kCost = "every agent must then be connected again";
    if (found.cert == nullptr) return DamagedFile(cert_path, kCost);
    if (found.key == nullptr) return DamagedFile(key_path, kCost);
    if (X509_check_private_key(found.cert.get(), found.key.get()) != 1) {
      return TlsError(absl::StatusCode::kFailedPrecondition, "TLS_KEY_MISMATCH",
                      fmt::format("{} does not belong to {}: restore both from one backup", key_path, cert_path));
    }
    return found;
  }
  Identity made;
  ASSIGN_OR_RETURN(made.key, NewKey());
  CertSpec spec{.common_name = "Muster hub authority",
                .not_before = now - kBackdate,
                .not_after = now + kCaLifetime,
                .key = made.key.get(),
                .issuer_key = made.key.get()};
  spec.extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                     {NID_key_usage, "critical,keyCertSign,cRLSign"},
                     {NID_subject_key_identifier, "hash"}};
  ASSIGN_OR_RETURN(made.cert, MakeCert(spec));
  // The key first: without it the certificate is worth nothing, and a crash between the two must not leave it alone.
  RETURN_IF_ERROR(WriteFileAtomically(key_path, ToPem(made.key.get()), 0600));
  if (const absl::Status status = WriteFileAtomically(cert_path, ToPem(made.cert.get()), 0644); !status.ok()) {
    unlink(key_path.c_str());
    return status;
  }
  log::Info("made a certificate authority of its own: {}", cert_path);
  return made;
}

// Why the server certificate must be made anew; empty when it may stay.
std::string WhyRenew(X509* cert, EVP_PKEY* key, const Identity& authority, const std::set<std::string>& names,
                     absl::Time now) {
  if (cert == nullptr) return "there was none";
  if (X509_check_private_key(cert, key) != 1) return "it did not belong to its key";
  if (X509_verify(cert, authority.key.get()) != 1) return "it was not from this authority";
  if (now < TimeOf(X509_get0_notBefore(cert))) return "it was not valid yet";
  if (TimeOf(X509_get0_notAfter(cert)) - now < kRenewBefore) return "it was about to expire";
  for (const std::string& name : names) {
    if (!HasName(cert, name)) return fmt::format("it lacked the name {}", name);
  }
  return "";
}

absl::StatusOr<CertPtr> MakeServerCert(const Identity& authority, EVP_PKEY* key, const std::set<std::string>& names,
                                       absl::Time now) {
  std::string alternatives;
  for (const std::string& name : names) {
    alternatives += fmt::format("{}{}:{}", alternatives.empty() ? "" : ",", IsIpAddress(name) ? "IP" : "DNS", name);
  }
  // Never outlives the authority, which clients check too.
  const absl::Time end = std::min(now + kServerLifetime, TimeOf(X509_get0_notAfter(authority.cert.get())));
  CertSpec spec{.common_name = "Muster hub",
                .not_before = now - kBackdate,
                .not_after = end,
                .key = key,
                .issuer = authority.cert.get(),
                .issuer_key = authority.key.get()};
  spec.extensions = {{NID_basic_constraints, "critical,CA:FALSE"},
                     {NID_key_usage, "critical,digitalSignature"},
                     {NID_ext_key_usage, "serverAuth"},
                     {NID_subject_key_identifier, "hash"},
                     {NID_authority_key_identifier, "keyid"},
                     {NID_subject_alt_name, alternatives}};
  return MakeCert(spec);
}

absl::StatusOr<KeyPtr> EnsureServerKey(const std::string& path) {
  if (std::filesystem::exists(path)) {
    ASSIGN_OR_RETURN(const std::string pem, ReadFile(path, kMaxPemBytes));
    KeyPtr key = ParseKey(pem);
    if (key == nullptr) return DamagedFile(path, "the pin in connect commands that were not used yet changes");
    return key;
  }
  ASSIGN_OR_RETURN(KeyPtr key, NewKey());
  RETURN_IF_ERROR(WriteFileAtomically(path, ToPem(key.get()), 0600));
  return key;
}

absl::StatusOr<std::string> ReadPem(const std::string& path, std::string_view what, std::string_view flag) {
  auto text = ReadFile(path, kMaxPemBytes);
  if (text.ok()) return text;
  return TlsError(absl::StatusCode::kFailedPrecondition, "TLS_FILE_UNREADABLE",
                  fmt::format("cannot read the TLS {} ({}): {}: check the path and that this user may read it", what,
                              flag, MessageOf(text.status())));
}

absl::Status CheckValidity(X509* cert, const std::string& path, absl::Time now) {
  const absl::Time begin = TimeOf(X509_get0_notBefore(cert));
  const absl::Time end = TimeOf(X509_get0_notAfter(cert));
  if (now >= end) {
    return TlsError(
        absl::StatusCode::kFailedPrecondition, "TLS_CERTIFICATE_EXPIRED",
        fmt::format("the certificate {} expired at {}: put a renewed one in its place", path, FormatRfc3339(end)));
  }
  if (now < begin) {
    return TlsError(absl::StatusCode::kFailedPrecondition, "TLS_CERTIFICATE_NOT_YET_VALID",
                    fmt::format("the certificate {} is valid from {} on, and this machine's clock says {}: correct the "
                                "clock, or use another certificate",
                                path, FormatRfc3339(begin), FormatRfc3339(now)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ServerTls> EnsureTls(const std::string& dir, const std::vector<std::string>& names, absl::Time now) {
  RETURN_IF_ERROR(MakeDirectories(dir, 0700));
  ASSIGN_OR_RETURN(const Identity authority, EnsureAuthority(dir, now));
  RETURN_IF_ERROR(CheckValidity(authority.cert.get(), dir + "/ca.pem", now));
  ASSIGN_OR_RETURN(const KeyPtr key, EnsureServerKey(dir + "/server.key"));
  const std::string cert_path = dir + "/server.pem";
  const std::set<std::string> complete = CompleteNames(names);
  CertPtr cert;
  if (auto pem = ReadFile(cert_path, kMaxPemBytes); pem.ok()) cert = ParseCert(*pem);
  if (const std::string why = WhyRenew(cert.get(), key.get(), authority, complete, now); !why.empty()) {
    ASSIGN_OR_RETURN(cert, MakeServerCert(authority, key.get(), complete, now));
    RETURN_IF_ERROR(WriteFileAtomically(cert_path, ToPem(cert.get()), 0644));
    log::Info("made a server certificate ({}): {}, good until {}", why, cert_path,
              FormatRfc3339(TimeOf(X509_get0_notAfter(cert.get()))));
  }
  ERR_clear_error();
  ServerTls tls;
  tls.cert_chain_pem = ToPem(cert.get());
  tls.key_pem = Secret(ToPem(key.get()));
  tls.ca_pem = ToPem(authority.cert.get());
  ASSIGN_OR_RETURN(tls.spki_sha256_base64, SpkiPin(key.get()));
  tls.not_after = TimeOf(X509_get0_notAfter(cert.get()));
  return tls;
}

absl::StatusOr<ServerTls> LoadTls(const std::string& cert_file, const std::string& key_file, absl::Time now) {
  ServerTls tls;
  ASSIGN_OR_RETURN(tls.cert_chain_pem, ReadPem(cert_file, "certificate", "--tls-cert"));
  ASSIGN_OR_RETURN(std::string key_pem, ReadPem(key_file, "key", "--tls-key"));
  const CertPtr cert = ParseCert(tls.cert_chain_pem);
  if (cert == nullptr) {
    return TlsError(
        absl::StatusCode::kFailedPrecondition, "TLS_CERTIFICATE_NOT_PEM",
        fmt::format("{} holds no PEM certificate (\"-----BEGIN CERTIFICATE-----\"): convert it with `openssl "
                    "x509 -in FILE -out FILE.pem`",
                    cert_file));
  }
  const KeyPtr key = ParseKey(key_pem);
  if (key == nullptr) {
    return TlsError(absl::StatusCode::kFailedPrecondition, "TLS_KEY_NOT_PEM",
                    fmt::format("{} holds no PEM private key without a pass phrase: convert it with `openssl pkey -in "
                                "FILE -out FILE.pem`",
                                key_file));
  }
  if (X509_check_private_key(cert.get(), key.get()) != 1) {
    return TlsError(absl::StatusCode::kFailedPrecondition, "TLS_KEY_MISMATCH",
                    fmt::format("the key {} does not match the certificate {}: name the pair that was issued together "
                                "(the server's certificate comes first in the file)",
                                key_file, cert_file));
  }
  RETURN_IF_ERROR(CheckValidity(cert.get(), cert_file, now));
  tls.key_pem = Secret(std::move(key_pem));
  ASSIGN_OR_RETURN(tls.spki_sha256_base64, SpkiPin(key.get()));
  tls.not_after = TimeOf(X509_get0_notAfter(cert.get()));
  return tls;
}

std::string HostOfUrl(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return "";
  std::string_view rest = url.substr(scheme + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  if (!rest.empty() && rest.front() == '[') {
    const std::size_t close = rest.find(']');
    return close == std::string_view::npos ? "" : std::string(rest.substr(1, close - 1));
  }
  return std::string(rest.substr(0, rest.find(':')));
}

std::string LocalHostname() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

}  // namespace muster::hub
