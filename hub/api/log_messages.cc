#include "hub/api/log_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/api/fleet_messages.h"
#include "hub/api/log_tokens.h"

namespace muster::hub {
namespace {

namespace types = ::muster::types::v1;

// Of an entry besides its text: times, number, names.
constexpr std::size_t kEntryBytes = 64;

absl::Status Bad(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, reason, message);
}

// The first microsecond at or behind a time: of a bound that is finer than times of lines are.
std::int64_t MicrosAtOrBehind(absl::Time time) {
  const std::int64_t micros = absl::ToUnixMicros(time);
  return absl::FromUnixMicros(micros) < time ? micros + 1 : micros;
}

// A scan may have reached no line yet, and a host's clock may be anywhere: to what a Timestamp can hold.
google::protobuf::Timestamp TimeMessage(std::int64_t time_us) {
  constexpr std::int64_t kFirstUs = -62'135'596'800'000'000;
  constexpr std::int64_t kLastUs = 253'402'300'799'999'999;
  return ToProto(absl::FromUnixMicros(std::clamp(time_us, kFirstUs, kLastUs)));
}

// What one selection is, byte by byte: the names of its subject became ids, and order and repetition mean nothing.
std::uint64_t HashOf(fleet::v1::LogSelection request, const LogSelection& selection) {
  if (request.has_deployment()) {
    request.set_deployment(selection.deployment_id);
  } else {
    request.set_target(selection.target_id);
  }
  request.mutable_resources()->Assign(selection.resources.begin(), selection.resources.end());
  request.clear_levels();
  for (const LogLevel level : selection.levels) request.add_levels(static_cast<types::LogLevel>(level));
  request.DiscardUnknownFields();
  // FNV-1a.
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char byte : request.SerializeAsString()) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
  }
  return hash;
}

template <typename Value>
void SortUnique(std::vector<Value>* values) {
  std::sort(values->begin(), values->end());
  values->erase(std::unique(values->begin(), values->end()), values->end());
}

absl::Status ReadKinds(const fleet::v1::LogSelection& request, LogSelection* selection) {
  if (!types::LogStream_IsValid(request.stream())) {
    return Bad("BAD_SELECTION", fmt::format("there is no log stream {}", static_cast<int>(request.stream())));
  }
  if (request.stream() != types::LOG_STREAM_UNSPECIFIED) selection->stream = static_cast<LogStream>(request.stream());
  for (const int level : request.levels()) {
    if (!types::LogLevel_IsValid(level)) return Bad("BAD_SELECTION", fmt::format("there is no log level {}", level));
    selection->levels.push_back(static_cast<LogLevel>(level));
  }
  SortUnique(&selection->levels);
  return absl::OkStatus();
}

absl::Status ReadLogWindow(const fleet::v1::LogSelection& request, LogSelection* selection) {
  absl::Time from = absl::InfinitePast();
  absl::Time to = absl::InfiniteFuture();
  if (request.has_from_time()) {
    ASSIGN_OR_RETURN(from, ReadTime("from_time", request.from_time()));
    selection->from_us = MicrosAtOrBehind(from);
  }
  if (request.has_to_time()) {
    ASSIGN_OR_RETURN(to, ReadTime("to_time", request.to_time()));
    selection->to_us = MicrosAtOrBehind(to);
  }
  if (from < to) return absl::OkStatus();
  return Bad("BAD_WINDOW", "from_time must be before to_time: the window ends before it begins");
}

absl::Status ReadFilter(const fleet::v1::LogSelection& request, LogQuestion* question) {
  if (request.filter_case() == fleet::v1::LogSelection::FILTER_NOT_SET) return absl::OkStatus();
  ASSIGN_OR_RETURN(question->filter,
                   request.has_text() ? LogFilter::ForText(request.text()) : LogFilter::ForExpression(request.regex()));
  question->selection.filter = &*question->filter;
  return absl::OkStatus();
}

absl::StatusOr<LogOrder> ReadOrder(fleet::v1::LogOrder order) {
  switch (order) {
    case fleet::v1::LOG_ORDER_UNSPECIFIED:
    case fleet::v1::LOG_ORDER_OLDEST_FIRST:
      return LogOrder::kOldestFirst;
    case fleet::v1::LOG_ORDER_NEWEST_FIRST:
      return LogOrder::kNewestFirst;
    default:
      return Bad("BAD_ORDER", fmt::format("there is no log order {}", static_cast<int>(order)));
  }
}

// Present when a limit ended the scan.
std::optional<fleet::v1::LogStop> StopOf(const ScanReport& report) {
  if (report.end != ScanEnd::kBytes && report.end != ScanEnd::kTime) return std::nullopt;
  fleet::v1::LogStop stop;
  stop.set_reason(report.end == ScanEnd::kBytes ? "BYTES" : "TIME");
  *stop.mutable_reached_time() = TimeMessage(report.reached_us);
  stop.set_scanned_bytes(report.scanned_bytes);
  stop.set_scanned_lines(report.scanned_lines);
  return stop;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const LogQuestion>> ReadQuestion(const fleet::v1::LogSelection& request,
                                                                const HistorySubject& subject) {
  if (request.resources_size() > kMaxSelectionResources) {
    return Bad("TOO_MANY_RESOURCES", fmt::format("{} resources are named, at most {} can be; name none for all",
                                                 request.resources_size(), kMaxSelectionResources));
  }
  auto question = std::make_shared<LogQuestion>();
  LogSelection& selection = question->selection;
  selection.target_id = subject.target_id;
  selection.deployment_id = subject.deployment_id;
  selection.resources.assign(request.resources().begin(), request.resources().end());
  SortUnique(&selection.resources);
  selection.revision = request.revision();
  RETURN_IF_ERROR(ReadKinds(request, &selection));
  RETURN_IF_ERROR(ReadLogWindow(request, &selection));
  RETURN_IF_ERROR(ReadFilter(request, question.get()));
  question->hash = HashOf(request, selection);
  return question;
}

absl::StatusOr<int> ReadCount(const char* field, int value, int max) {
  if (value >= 0 && value <= max) return value;
  return Bad("BAD_LIMIT", fmt::format("{} is {}; send 0 to {}", field, value, max));
}

absl::StatusOr<LogPageRequest> ReadPageRequest(const fleet::v1::QueryLogsRequest& request,
                                               const LogQuestion& question) {
  LogPageRequest page;
  // Tokens are of another kind here.
  ASSIGN_OR_RETURN(const Page size, ReadPage(request.page_size(), "", static_cast<int>(kDefaultPageLines),
                                             static_cast<int>(kMaxPageLines)));
  page.lines = static_cast<std::size_t>(size.size);
  ASSIGN_OR_RETURN(page.context_lines, ReadCount("context_lines", request.context_lines(), kMaxContextLines));
  ASSIGN_OR_RETURN(page.order, ReadOrder(request.order()));
  if (request.max_scan_bytes() < 0) return Bad("BAD_LIMIT", "max_scan_bytes is negative; send 0 for the most there is");
  if (request.max_scan_bytes() > 0) page.limits.max_bytes = std::min(page.limits.max_bytes, request.max_scan_bytes());
  if (request.page_token().empty()) return page;
  ASSIGN_OR_RETURN(const LogPageToken token, ParsePageToken(request.page_token()));
  if (token.selection != question.hash || token.order != page.order) {
    return Bad("BAD_PAGE_TOKEN",
               "page_token is of another selection or order; repeat those of the answer before, or begin without it");
  }
  page.after = token.after;
  return page;
}

fleet::v1::LogLine ToMessage(const FoundLine& line) {
  fleet::v1::LogLine message;
  *message.mutable_time() = TimeMessage(line.place.time_us);
  *message.mutable_host_time() = TimeMessage(line.place.time_us - line.shift_us);
  message.set_resource(line.resource);
  message.set_revision(line.revision);
  message.set_stream(static_cast<types::LogStream>(line.kind.stream));
  message.set_level(static_cast<types::LogLevel>(line.kind.level));
  message.set_text(line.text);
  message.set_continued(line.kind.is_continued);
  message.set_context(line.is_context);
  message.set_number(line.place.number);
  return message;
}

fleet::v1::LogGap ToMessage(const FoundGap& gap) {
  fleet::v1::LogGap message;
  *message.mutable_from_time() = TimeMessage(gap.from_us);
  *message.mutable_to_time() = TimeMessage(gap.to_us);
  message.set_lines(gap.lines);
  message.set_records(gap.records);
  message.set_reason(gap.reason);
  message.set_resource(gap.resource);
  return message;
}

fleet::v1::LogEntry ToMessage(const FoundEntry& entry) {
  fleet::v1::LogEntry message;
  if (const auto* line = std::get_if<FoundLine>(&entry)) {
    *message.mutable_line() = ToMessage(*line);
  } else {
    *message.mutable_gap() = ToMessage(std::get<FoundGap>(entry));
  }
  return message;
}

fleet::v1::QueryLogsResponse ToMessage(const LogPage& page, LogOrder order, const LogQuestion& question) {
  fleet::v1::QueryLogsResponse message;
  for (const FoundEntry& entry : page.entries) *message.add_entries() = ToMessage(entry);
  if (page.next) {
    message.set_next_page_token(ToToken({.order = order, .after = *page.next, .selection = question.hash}));
  }
  if (auto stop = StopOf(page.report)) *message.mutable_stop() = *std::move(stop);
  return message;
}

fleet::v1::GetLogVolumeResponse ToMessage(const LogVolume& volume) {
  fleet::v1::GetLogVolumeResponse message;
  *message.mutable_from_time() = TimeMessage(volume.from_us);
  *message.mutable_part_duration() = ToProto(absl::Microseconds(volume.part_us));
  for (const auto& levels : volume.parts) {
    fleet::v1::LogVolumePart* part = message.add_parts();
    for (const std::int64_t lines : levels) part->add_lines(lines);
  }
  if (auto stop = StopOf(volume.report)) *message.mutable_stop() = *std::move(stop);
  return message;
}

fleet::v1::LogResource ToMessage(const LogResourceInfo& resource) {
  fleet::v1::LogResource message;
  message.set_name(resource.name);
  message.set_active(resource.is_active);
  *message.mutable_from_time() = TimeMessage(resource.first_us);
  *message.mutable_to_time() = TimeMessage(resource.last_us);
  message.set_lines(resource.lines);
  message.set_bytes(resource.bytes);
  for (const std::string& revision : resource.revisions) message.add_revisions(revision);
  return message;
}

EntryRange NextMessage(const std::vector<FoundEntry>& entries, std::size_t begin, std::size_t max_bytes) {
  std::size_t bytes = 0;
  for (std::size_t i = begin; i < entries.size(); ++i) {
    const auto* line = std::get_if<FoundLine>(&entries[i]);
    if (line == nullptr) continue;
    bytes += line->text.size() + kEntryBytes;
    if (bytes >= max_bytes && i + 1 < entries.size()) return {.begin = begin, .end = i + 1, .last_line = line};
  }
  return {.begin = begin, .end = entries.size(), .last_line = nullptr};
}

}  // namespace muster::hub
