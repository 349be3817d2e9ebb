#include "hub/api/log_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::hub {
namespace {

using fleet::v1::LogGap;

// Some 500 KiB: what a stream takes at once, mostly.
constexpr std::size_t kStepLines = 4000;
constexpr char kOthers[] = "OTHERS";

// JSON as protobuf writes it, but for the digits of times; with protobuf an export takes four times as long.
nlohmann::ordered_json ToJson(const fleet::v1::LogLine& line) {
  return {{"time", FormatRfc3339(FromProto(line.time()))},
          {"host_time", FormatRfc3339(FromProto(line.host_time()))},
          {"resource", line.resource()},
          {"revision", line.revision()},
          {"stream", types::v1::LogStream_Name(line.stream())},
          {"level", types::v1::LogLevel_Name(line.level())},
          {"text", line.text()},
          {"continued", line.continued()},
          {"context", line.context()},
          {"number", std::to_string(line.number())}};
}

nlohmann::ordered_json ToJson(const LogGap& gap) {
  return {{"from_time", FormatRfc3339(FromProto(gap.from_time()))},
          {"to_time", FormatRfc3339(FromProto(gap.to_time()))},
          {"lines", std::to_string(gap.lines())},
          {"records", std::to_string(gap.records())},
          {"reason", gap.reason()},
          {"resource", gap.resource()}};
}

std::string JsonLine(const fleet::v1::LogEntry& entry) {
  nlohmann::ordered_json json;
  if (entry.has_line()) {
    json["line"] = ToJson(entry.line());
  } else {
    json["gap"] = ToJson(entry.gap());
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace

absl::StatusOr<LineStream::Next> LogExport::Step() {
  if (all_read_) return SendTrailer();
  ASSIGN_OR_RETURN(const LogPage page,
                   means().ReadPage(selection(), {.after = after_, .lines = kStepLines, .limits = kStepLimits}));
  if (Send(page)) {
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

bool LogExport::Send(const LogPage& page) {
  for (std::size_t begin = 0; begin < page.entries.size();) {
    const EntryRange range = NextMessage(page.entries, begin, kMessageBytes);
    fleet::v1::ExportLogsResponse message;
    for (std::size_t i = range.begin; i < range.end; ++i) {
      message.mutable_data()->append(Format(page.entries[i]));
    }
    if (!Write(message)) return false;
    for (std::size_t i = range.begin; i < range.end; ++i) Count(page.entries[i]);
    if (range.last_line != nullptr) after_ = range.last_line->place;
    begin = range.end;
  }
  return true;
}

std::string LogExport::Format(const FoundEntry& entry) const {
  if (format_ == fleet::v1::LOG_EXPORT_FORMAT_JSON_LINES) return JsonLine(ToMessage(entry));
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
