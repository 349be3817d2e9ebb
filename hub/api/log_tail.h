// TailLogs: stored lines in the order of time, then what came behind the last line that was stored when the tail began,
// by number. What is sent is always read from the store, so nothing is lost or sent twice, however slow the client is.
#ifndef MUSTER_HUB_API_LOG_TAIL_H_
#define MUSTER_HUB_API_LOG_TAIL_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "hub/api/line_stream.h"
#include "hub/api/log_tokens.h"

namespace muster::hub {

inline constexpr int kMaxTailLines = 1000;

class LogTail : public LineStream {
 public:
  // Where it begins, the first that is given; else behind all that is stored.
  struct Beginning {
    std::optional<TailPosition> resume = std::nullopt;
    // With the last so many stored lines.
    std::size_t last_lines = 0;
    // With all stored lines of the selection's window.
    bool stored = false;
  };
  LogTail(const LogMeans* means, std::shared_ptr<const LogQuestion> question, Caller caller,
          std::shared_ptr<StreamSink> sink, Beginning beginning);

 private:
  enum class Phase { kBegin, kFindFirst, kStored, kLive };

  absl::StatusOr<Next> Step() override;
  absl::StatusOr<Next> Begin();
  absl::StatusOr<Next> FindFirst();
  absl::StatusOr<Next> SendStored();
  absl::StatusOr<Next> SendLive();
  // Writes messages of entries; `advance` moves position_ for each of them before it is written: behind its last line,
  // or behind all for null. False: the client did not take one, and position_ is that of the one before.
  template <typename Advance>
  bool Send(const std::vector<FoundEntry>& entries, Advance advance);
  bool WritePosition();

  const Beginning beginning_;
  // Lines that come are shown also when their times are before the window.
  LogSelection live_;

  // Of steps.
  Phase phase_ = Phase::kBegin;
  // What the client has, once the phase is kStored or later. All stored lines were sent when stored_after is absent.
  TailPosition position_;
  // While the first of the last lines is looked for.
  std::optional<LogCursor> search_after_;
  std::optional<LogCursor> first_;
  std::size_t wanted_ = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_LOG_TAIL_H_
