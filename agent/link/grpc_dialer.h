// The link over gRPC: a fresh channel per attempt, so that the session's own back-off is the only one. A thin adapter
// on the asynchronous API with one queue and one thread, as at the hub (docs/adr/0009-one-grpc-thread.md): the callback
// API keeps at least two pollers, which wake each other for every frame and once a second without one. Nothing is
// decided here.
#ifndef MUSTER_AGENT_LINK_GRPC_DIALER_H_
#define MUSTER_AGENT_LINK_GRPC_DIALER_H_

#include <memory>
#include <string>

#include "agent/session/link.h"

namespace muster::agent {

// A frame from the hub: settings with 500 keys of 255 bytes are 130 KB, everything else is far below.
inline constexpr int kMaxReceivedFrameBytes = 256 * 1024;

struct GrpcDialerOptions {
  // "hub.example:7443", as gRPC resolves it (c-ares, /etc/hosts).
  std::string hub;
  // PEM; empty: the system's roots. Ignored when insecure.
  std::string ca_pem = {};
  bool insecure = false;
};

// Dial, Reap and Drain come from one thread.
class GrpcDialer : public Dialer {
 public:
  explicit GrpcDialer(GrpcDialerOptions options);
  // Drains; all links must be gone.
  ~GrpcDialer() override;
  std::unique_ptr<Link> Dial(std::shared_ptr<LinkEvents> events) override;
  void Reap() override;
  void Drain() override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LINK_GRPC_DIALER_H_
