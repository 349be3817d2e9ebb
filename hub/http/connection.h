// One client's connection: TLS handshake, requests one after the other, answers, deadlines. Internal to the server.
// Everything runs on the connection's strand, but for the methods that say otherwise.
#ifndef MUSTER_HUB_HTTP_CONNECTION_H_
#define MUSTER_HUB_HTTP_CONNECTION_H_

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "hub/http/server.h"

namespace muster::hub {

class Connection;

// What a connection needs of its server. Thread-safe.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  virtual const HttpLimits& limits() const = 0;
  virtual HttpHandler* handler() const = 0;
  virtual void RequestStarted() = 0;
  virtual void RequestRefused() = 0;
  // The server stops: no connection is kept for another request.
  virtual bool stopping() const = 0;
  // The last thing a connection says.
  virtual void Closed(const std::shared_ptr<Connection>& connection) = 0;
};

class Connection {
 public:
  virtual ~Connection() = default;
  // Any thread.
  virtual void Start() = 0;
  // Any thread. Ends it now when it is between requests or streaming, else after the answer under way.
  virtual void Drain() = 0;
  // Any thread. Ends it now.
  virtual void Abort() = 0;
  // Any thread. Cuts the tie to a responder that may outlive the server.
  virtual void DetachAnswer() = 0;
  virtual const std::string& peer_key() const = 0;
};

struct ConnectionPeer {
  std::string address;  // shown and logged
  std::string key;      // what the limit per client counts
};

// `socket`'s executor is the strand. `tls` null: plain.
std::shared_ptr<Connection> MakeConnection(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls,
                                           ConnectionPeer peer, ConnectionHost* host);

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_CONNECTION_H_
