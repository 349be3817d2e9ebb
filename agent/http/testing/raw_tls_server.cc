#include "agent/http/testing/raw_tls_server.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>

namespace muster::agent {
namespace {

struct BioFree {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Buffer = std::unique_ptr<BIO, BioFree>;

void Require(bool good) {
  if (!good) std::abort();
}

Buffer Reader(const std::string& text) { return Buffer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Whatever a client offers: HTTP/1.1.
int ChooseHttp11(SSL* /*ssl*/, const unsigned char** out, unsigned char* size, const unsigned char* in,
                 unsigned int in_size, void* /*user*/) {
  constexpr std::string_view kHttp11 = "\x08http/1.1";
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, size, reinterpret_cast<const unsigned char*>(kHttp11.data()),
                                           kHttp11.size(), in, in_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX* MakeContext(const RawTlsServer::Options& options) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  X509* const certificate =
      PEM_read_bio_X509(Reader(options.certificate.certificate_pem).get(), nullptr, nullptr, nullptr);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(Reader(options.certificate.key_pem).get(), nullptr, nullptr, nullptr);
  Require(SSL_CTX_use_certificate(context, certificate) == 1 && SSL_CTX_use_PrivateKey(context, key) == 1);
  X509_free(certificate);
  EVP_PKEY_free(key);
  SSL_CTX_set_alpn_select_cb(context, ChooseHttp11, nullptr);
  const unsigned char id[] = "test";
  SSL_CTX_set_session_id_context(context, id, sizeof(id));
  if (options.client_ca_pem.empty()) return context;
  X509* const ca = PEM_read_bio_X509(Reader(options.client_ca_pem).get(), nullptr, nullptr, nullptr);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
  X509_free(ca);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

}  // namespace

int RawTlsServer::Peer::ReadByte(char* c) {
  return ssl_ != nullptr ? SSL_read(ssl_, c, 1) : static_cast<int>(read(fd_, c, 1));
}

std::string RawTlsServer::Peer::ReadRequest() {
  std::string request;
  char c = 0;
  while (!request.ends_with("\r\n\r\n") && ReadByte(&c) == 1) request += c;
  return request;
}

bool RawTlsServer::Peer::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ssl_ != nullptr ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                      : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void RawTlsServer::Peer::WaitForClose() {
  char buffer[256];
  while (read(fd_, buffer, sizeof(buffer)) > 0) {
  }
}

void RawTlsServer::Peer::SayGoodbye() { SSL_shutdown(ssl_); }

RawTlsServer::RawTlsServer(const Options& options) : is_mute_(options.is_mute) {
  // OpenSSL writes without asking for none.
  std::signal(SIGPIPE, SIG_IGN);
  if (!options.certificate.certificate_pem.empty()) context_ = MakeContext(options);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  Require(bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_, 64) == 0 &&
          getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

void RawTlsServer::OnConnection(Behaviour behaviour) {
  MutexLock lock(&mutex_);
  behaviour_ = std::move(behaviour);
}

void RawTlsServer::Signal() {
  MutexLock lock(&mutex_);
  signalled_ = true;
  changed_.NotifyAll();
}

int RawTlsServer::connections() {
  MutexLock lock(&mutex_);
  return static_cast<int>(fds_.size());
}

void RawTlsServer::WaitUntilClosed(int count) {
  MutexLock lock(&mutex_);
  while (closed_ < count) changed_.Wait(&mutex_);
}

void RawTlsServer::Stop() {
  {
    MutexLock lock(&mutex_);
    if (stopped_) return;
    stopped_ = true;
    signalled_ = true;
    for (const int fd : fds_) shutdown(fd, SHUT_RDWR);
    changed_.NotifyAll();
  }
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  close(listener_);
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : fds_) close(fd);
  SSL_CTX_free(context_);
}

void RawTlsServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    MutexLock lock(&mutex_);
    fds_.push_back(fd);
    if (stopped_) return;
    threads_.emplace_back([this, fd, behaviour = behaviour_] { Serve(fd, behaviour); });
  }
}

void RawTlsServer::Serve(int fd, const Behaviour& behaviour) {
  SSL* const ssl = context_ == nullptr ? nullptr : SSL_new(context_);
  if (ssl != nullptr) SSL_set_fd(ssl, fd);
  Peer peer(this, fd, ssl);
  if (is_mute_) {
    peer.WaitForClose();
  } else if (ssl != nullptr && SSL_accept(ssl) != 1) {
    // What the client has sent meanwhile is read, so that it sees why.
    shutdown(fd, SHUT_WR);
    peer.WaitForClose();
  } else if (behaviour) {
    behaviour(peer);
  }
  SSL_free(ssl);
  shutdown(fd, SHUT_RDWR);
  MutexLock lock(&mutex_);
  ++closed_;
  changed_.NotifyAll();
}

void RawTlsServer::AwaitSignal() {
  MutexLock lock(&mutex_);
  while (!signalled_) changed_.Wait(&mutex_);
}

}  // namespace muster::agent
