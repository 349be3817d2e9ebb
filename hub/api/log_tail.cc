#include "hub/api/log_tail.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/status.h"

namespace muster::hub {
namespace {

constexpr std::size_t kStepLines = 1000;
// Lines by number, of any source, that one step looks at: it has no other limit.
constexpr std::int64_t kStepNumbers = 65'536;
// In front of every line.
constexpr LogCursor kBeforeAll = {.time_us = std::numeric_limits<std::int64_t>::min(), .number = 0};

std::int64_t NumberOf(const FoundEntry& entry) {
  const auto* line = std::get_if<FoundLine>(&entry);
  return line != nullptr ? line->place.number : std::get<FoundGap>(entry).number;
}

std::optional<LogCursor> AfterOf(const LogCursor& place) {
  return place == kBeforeAll ? std::nullopt : std::optional(place);
}

}  // namespace

LogTail::LogTail(const LogMeans* means, std::shared_ptr<const LogQuestion> question, Caller caller,
                 std::shared_ptr<StreamSink> sink, Beginning beginning)
    : LineStream(means, std::move(question), std::move(caller), std::move(sink)),
      beginning_(std::move(beginning)),
      live_(selection()) {
  live_.from_us = LogSelection().from_us;
}

absl::StatusOr<LineStream::Next> LogTail::Step() {
  switch (phase_) {
    case Phase::kBegin:
      return Begin();
    case Phase::kFindFirst:
      return FindFirst();
    case Phase::kStored:
      return SendStored();
    case Phase::kLive:
      break;
  }
  return SendLive();
}

absl::StatusOr<LineStream::Next> LogTail::Begin() {
  ASSIGN_OR_RETURN(const std::string epoch, means().reader->LogEpoch());
  ASSIGN_OR_RETURN(const std::int64_t last, means().reader->LastNumber());
  if (beginning_.resume) {
    position_ = *beginning_.resume;
    if (position_.log_epoch != epoch || position_.number > last) return BadPosition();
    phase_ = position_.stored_after ? Phase::kStored : Phase::kLive;
    return Next::kStep;
  }
  position_ = {.log_epoch = epoch, .number = last, .stored_after = std::nullopt, .selection = selection_hash()};
  wanted_ = beginning_.last_lines;
  if (wanted_ > 0) {
    phase_ = Phase::kFindFirst;
  } else if (beginning_.stored) {
    position_.stored_after = kBeforeAll;
    phase_ = Phase::kStored;
  } else {
    phase_ = Phase::kLive;
  }
  return Next::kStep;
}

// Only its place is kept: the lines from there on are read again, in the order of time, as fast as the client reads.
absl::StatusOr<LineStream::Next> LogTail::FindFirst() {
  ASSIGN_OR_RETURN(const LogPage page, means().ReadPage(selection(), {.order = LogOrder::kNewestFirst,
                                                                      .after = search_after_,
                                                                      .lines = std::min(wanted_, kStepLines),
                                                                      .limits = kStepLimits}));
  for (const FoundEntry& entry : page.entries) {
    const auto* line = std::get_if<FoundLine>(&entry);
    // What came meanwhile is sent behind all that is stored.
    if (line == nullptr || line->place.number > position_.number || wanted_ == 0) continue;
    first_ = line->place;
    --wanted_;
  }
  search_after_ = page.next;
  if (page.next && wanted_ > 0) return Next::kStep;
  if (!first_) {
    phase_ = Phase::kLive;
    return Next::kStep;
  }
  position_.stored_after = LogCursor{.time_us = first_->time_us, .number = first_->number - 1};
  phase_ = Phase::kStored;
  return Next::kStep;
}

absl::StatusOr<LineStream::Next> LogTail::SendStored() {
  ASSIGN_OR_RETURN(LogPage page, means().ReadPage(selection(), {.order = LogOrder::kOldestFirst,
                                                                .after = AfterOf(*position_.stored_after),
                                                                .lines = kStepLines,
                                                                .limits = kStepLimits}));
  std::erase_if(page.entries, [&](const FoundEntry& entry) { return NumberOf(entry) > position_.number; });
  const bool has_entries = !page.entries.empty();
  const bool all_taken = Send(page.entries, [&](const FoundLine* last_line) {
    position_.stored_after = last_line != nullptr ? std::optional(last_line->place) : page.next;
  });
  if (all_taken) {
    position_.stored_after = page.next;
    if (!page.next) phase_ = Phase::kLive;
    if (!has_entries && IsKeepAliveDue() && WritePosition()) return Next::kWritable;
  }
  return has_entries ? Next::kWritable : Next::kStep;
}

absl::StatusOr<LineStream::Next> LogTail::SendLive() {
  ASSIGN_OR_RETURN(const std::int64_t last, means().reader->LastNumber());
  if (last > position_.number) {
    const std::int64_t up_to = std::min(last, position_.number + kStepNumbers);
    ASSIGN_OR_RETURN(const LogFollow follow, means().reader->ReadBehind(live_, position_.number, up_to, kStepLines));
    const bool all_taken = Send(follow.entries, [&](const FoundLine* last_line) {
      position_.number = last_line != nullptr ? last_line->place.number : follow.reached;
    });
    if (!all_taken || !follow.entries.empty()) return Next::kWritable;
    position_.number = follow.reached;
    if (position_.number < last) return Next::kStep;
  }
  if (!IsKeepAliveDue()) return Next::kMore;
  WritePosition();
  return Next::kWritable;
}

template <typename Advance>
bool LogTail::Send(const std::vector<FoundEntry>& entries, Advance advance) {
  for (std::size_t begin = 0; begin < entries.size();) {
    const EntryRange range = NextMessage(entries, begin, kMessageBytes);
    fleet::v1::TailLogsResponse message;
    for (std::size_t i = range.begin; i < range.end; ++i) *message.add_entries() = ToMessage(entries[i]);
    const TailPosition before = position_;
    advance(range.last_line);
    message.set_position(ToToken(position_));
    if (!Write(message)) {
      position_ = before;
      return false;
    }
    begin = range.end;
  }
  return true;
}

bool LogTail::WritePosition() {
  fleet::v1::TailLogsResponse message;
  message.set_position(ToToken(position_));
  return Write(message);
}

}  // namespace muster::hub
