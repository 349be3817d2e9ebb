// One connection to an HttpServer, through a unix socket or TCP with TLS, that never blocks: the loop that it lives in
// runs it. Used by BeastHttpClient and BeastStreamGroup, by the thread that runs the loop. Internal to them.
//
// A TCP peer that is gone without a word is noticed within 60 s: the kernel asks it when nothing came for 30 s.
#ifndef MUSTER_AGENT_HTTP_WIRE_H_
#define MUSTER_AGENT_HTTP_WIRE_H_

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/http/name_lookup.h"
#include "agent/http/server_access.h"

namespace muster::agent {

// Owned by shared_ptr. Every `done` is called once, perhaps before the call returns, and not at all after Close. One
// operation of each kind at a time. Errors as HttpClient tells them.
class Wire : public std::enable_shared_from_this<Wire> {
 public:
  using Done = std::function<void(absl::Status)>;

  // `loop` outlives it.
  Wire(boost::asio::io_context& loop, std::shared_ptr<const ServerAccess> server);

  // Looks the name up, connects, one address after the other, and shakes hands. No deadline: who waits closes.
  void Connect(Done done);
  // What Connect is at, for an error: "connect to 10.0.0.1:443".
  std::string Doing() const;
  void Write(std::string bytes, Done done);
  // Once there is something to Read, be it the end.
  void AwaitReadable(Done done);

  struct Got {
    // 0 and not the end: nothing there now.
    std::size_t size = 0;
    bool at_end = false;
  };
  // `size`: at least 1.
  absl::StatusOr<Got> Read(char* to, std::size_t size);
  // Final.
  void Close();

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;
  enum class Stage { kLookUp, kConnect, kHandshake, kOpen };

  void ConnectSocket();
  void ConnectNext(absl::Status last_failure);
  void OnConnected();
  void Handshake();
  void WriteMore();
  absl::StatusOr<Got> ReadTls(char* to, std::size_t size);
  // Calls `next` when the socket can do it, unless closed meanwhile.
  void Await(TlsSession::Want what, void (Wire::*next)());
  void OnReadable();
  // Calls `next` after a while, unless closed or connected meanwhile, or with the next address.
  void Later(absl::Duration wait, std::function<void()> next);
  static void Finish(Done& done, absl::Status status);

  boost::asio::io_context& loop_;
  const std::shared_ptr<const ServerAccess> server_;
  Socket socket_;
  std::unique_ptr<TlsSession> tls_;
  Stage stage_ = Stage::kConnect;
  bool is_closed_ = false;

  // While it connects.
  std::shared_ptr<NameLookup> lookup_;
  std::unique_ptr<boost::asio::steady_timer> timer_;
  NameLookup::Endpoints endpoints_;
  // Of the attempt that runs: what an earlier one says counts no more.
  int attempt_ = 0;
  Done on_connected_;

  std::string out_;
  std::size_t written_ = 0;
  Done on_written_;

  Done on_readable_;
  TlsSession::Want read_wants_ = TlsSession::Want::kRead;
  // Came behind bytes that were given.
  absl::Status late_failure_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HTTP_WIRE_H_
