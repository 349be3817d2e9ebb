#include "agent/http/tls_session.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <utility>

#include "agent/http/tls_errors.h"
#include "common/status.h"

namespace muster::agent {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Buffer = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

absl::Status SettingsError(std::string_view what) {
  ERR_clear_error();
  return MakeError(absl::StatusCode::kInvalidArgument, "TLS_SETTINGS", what);
}

// What an X509 tells about why it is refused, for people.
int OnVerified(int is_good, X509_STORE_CTX* store) {
  if (is_good == 1) return 1;
  auto* const ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  NoteRefusal(ssl, store);
  return 0;
}

// OpenSSL would ask at the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*is_writing*/, void* /*user*/) { return 0; }

Buffer Reader(const std::string& text) { return Buffer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

absl::Status TrustPem(SSL_CTX* context, const std::string& pem) {
  const Buffer in = Reader(pem);
  int count = 0;
  while (const Certificate certificate{PEM_read_bio_X509(in.get(), nullptr, NoPassword, nullptr)}) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get());
    ++count;
  }
  ERR_clear_error();
  if (count > 0) return absl::OkStatus();
  return SettingsError("the CA has no certificate in PEM form (BEGIN CERTIFICATE); give the server's CA certificate");
}

absl::Status UseClientCertificate(SSL_CTX* context, const TlsSettings& settings) {
  const Buffer in = Reader(settings.client_certificate_pem);
  const Certificate own(PEM_read_bio_X509(in.get(), nullptr, NoPassword, nullptr));
  if (own == nullptr || SSL_CTX_use_certificate(context, own.get()) != 1) {
    return SettingsError("the client certificate is not a certificate in PEM form (BEGIN CERTIFICATE)");
  }
  while (X509* const link = PEM_read_bio_X509(in.get(), nullptr, NoPassword, nullptr)) {
    SSL_CTX_add_extra_chain_cert(context, link);
  }
  ERR_clear_error();
  const Buffer key_in = Reader(settings.client_key_pem);
  const Key key(PEM_read_bio_PrivateKey(key_in.get(), nullptr, NoPassword, nullptr));
  if (key == nullptr) {
    return SettingsError(
        "the client key is not a private key in PEM form, or it is encrypted; give it without password");
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return SettingsError("the client key does not belong to the client certificate");
  }
  return absl::OkStatus();
}

// False when `text` is no IP address.
bool IsIpAddress(const std::string& text) {
  std::array<unsigned char, 16> address;
  return inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

int ToSize(std::size_t size) { return static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max())); }

}  // namespace

TlsSession::TlsSession(std::shared_ptr<TlsContext> context, SSL* ssl) : context_(std::move(context)), ssl_(ssl) {}

TlsSession::~TlsSession() {
  // Says farewell if the socket takes it. Without it OpenSSL takes the session for a bad one.
  if (SSL_is_init_finished(ssl_) == 1) SSL_shutdown(ssl_);
  ERR_clear_error();
  FreeNotes(ssl_);
  SSL_free(ssl_);
}

TlsSession::Step TlsSession::Handshake() {
  ERR_clear_error();
  return ToStep(SSL_do_handshake(ssl_), "TLS handshake");
}

TlsSession::Step TlsSession::Read(char* to, std::size_t size) {
  ERR_clear_error();
  return ToStep(SSL_read(ssl_, to, ToSize(size)), "read");
}

TlsSession::Step TlsSession::Write(const char* from, std::size_t size) {
  ERR_clear_error();
  return ToStep(SSL_write(ssl_, from, ToSize(size)), "send the request");
}

bool TlsSession::HasPending() const { return SSL_pending(ssl_) > 0; }

TlsSession::Step TlsSession::ToStep(int result, const char* operation) {
  const int error_number = errno;
  if (result > 0) return {.size = static_cast<std::size_t>(result), .status = {}};
  const int kind = SSL_get_error(ssl_, result);
  if (kind == SSL_ERROR_WANT_READ) return {.want = Want::kRead, .status = {}};
  if (kind == SSL_ERROR_WANT_WRITE) return {.want = Want::kWrite, .status = {}};
  if (kind == SSL_ERROR_ZERO_RETURN) return {.at_end = true, .status = {}};
  return {.status = context_->FailureOf(ssl_, kind, error_number, operation)};
}

TlsContext::TlsContext(std::string server_name)
    : server_name_(std::move(server_name)), context_(SSL_CTX_new(TLS_client_method())) {}

TlsContext::~TlsContext() {
  SSL_SESSION_free(session_);
  SSL_CTX_free(context_);
}

absl::StatusOr<std::shared_ptr<TlsContext>> TlsContext::Make(std::string server_name, const TlsSettings& settings) {
  // Not make_shared: the constructor is private.
  std::shared_ptr<TlsContext> context(new TlsContext(std::move(server_name)));
  RETURN_IF_ERROR(context->SetUp(settings));
  return context;
}

absl::Status TlsContext::SetUp(const TlsSettings& settings) {
  if (context_ == nullptr) return SettingsError("OpenSSL cannot be used");
  SSL_CTX_set_app_data(context_, this);
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context_,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, OnNewSession);
  constexpr std::array<unsigned char, 9> kHttp11 = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(context_, kHttp11.data(), kHttp11.size());
  SSL_CTX_set_verify(context_, settings.skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, OnVerified);
  X509_VERIFY_PARAM* const rules = SSL_CTX_get0_param(context_);
  // What is given as CA is trusted, be it a root or not: as Kubernetes' own clients do.
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const bool has_name = IsIpAddress(server_name_) ? X509_VERIFY_PARAM_set1_ip_asc(rules, server_name_.c_str()) == 1
                                                  : X509_VERIFY_PARAM_set1_host(rules, server_name_.c_str(), 0) == 1;
  if (server_name_.empty() || !has_name) return SettingsError("the server's name cannot be verified; give its address");
  if (settings.ca_pem.empty()) {
    SSL_CTX_set_default_verify_paths(context_);
    ERR_clear_error();
  } else {
    RETURN_IF_ERROR(TrustPem(context_, settings.ca_pem));
  }
  if (settings.client_certificate_pem.empty() != settings.client_key_pem.empty()) {
    return SettingsError("a client certificate and its key go together: one of them is missing");
  }
  if (settings.client_certificate_pem.empty()) return absl::OkStatus();
  return UseClientCertificate(context_, settings);
}

int TlsContext::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  auto* const self = static_cast<TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  MutexLock lock(&self->mutex_);
  SSL_SESSION_free(std::exchange(self->session_, session));
  // It is ours now.
  return 1;
}

absl::StatusOr<std::unique_ptr<TlsSession>> TlsContext::Open(int fd) {
  SSL* const ssl = SSL_new(context_);
  if (ssl == nullptr) return SettingsError("OpenSSL cannot make a connection");
  std::unique_ptr<TlsSession> session(new TlsSession(shared_from_this(), ssl));
  SSL_set_fd(ssl, fd);
  SSL_set_connect_state(ssl);
  if (!IsIpAddress(server_name_)) SSL_set_tlsext_host_name(ssl, server_name_.c_str());
  MutexLock lock(&mutex_);
  if (session_ != nullptr) SSL_set_session(ssl, session_);
  return session;
}

absl::Status TlsContext::FailureOf(SSL* ssl, int kind, int error_number, const char* operation) const {
  const absl::Status status = TlsFailure(ssl, kind, error_number, server_name_);
  ERR_clear_error();
  return Annotate(status, operation);
}

}  // namespace muster::agent
