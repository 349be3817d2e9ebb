// The seam between the session and the transport: one attempt at a stream to the hub. The session owns a Link and
// drives it from one thread; the transport tells what happened through LinkEvents, from threads of its own.
#ifndef MUSTER_AGENT_SESSION_LINK_H_
#define MUSTER_AGENT_SESSION_LINK_H_

#include <memory>

#include "absl/status/status.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Implementations return at once and are callable from any thread.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  // The transport took the frame of Send; the next one may be sent.
  virtual void OnSent() = 0;
  virtual void OnFrame(v1::SessionResponse frame) = 0;
  // Nothing more will be read; OnClosed follows when the transport knows why.
  virtual void OnReadEnded() = 0;
  // The end, once and last. OK: the hub ended the stream in order. Otherwise a sentence for the log.
  virtual void OnClosed(absl::Status status) = 0;
};

// Destroying it ends the stream at once; events may still come for a moment.
class Link {
 public:
  virtual ~Link() = default;
  // One frame at a time: not again before OnSent.
  virtual void Send(const v1::SessionRequest& frame) = 0;
  // Nothing more will be sent; the hub's frames still come. Not before OnSent of the last frame.
  virtual void HalfClose() = 0;
  // Asks for one frame: OnFrame or OnReadEnded follows. What is not asked for waits at the hub: the back-pressure.
  virtual void Receive() = 0;
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  // A fresh connection. Returns before it stands; frames may be sent at once. `events` lives until OnClosed.
  virtual std::unique_ptr<Link> Dial(std::shared_ptr<LinkEvents> events) = 0;
  // Frees what links that have told their end left behind, such as their connection. Cheap; called often.
  virtual void Reap() = 0;
  // Blocks until every destroyed link has told its end: no events come afterwards.
  virtual void Drain() = 0;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_LINK_H_
