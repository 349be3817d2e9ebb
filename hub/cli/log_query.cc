#include "hub/cli/log_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

// The most a page may have.
constexpr int kLogPageLines = 1000;
// A selection that matches little may cost the hub the reading of all it has before there is something to send.
constexpr absl::Duration kExportIdle = absl::Minutes(5);
// More gaps than these are counted, not named: a screen.
constexpr int kNamedGaps = 20;

// How far a scan is, in place on stderr; only for somebody who looks at it.
class ScanProgress {
 public:
  ScanProgress(Console* console, bool newest_first) : console_(console), newest_first_(newest_first) {}
  ~ScanProgress() { Clear(); }
  ScanProgress(const ScanProgress&) = delete;
  ScanProgress& operator=(const ScanProgress&) = delete;

  void Show(const fleet::v1::LogStop& stop) {
    if (!console_->ErrorIsTerminal()) return;
    bytes_ += stop.scanned_bytes();
    const std::string reached =
        stop.has_reached_time() ? fmt::format(" {} to {}", newest_first_ ? "back" : "up", TimeText(stop.reached_time()))
                                : "";
    console_->WriteError(fmt::format("\rmuster: searched{}, {}\x1b[K", reached, SizeText(bytes_)));
    shown_ = true;
  }
  void Clear() {
    if (std::exchange(shown_, false)) console_->WriteError("\r\x1b[K");
  }

 private:
  Console* const console_;
  const bool newest_first_;
  std::int64_t bytes_ = 0;
  bool shown_ = false;
};

int CountHits(const LogEntries& entries) {
  return static_cast<int>(std::count_if(entries.begin(), entries.end(),
                                        [](const auto& entry) { return entry.has_line() && !entry.line().context(); }));
}

// Hands on each page until there are no more, or the limit is reached.
absl::Status AskPages(const CommandContext& context, const LogQuery& query,
                      const std::function<absl::Status(LogEntries*)>& take) {
  const bool from_the_end = query.newest_first || query.limit > 0;
  fleet::v1::QueryLogsRequest request;
  *request.mutable_selection() = query.selection;
  request.set_order(from_the_end ? fleet::v1::LOG_ORDER_NEWEST_FIRST : fleet::v1::LOG_ORDER_OLDEST_FIRST);
  request.set_context_lines(query.context_lines);
  ScanProgress progress(&context.console(), from_the_end);
  int lines = 0;
  while (true) {
    request.set_page_size(query.limit > 0 ? std::min(query.limit - lines, kLogPageLines) : kLogPageLines);
    fleet::v1::QueryLogsResponse page;
    RETURN_IF_ERROR(context.client().Call("QueryLogs", request, &page));
    lines += CountHits(page.entries());
    if (!page.entries().empty()) progress.Clear();
    RETURN_IF_ERROR(take(page.mutable_entries()));
    if (page.next_page_token().empty() || (query.limit > 0 && lines >= query.limit)) return absl::OkStatus();
    if (page.next_page_token() == request.page_token()) {
      return MakeError(absl::StatusCode::kInternal, "BAD_REPLY",
                       "the hub gives the same page again and again; ask for another window");
    }
    if (page.has_stop()) progress.Show(page.stop());
    request.set_page_token(page.next_page_token());
  }
}

}  // namespace

absl::Status QueryLogs(const CommandContext& context, const LogQuery& query, LogPrinter* printer) {
  LogEntries held;
  bool any = false;
  const auto take = [&](LogEntries* entries) {
    any = any || !entries->empty();
    if (query.newest_first) return printer->NewestFirst(*entries);
    if (query.limit == 0) return printer->OldestFirst(*entries);
    for (auto& entry : *entries) *held.Add() = std::move(entry);
    return absl::OkStatus();
  };
  const absl::Status asked = AskPages(context, query, take);
  // What was found is worth showing, also when the rest failed or somebody has waited long enough.
  std::reverse(held.begin(), held.end());
  const absl::Status printed = printer->OldestFirst(held);
  RETURN_IF_ERROR(asked);
  RETURN_IF_ERROR(printed);
  if (!any && !context.json()) context.console().WriteError("muster: no such lines\n");
  return absl::OkStatus();
}

absl::Status ExportLogs(const CommandContext& context, const fleet::v1::ExportLogsRequest& request) {
  fleet::v1::ExportLogsResponse message;
  std::optional<fleet::v1::LogExportTrailer> trailer;
  bool any = false;
  const auto on_message = [&] {
    if (message.has_trailer()) {
      trailer = message.trailer();
      return absl::OkStatus();
    }
    any = true;
    return context.console().Write(message.data());
  };
  absl::Status ended =
      context.client().Stream("ExportLogs", request, &message, {.on_message = on_message, .idle = kExportIdle});
  if (ended.ok() && !trailer.has_value()) {
    ended = MakeError(absl::StatusCode::kDataLoss, "EXPORT_INCOMPLETE", "the hub ended the export early; try again");
  }
  if (!ended.ok()) return any ? Annotate(ended, "what was written is not complete") : ended;
  LogRows rows({});
  std::string said = fmt::format("muster: {} line{} written", trailer->lines(), trailer->lines() == 1 ? "" : "s");
  if (!trailer->gaps().empty()) said += "; missing are:";
  said += '\n';
  for (int i = 0; i < std::min(trailer->gaps_size(), kNamedGaps); ++i) {
    fleet::v1::LogEntry entry;
    *entry.mutable_gap() = trailer->gaps(i);
    said += rows.Next(entry) + '\n';
  }
  if (trailer->gaps_size() > kNamedGaps) said += fmt::format("and {} more gaps\n", trailer->gaps_size() - kNamedGaps);
  context.console().WriteError(said);
  return absl::OkStatus();
}

}  // namespace muster::cli
