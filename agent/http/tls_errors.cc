#include "agent/http/tls_errors.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <system_error>

#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr int kMaxNames = 6;
constexpr std::size_t kMaxNameBytes = 100;

struct Refusal {
  int verdict = X509_V_OK;
  // "a, b, c": whom the certificate is for.
  std::string names;
  // The end or begin of its validity.
  std::string time;
};

struct NamesFree {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

std::string_view ToView(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string ToText(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) return EscapeControl(CleanUtf8(ToView(name->d.dNSName), kMaxNameBytes));
  if (name->type != GEN_IPADD) return "";
  const std::string_view bytes = ToView(name->d.iPAddress);
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (bytes.size() != 4 && bytes.size() != 16) return "";
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string NamesOf(X509* certificate) {
  const std::unique_ptr<GENERAL_NAMES, NamesFree> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string text;
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
  for (int i = 0; i < std::min(count, kMaxNames); ++i) {
    const std::string name = ToText(sk_GENERAL_NAME_value(names.get(), i));
    if (!name.empty()) text += (text.empty() ? "" : ", ") + name;
  }
  if (count > kMaxNames) text += fmt::format(" and {} more", count - kMaxNames);
  return text.empty() ? "no name at all" : text;
}

std::string TimeText(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown time";
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min);
}

absl::Status NotTrusted(const Refusal& refusal, const std::string& server_name) {
  const auto make = [](std::string_view reason, std::string_view message) {
    return MakeError(absl::StatusCode::kUnauthenticated, reason, message);
  };
  switch (refusal.verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return make("TLS_EXPIRED", fmt::format("the server's certificate, or its CA's, expired at {}; renew it at the "
                                             "server, and check this machine's clock",
                                             refusal.time));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return make(
          "TLS_EXPIRED",
          fmt::format("the server's certificate is not valid before {}; check this machine's clock", refusal.time));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return make("TLS_WRONG_NAME",
                  fmt::format("the server's certificate is for {}, not for {}; use an address that it "
                              "carries, or tell the server's name (tls-server-name)",
                              refusal.names, server_name));
    default:
      return make("TLS_UNTRUSTED",
                  fmt::format("the server's certificate is not signed by a CA that is trusted here ({}); give the CA "
                              "certificate of this server",
                              X509_verify_cert_error_string(refusal.verdict)));
  }
}

bool IsAboutOurCertificate(int reason) {
  switch (reason) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    // It knows another CA of the same name.
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

absl::Status Lost(std::string_view how) { return MakeError(absl::StatusCode::kUnavailable, "CONNECTION_LOST", how); }

}  // namespace

void NoteRefusal(SSL* ssl, X509_STORE_CTX* store) {
  FreeNotes(ssl);
  auto refusal = std::make_unique<Refusal>();
  refusal->verdict = X509_STORE_CTX_get_error(store);
  if (X509* const certificate = X509_STORE_CTX_get_current_cert(store); certificate != nullptr) {
    refusal->names = NamesOf(certificate);
    refusal->time = TimeText(refusal->verdict == X509_V_ERR_CERT_NOT_YET_VALID ? X509_get0_notBefore(certificate)
                                                                               : X509_get0_notAfter(certificate));
  }
  SSL_set_app_data(ssl, refusal.release());
}

void FreeNotes(SSL* ssl) {
  const std::unique_ptr<Refusal> old(static_cast<Refusal*>(SSL_get_app_data(ssl)));
  SSL_set_app_data(ssl, nullptr);
}

absl::Status TlsFailure(SSL* ssl, int kind, int error_number, const std::string& server_name) {
  // The last: before it stand what it came from, such as a signature that does not fit.
  const unsigned long error = ERR_peek_last_error();
  if (kind == SSL_ERROR_SYSCALL && error == 0) {
    return Lost(error_number == 0 ? "the server closed the connection"
                                  : std::error_code(error_number, std::system_category()).message());
  }
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  const auto* const refusal = static_cast<const Refusal*>(SSL_get_app_data(ssl));
  if (refusal != nullptr && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) return NotTrusted(*refusal, server_name);
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) return Lost("the server closed the connection");
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG) {
    return MakeError(absl::StatusCode::kDataLoss, "TLS_NOT_SPOKEN",
                     "the other side does not speak TLS; check that the address is an https one, with the right port");
  }
  const char* const text = ERR_reason_error_string(error);
  if (IsAboutOurCertificate(reason)) {
    return MakeError(absl::StatusCode::kUnauthenticated, "TLS_CLIENT_REFUSED",
                     fmt::format("the server does not take our client certificate, or wants one ({}); check client "
                                 "certificate and key",
                                 text));
  }
  return MakeError(
      absl::StatusCode::kDataLoss, "TLS_FAILED",
      fmt::format("TLS failed: {}; check that the address is that of the server, and that it speaks TLS 1.2 or "
                  "later",
                  text == nullptr ? "unknown error" : text));
}

}  // namespace muster::agent
