// A server with TLS on 127.0.0.1 that does to its clients exactly what a test says: HTTP, half of it, or nothing at
// all. Each connection is served by a thread of its own.
#ifndef MUSTER_AGENT_HTTP_TESTING_RAW_TLS_SERVER_H_
#define MUSTER_AGENT_HTTP_TESTING_RAW_TLS_SERVER_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/link/testing/test_certificates.h"
#include "common/mutex.h"

namespace muster::agent {

class RawTlsServer {
 public:
  struct Options {
    // Without one: plain TCP.
    TestCertificate certificate = {};
    // Not empty: clients must show a certificate of this CA.
    std::string client_ca_pem = {};
    // Takes connections and never says a word.
    bool is_mute = false;
  };

  // One connection, as its behaviour sees it.
  class Peer {
   public:
    Peer(RawTlsServer* server, int fd, SSL* ssl) : server_(server), fd_(fd), ssl_(ssl) {}
    // Up to the empty line; what came so far when the client closes.
    std::string ReadRequest();
    // False when the client is gone.
    bool Write(std::string_view bytes);
    void WaitForClose();
    // Until Signal() or Stop().
    void AwaitSignal() { server_->AwaitSignal(); }
    // The connection ends properly; without this it is cut.
    void SayGoodbye();
    // The client took up an earlier session.
    bool is_resumed() const { return ssl_ != nullptr && SSL_session_reused(ssl_) == 1; }

   private:
    int ReadByte(char* c);
    RawTlsServer* const server_;
    const int fd_;
    SSL* const ssl_;
  };
  using Behaviour = std::function<void(Peer&)>;

  explicit RawTlsServer(const Options& options);
  ~RawTlsServer() { Stop(); }

  std::uint16_t port() const { return port_; }
  // For connections from now on.
  void OnConnection(Behaviour behaviour);
  void Signal();
  int connections();
  void WaitUntilClosed(int count);
  void Stop();

 private:
  void Accept();
  void Serve(int fd, const Behaviour& behaviour);
  void AwaitSignal();

  const bool is_mute_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread acceptor_;
  // Written by the acceptor, joined after it ended.
  std::vector<std::thread> threads_;

  Mutex mutex_;
  CondVar changed_;
  Behaviour behaviour_ ABSL_GUARDED_BY(mutex_);
  std::vector<int> fds_;
  int closed_ ABSL_GUARDED_BY(mutex_) = 0;
  bool signalled_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_TESTING_RAW_TLS_SERVER_H_
