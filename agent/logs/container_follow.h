// One container's log, followed: finds where to go on, proves what is gone, follows, asks again when it is silent
// (docs/logs.md, "Where to go on"). Driven by CollectorLoop; no thread of its own.
//
//   waiting ──> find (last 1000) ──> find (all) ──> prove
//      ^          └── found ──> follow <── rotated ───┘
//      └────────── end, error, hanging ──┘
#ifndef MUSTER_AGENT_LOGS_CONTAINER_FOLLOW_H_
#define MUSTER_AGENT_LOGS_CONTAINER_FOLLOW_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/http/stream_group.h"
#include "agent/logs/container_lines.h"
#include "agent/logs/docker_frames.h"
#include "agent/logs/resume.h"
#include "common/backoff.h"

namespace muster::agent {

// A container that says nothing is asked for its last message after this time, which doubles up to the other.
inline constexpr absl::Duration kFirstSilence = absl::Seconds(60);
inline constexpr absl::Duration kLongestSilence = absl::Minutes(10);
// L is expected to come so soon in a stream that is followed; twice as long after each time that it did not.
inline constexpr absl::Duration kSkipTime = absl::Seconds(2);
// An answer without `follow` that does not go on: an engine may read a log from its beginning first, or decompress it.
inline constexpr absl::Duration kStalledAnswer = absl::Minutes(5);
inline constexpr absl::Duration kHeadersDeadline = absl::Seconds(10);
// A stream that was not read for so long is opened anew: the engine may have missed rotations meanwhile.
inline constexpr absl::Duration kMaxPause = absl::Seconds(5);
// The list of a cluster's observer is no older: beyond, it tells a fault and no list (kFaultAfter).
inline constexpr absl::Duration kRunSeen = absl::Seconds(10);
// Of one time, kept to know one of them again.
inline constexpr std::size_t kMaxLatest = 64;
// Streams in a row that cannot be read.
inline constexpr int kMaxBadStreams = 3;

class ContainerFollow {
 public:
  // `streams` and `parts` outlive this; `uniform` as for Backoff.
  ContainerFollow(LogContainer container, StreamGroup* streams, LineParts* parts, std::function<double()> uniform,
                  Instant now);
  // Closes what is open.
  ~ContainerFollow();

  // Before the first Tick: what there is besides all lines from the first.
  ContainerLines& lines() { return lines_; }
  // Without a place: so many lines from the end.
  void BeginWithLastLines() { first_tail_ = kFirstLines; }
  // Kubernetes, without a place and while nothing is open: where other runs of this container stand. If the last
  // message of one is found here, it was taken for the other's: this has the place then. The last is looked for first.
  struct Offer {
    std::string run;
    LogPlace place;
  };
  void SetOffers(std::vector<Offer> offers) { offers_ = std::move(offers); }
  // Whose place it took since the last call.
  std::optional<std::string> TakeAdopted() { return std::exchange(adopted_, std::nullopt); }

  // What the observer says of it now. `is_listed`: false when it does not name it any more. True: its log is elsewhere
  // now, and is not open.
  bool Update(LogContainer container, bool is_listed, const Moment& now);
  // Behind Update: the observer has looked anew, and this is listed.
  void SeeList(Instant now);
  bool is_listed() const { return is_listed_; }
  // Not listed, and nothing more to read.
  bool is_done() const { return !is_listed_ && state_ == State::kWaiting; }

  // Does what is due. `may_search`: a search may be begun, which reads much.
  void Tick(bool may_search, const Moment& now);
  std::optional<Instant> DueAt(bool may_search) const;
  bool is_searching() const { return state_ == State::kFind || state_ == State::kFindAll || state_ == State::kProve; }

  // False: not of this container.
  bool Take(const StreamGroup::Event& event, const Moment& now);

  void Pause(Instant now);
  void Resume(Instant now);
  // The host's clock was set back to this difference (ClockMicros) and may be set forward again: what is written
  // meanwhile is looked for until something is taken.
  void NoteClock(std::int64_t clock_us) { lowest_clock_us_ = std::min(lowest_clock_us_, clock_us); }
  // From the last message taken on, with a new stream.
  void Reopen(Instant now);
  // Takes nothing more until Reopen.
  void Close();

 private:
  enum class State { kWaiting, kFind, kFindAll, kProve, kFollow };
  // One request.
  struct Answer {
    StreamGroup::Id id = 0;
    std::optional<DockerFrames> frames;
    bool is_open() const { return frames.has_value(); }
  };

  // It has a place to look for, its own or an offer.
  bool seeks() const { return lines_.place().has_value() || !offers_.empty(); }
  const LogPlace& SoughtPlace() const { return lines_.place().has_value() ? *lines_.place() : offers_.back().place; }
  void Open(const Moment& now);
  void OpenFind(std::optional<std::int64_t> tail, const Moment& now);
  void OpenProve(const Moment& now);
  void OpenFollow(std::optional<std::int64_t> since_ns, std::optional<std::int64_t> tail, Skipper skipper,
                  const Moment& now);
  void Ask(const LogQuery& query, Answer* answer);
  void Shut(Answer* answer);
  std::int64_t Since(const Moment& now) const;
  std::int64_t SinceToAsk(const Moment& now) const { return was_doubted_ ? 0 : Since(now); }

  void TakeMain(const StreamGroup::Event& event, const Moment& now);
  void TakeMessage(const DockerMessage& message, const Moment& now);
  bool MayRepeat(const DockerMessage& message) const;
  void NoteLatest(const DockerMessage& message);
  void EndMain(const Moment& now);
  void EndFind(const Moment& now);
  void EndOffer(const Moment& now);
  void GoOnBehind(const PlaceSearch::Found& found, const Moment& now);
  void EndProve(const Moment& now);
  void EndFollow(const Moment& now);
  bool IsThisRun(Instant now);
  void Fail(const absl::Status& status, int http_code, const Moment& now);
  void LeaveAlone();
  void RetryLater(Instant now);

  void OpenCheck(const Moment& now);
  void TakeCheck(const StreamGroup::Event& event, const Moment& now);
  void EndCheck(Instant now);
  bool IsNews(const MessageId& last) const;
  void NoteSilence(Instant now);

  StreamGroup* const streams_;
  LineParts* const parts_;
  ContainerLines lines_;
  bool is_listed_ = true;
  std::optional<std::int64_t> first_tail_;
  std::vector<Offer> offers_;
  std::optional<std::string> adopted_;

  State state_ = State::kWaiting;
  Answer main_;
  // kWaiting: when to open; absent: when it starts anew, or the silent check finds something.
  std::optional<Instant> retry_at_;
  Backoff backoff_;
  int bad_streams_ = 0;
  bool is_left_alone_ = false;
  // kFind and kProve: when the answer counts as stalled. kFollow: when L counts as missing.
  Instant deadline_;
  Instant opened_;
  std::optional<Instant> paused_at_;

  std::optional<PlaceSearch> search_;
  std::optional<std::int64_t> oldest_ns_;
  Skipper skipper_;
  int missed_skips_ = 0;
  // Since when L is not where it was last: rotated away, or the log is another run's. The observer has said which.
  std::optional<Instant> unproved_since_;
  bool is_run_seen_ = false;
  // Of stdout and stderr, the messages of this stream's last time.
  std::array<std::vector<MessageId>, 2> latest_;
  // Behind L in the engine's log when it was looked at: new, whatever their times say.
  std::int64_t known_new_ = 0;
  // The stream may have gone back to what was taken already: nothing more of it is taken.
  bool may_repeat_ = false;
  // It did, and nothing was taken since: what was in hand must not be hidden by a time.
  bool was_doubted_ = false;
  // L is not in the engine's log: whatever is there is new.
  bool all_is_new_ = false;
  // Since L was taken, as far as this run knows.
  std::int64_t lowest_clock_us_ = std::numeric_limits<std::int64_t>::max();

  Answer check_;
  std::optional<MessageId> check_last_;
  std::optional<Instant> check_at_;
  Instant check_deadline_;
  absl::Duration silence_ = kFirstSilence;
  // Something was taken since the check began.
  bool has_spoken_ = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_CONTAINER_FOLLOW_H_
