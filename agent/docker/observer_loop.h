// The Docker observer's work, one turn at a time: keeps the event stream open, turns events into inspections, lists
// everything now and then, and publishes pictures or faults (docs/status-rules.md, "When the agent looks"), and beside
// a picture the containers in it. Driven by DockerObserver's thread, in tests by the test. Not thread-safe but for
// SetRelistInterval.
#ifndef MUSTER_AGENT_DOCKER_OBSERVER_LOOP_H_
#define MUSTER_AGENT_DOCKER_OBSERVER_LOOP_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/docker/deployment_book.h"
#include "agent/docker/engine_client.h"
#include "agent/http/line_splitter.h"
#include "agent/logs/log_sources.h"
#include "agent/present.h"
#include "common/backoff.h"
#include "common/clock.h"

namespace muster::agent {

// `die` and `destroy` wait so long for a `start` that makes them a restart or a replacement.
inline constexpr absl::Duration kSettle = absl::Milliseconds(250);
// Between two rounds of inspections that events caused: ten a second, however many events there are.
inline constexpr absl::Duration kRoundInterval = absl::Milliseconds(100);
// An inspection takes an engine about 1 ms: a round takes less than the interval.
inline constexpr std::size_t kMaxInspectsPerRound = 64;
// Containers with something to look after. More at once are left to a full look.
inline constexpr std::size_t kMaxMarks = 4096;
// After a lost or unreadable event, and for containers that cannot be inspected.
inline constexpr absl::Duration kMinRelistSpacing = absl::Seconds(5);
inline constexpr absl::Duration kPingInterval = absl::Seconds(10);
// A stream that lived shorter counts as a failed attempt.
inline constexpr absl::Duration kStableStream = absl::Seconds(5);
// So many inspections without an answer in a row are the engine's failure, not one container's.
inline constexpr int kMaxSlowInspects = 3;

class ObserverLoop {
 public:
  struct Options {
    std::string socket_path;  // for messages
    absl::Duration relist_interval;
    Backoff::Options backoff;
    EngineClient::Deadlines deadlines;
  };
  // All pointers must outlive this; `containers` may be null. `uniform`: see Backoff.
  ObserverLoop(Options options, std::function<double()> uniform, const Clock* clock, HttpClient* http,
               PresentSink* sink, ContainerSink* containers);

  // Does what is due. While the stream is open it waits in HttpStream::Read and returns zero; otherwise it returns how
  // long to wait before the next turn.
  absl::Duration Turn();

  // Thread-safe.
  void SetRelistInterval(absl::Duration interval);

  // Lines of the event stream that were too long or not readable.
  std::int64_t bad_lines() const { return lines_.skipped() + unreadable_lines_; }

 private:
  struct Mark {
    Instant first;
    Instant due;
    bool destroyed = false;
  };

  absl::Duration Connect();
  void ReadEvents();
  void TakeEvent(const EngineEvent& event);
  void SetMark(const EngineEvent& event, Instant now);
  absl::Duration UntilNextWork() const;
  bool LookIsUnderWay() const { return !to_inspect_.empty(); }

  // These return false when the engine failed.
  bool StartLookIfDue();
  bool ContinueLook();
  bool DoRound();
  bool PingIfDue();
  // Inspects. Where that is impossible, takes the list's row if `row_is_fresh`, else asks for a full look.
  bool Refresh(const std::string& id, bool row_is_fresh);

  void RequestLook();
  void FallBack(const std::string& id, bool row_is_fresh);
  void PublishPicture(bool always);
  void PublishContainers(const Present& present, Moment now, bool always);
  void Fail(const absl::Status& status);
  void LoseStream(const absl::Status& status);

  const Options options_;
  const Clock* const clock_;
  EngineClient engine_;
  PresentSink* const sink_;
  ContainerSink* const container_sink_;
  // Set by any thread.
  std::atomic<std::int64_t> relist_interval_ms_;

  Backoff backoff_;
  std::unique_ptr<HttpStream> stream_;
  Instant stream_opened_;
  Instant retry_at_;
  LineSplitter lines_{kMaxEventLineBytes};
  std::int64_t unreadable_lines_ = 0;

  DeploymentBook book_;
  std::map<std::string, Mark> marks_;
  Instant next_round_;

  // The full look under way: what the list said, and what is still to be inspected.
  std::map<std::string, Container> rows_;
  std::deque<std::string> to_inspect_;
  Instant look_due_;
  Instant last_look_;
  // A full look was completed since the engine was last unreadable: the book may be shown.
  bool looked_ = false;
  // Did not answer in time; inspected last and only by full looks.
  std::set<std::string> stuck_;
  int slow_inspects_ = 0;
  Instant ping_due_;

  std::optional<absl::Time> fault_since_;
  std::string fault_message_;
  std::optional<std::string> last_published_;
  std::vector<LogContainer> last_containers_;
  std::optional<ContainerCensus> last_census_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_DOCKER_OBSERVER_LOOP_H_
