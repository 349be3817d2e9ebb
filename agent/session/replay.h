// What of the journal is sent when (docs/delivery.md; frames: docs/protocol.md, "Records"): a cursor for each lane of
// each epoch, the window of batches that are not acknowledged, the pace, and what follows from the hub's answers. Pure
// logic; SessionLogic drives it from its thread. Every session begins with Begin.
#ifndef MUSTER_AGENT_SESSION_REPLAY_H_
#define MUSTER_AGENT_SESSION_REPLAY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/records.h"
#include "common/clock.h"
#include "muster/agent/v1/agent.pb.h"

namespace muster::agent {

// Of one lane; the hub takes 8.
inline constexpr int kMaxUnackedBatches = 4;
// Heartbeats queue behind what the transport took: on a slow line batches shrink to what it moves in a second or two.
inline constexpr std::size_t kFirstBatchBytes = 16 * 1024;
inline constexpr std::size_t kMinBatchBytes = 4 * 1024;
// How much longer an ack may take than a heartbeat's round trip without replay: so long a heartbeat waits behind
// batches.
inline constexpr absl::Duration kShortQueue = absl::Milliseconds(250);
inline constexpr absl::Duration kLongQueue = absl::Milliseconds(750);
// A backlog of 256 MiB takes some four minutes.
inline constexpr std::int64_t kReplayBytesPerSecond = 1024 * 1024;
// How long a journal that could not be read is left alone.
inline constexpr absl::Duration kReadRetry = absl::Seconds(1);
// Of retry_after in a BatchRefusal.
inline constexpr absl::Duration kDefaultBatchRetry = absl::Seconds(1);
inline constexpr absl::Duration kMinBatchRetry = absl::Milliseconds(100);
inline constexpr absl::Duration kMaxBatchRetry = absl::Minutes(10);
// Hello's journal_positions; the journal holds fewer epochs than that.
inline constexpr int kMaxPositions = 1000;

class Replay {
 public:
  // What the journal holds: before Begin, and whenever it changed.
  void SetLanes(const std::vector<LaneState>& lanes);
  // For Hello.
  std::vector<v1::LanePosition> Positions() const;

  // A session begins. Lanes that its Hello listed go on behind what Welcome says, the others behind what was
  // acknowledged. Returns the positions of the former, for the journal to know.
  std::vector<v1::LanePosition> Begin(const std::vector<v1::LanePosition>& listed, const v1::Welcome& welcome);

  // A heartbeat's, which may have queued behind batches: the shortest of the last minutes counts.
  void NoteRoundTrip(absl::Duration took);

  // The next batch to ask the journal for; one at a time, OnRecords follows.
  std::optional<ReadRequest> NextRead(Moment now);
  // Batches that were not asked for in this session are dropped.
  void OnRecords(v1::RecordBatch batch, Moment now);
  // The batch to send now.
  std::optional<v1::RecordBatch> NextBatch(Moment now);

  // What the journal is to know of it; nothing if it is about something that was not sent.
  std::optional<v1::BatchAck> OnAck(const v1::BatchAck& ack, Moment now);
  void OnRefusal(const v1::BatchRefusal& refusal, Moment now);

  // When NextRead or NextBatch may have something without another event; infinite if never.
  Instant NextDeadline() const;

 private:
  struct InFlight {
    std::int64_t first;
    std::int64_t last;
    Instant sent_at;
  };
  struct Cursor {
    LaneState state;
    std::int64_t next = 1;
    std::deque<InFlight> in_flight;
    // A batch was refused: nothing more before the others in flight are answered.
    bool is_rewinding = false;
    // The hub says things that cannot be; left alone for this session.
    bool is_stopped = false;
  };
  // Of events or logs, in all epochs.
  struct Control {
    bool is_supported = true;
    Instant blocked_until;
  };

  Cursor* Find(const std::string& epoch, v1::Lane lane);
  Control& ControlOf(v1::Lane lane) { return controls_[lane == v1::LANE_LOGS ? 1 : 0]; }
  const Control& ControlOf(v1::Lane lane) const { return controls_[lane == v1::LANE_LOGS ? 1 : 0]; }
  // Where the lane goes on; null when nothing waits, or what is in flight has to be answered first.
  const Cursor* NextOf(v1::Lane lane) const;
  Instant BlockedUntil(v1::Lane lane) const;
  // Of all epochs.
  int InFlightCount(v1::Lane lane) const;
  void RewindTo(Cursor* cursor, std::int64_t sequence);
  void Adapt(absl::Duration ack_took);

  std::vector<Cursor> cursors_;  // oldest epoch first
  std::array<Control, 2> controls_;
  std::optional<ReadRequest> asked_;
  std::optional<v1::RecordBatch> ready_;
  Instant ready_at_;
  Instant read_blocked_until_;
  // The pace: when the bytes sent so far have had their time.
  Instant paced_until_;
  std::size_t batch_bytes_ = kFirstBatchBytes;
  int window_ = 1;
  absl::Duration round_trip_ = absl::InfiniteDuration();
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_SESSION_REPLAY_H_
