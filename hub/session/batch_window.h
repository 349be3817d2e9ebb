// Batches of one lane of a session between their arrival and their answers: how many may be with the writer, and in
// which order the answers leave. Plain logic; not thread-safe, the session guards it.
#ifndef MUSTER_HUB_SESSION_BATCH_WINDOW_H_
#define MUSTER_HUB_SESSION_BATCH_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "muster/agent/v1/agent.pb.h"

namespace muster::hub {

class BatchWindow {
 public:
  // With the writer at a time. An agent has at most four of a lane unanswered, of 64 KiB each.
  static constexpr int kMaxBatches = 8;
  static constexpr std::size_t kMaxBytes = 512 * 1024;
  // Refused ones wait for the answers before theirs, so that a sender that does not wait is bounded, too.
  static constexpr std::size_t kMaxUnanswered = 64;

  // A place in the order of answers; nullopt: the agent sends on without waiting for answers.
  std::optional<std::int64_t> Enter();
  // Whether a batch may go to the writer; one alone always may. `Left` must follow when it has come back.
  bool Admit(std::size_t bytes);
  void Left(std::size_t bytes);
  // Returns what may be sent now, in order: this answer and those that waited for it, or nothing.
  std::vector<agent::v1::SessionResponse> Answer(std::int64_t place, agent::v1::SessionResponse answer);

 private:
  std::int64_t first_place_ = 0;
  // Few at a time. No deque: an empty one takes half a KiB, and most sessions have nothing to answer.
  std::vector<std::optional<agent::v1::SessionResponse>> answers_;
  int batches_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_SESSION_BATCH_WINDOW_H_
