#include "hub/api/log_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/api/connect_rpc_codec.h"

namespace muster::hub {
namespace {

using fleet::v1::LogGap;

// Some 500 KiB: what a stream takes at once, mostly.
constexpr std::size_t kStepLines = 4000;
constexpr char kOthers[] = "OTHERS";

}  // namespace

absl::StatusOr<LineStream::Next> LogExport::Step() {
  if (all_read_) return SendTrailer();
  ASSIGN_OR_RETURN(const LogPage page,
                   means().ReadPage(selection(), {.after = after_, .lines = kStepLines, .limits = kStepLimits}));
  ASSIGN_OR_RETURN(const bool all_taken, Send(page));
  if (all_taken) {
    after_ = page.next;
    all_read_ = !page.next;
  }
  if (!page.entries.empty()) return Next::kWritable;
  if (!IsKeepAliveDue()) return Next::kStep;
  fleet::v1::ExportLogsResponse nothing;
  nothing.set_data("");
  Write(nothing);
  return Next::kWritable;
}

absl::StatusOr<LineStream::Next> LogExport::SendTrailer() {
  fleet::v1::ExportLogsResponse message;
  *message.mutable_trailer() = trailer_;
  return Write(message) ? Next::kEnd : Next::kWritable;
}

absl::StatusOr<bool> LogExport::Send(const LogPage& page) {
  for (std::size_t begin = 0; begin < page.entries.size();) {
    const EntryRange range = NextMessage(page.entries, begin, kMessageBytes);
    fleet::v1::ExportLogsResponse message;
    for (std::size_t i = range.begin; i < range.end; ++i) {
      ASSIGN_OR_RETURN(const std::string line, Format(page.entries[i]));
      message.mutable_data()->append(line);
    }
    if (!Write(message)) return false;
    for (std::size_t i = range.begin; i < range.end; ++i) Count(page.entries[i]);
    if (range.last_line != nullptr) after_ = range.last_line->place;
    begin = range.end;
  }
  return true;
}

absl::StatusOr<std::string> LogExport::Format(const FoundEntry& entry) const {
  if (format_ == fleet::v1::LOG_EXPORT_FORMAT_JSON_LINES) {
    ASSIGN_OR_RETURN(std::string json, EncodeMessage(ConnectEncoding::kJson, ToMessage(entry)));
    json += '\n';
    return json;
  }
  // In a file of lines a gap has no place; the trailer has it.
  const auto* line = std::get_if<FoundLine>(&entry);
  if (line == nullptr) return "";
  return fmt::format("{} {} {}\n", FormatRfc3339(absl::FromUnixMicros(line->place.time_us)),
                     line->resource.empty() ? "-" : line->resource, line->text);
}

void LogExport::Count(const FoundEntry& entry) {
  const auto* found = std::get_if<FoundGap>(&entry);
  if (found == nullptr) return trailer_.set_lines(trailer_.lines() + 1);
  LogGap gap = ToMessage(*found);
  if (trailer_.gaps_size() <= kMaxTrailerGaps) {
    if (trailer_.gaps_size() == kMaxTrailerGaps) {
      gap.set_reason(kOthers);
      gap.clear_resource();
    }
    *trailer_.add_gaps() = std::move(gap);
    return;
  }
  // A gap stands where it begins, so this one does not begin earlier.
  LogGap& others = *trailer_.mutable_gaps(kMaxTrailerGaps);
  if (FromProto(others.to_time()) < FromProto(gap.to_time())) *others.mutable_to_time() = gap.to_time();
  others.set_lines(others.lines() + gap.lines());
  others.set_records(others.records() + gap.records());
}

}  // namespace muster::hub
