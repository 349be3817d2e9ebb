#include "hub/api/log_calls.h"

#include <fmt/format.h>

#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/api/fleet_messages.h"
#include "hub/api/log_export.h"
#include "hub/api/log_messages.h"
#include "hub/api/log_tail.h"
#include "hub/api/log_tokens.h"

namespace muster::hub {
namespace {

using namespace fleet::v1;  // NOLINT(google-build-using-namespace): this file is about these messages

absl::Status Busy(std::string_view what) {
  return MakeError(absl::StatusCode::kResourceExhausted, "API_BUSY", fmt::format("{}; try again in a moment", what));
}

}  // namespace

std::vector<UnaryMethod> LogCalls::Unaries() {
  std::vector<UnaryMethod> methods;
  methods.push_back(Unary<QueryLogsRequest, QueryLogsResponse>(
      "QueryLogs", [this](const Caller& caller, const QueryLogsRequest& request, const auto& done) {
        Query(caller, request, done);
      }));
  methods.push_back(Unary<GetLogVolumeRequest, GetLogVolumeResponse>(
      "GetLogVolume", [this](const Caller& caller, const GetLogVolumeRequest& request, const auto& done) {
        GetVolume(caller, request, done);
      }));
  methods.push_back(Unary<ListLogResourcesRequest, ListLogResourcesResponse>(
      "ListLogResources", [this](const Caller& caller, const ListLogResourcesRequest& request, const auto& done) {
        ListResources(caller, request, done);
      }));
  return methods;
}

std::vector<StreamMethod> LogCalls::Streams() {
  std::vector<StreamMethod> methods;
  methods.push_back(Stream<TailLogsRequest>("TailLogs", [this](const Caller& caller, const TailLogsRequest& request,
                                                               const std::shared_ptr<StreamSink>& sink) {
    if (absl::Status started = Tail(caller, request, sink); !started.ok()) sink->Finish(started);
  }));
  methods.push_back(Stream<ExportLogsRequest>(
      "ExportLogs",
      [this](const Caller& caller, const ExportLogsRequest& request, const std::shared_ptr<StreamSink>& sink) {
        if (absl::Status started = Export(caller, request, sink); !started.ok()) sink->Finish(started);
      }));
  return methods;
}

absl::Status LogCalls::MayAsk(const Caller& caller) const {
  RETURN_IF_ERROR(RequireRole(caller, ROLE_VIEWER));
  if (means_.reader != nullptr) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "LOGS_UNAVAILABLE",
                   "this hub keeps no logs, or cannot open them; its own log says why");
}

template <typename Request>
absl::StatusOr<HistorySubject> LogCalls::FindSubject(const Caller& caller, const Request& request) const {
  if (request.has_target()) return history_->FindTarget(caller, request.target());
  if (request.has_deployment()) return history_->FindDeployment(caller, request.deployment());
  return MakeError(absl::StatusCode::kInvalidArgument, "SUBJECT_MISSING",
                   "say which deployment you ask about, or which target for its agent's own log");
}

absl::StatusOr<std::shared_ptr<const LogQuestion>> LogCalls::ReadAllowed(
    const Caller& caller, const fleet::v1::LogSelection& selection) const {
  RETURN_IF_ERROR(MayAsk(caller));
  ASSIGN_OR_RETURN(const HistorySubject subject, FindSubject(caller, selection));
  return ReadQuestion(selection, subject);
}

template <typename Response>
void LogCalls::Ask(std::function<absl::StatusOr<Response>()> ask,
                   const std::function<void(absl::StatusOr<Response>)>& done) {
  const bool taken = means_.scans->TrySubmit([this, ask = std::move(ask), done] {
    // A hub that stops does not wait for answers that nobody hears.
    if (absl::Status stopped = Stopped(); !stopped.ok()) return done(stopped);
    done(ask());
  });
  if (!taken) done(Busy("the hub answers as many questions about logs as it can"));
}

void LogCalls::Query(const Caller& caller, const QueryLogsRequest& request,
                     const std::function<void(absl::StatusOr<QueryLogsResponse>)>& done) {
  auto question = ReadAllowed(caller, request.selection());
  if (!question.ok()) return done(question.status());
  const auto page = ReadPageRequest(request, **question);
  if (!page.ok()) return done(page.status());
  Ask<QueryLogsResponse>(
      [this, question = *std::move(question), page = *page]() -> absl::StatusOr<QueryLogsResponse> {
        ASSIGN_OR_RETURN(const LogPage found, means_.ReadPage(question->selection, page));
        return ToMessage(found, page.order, *question);
      },
      done);
}

void LogCalls::GetVolume(const Caller& caller, const GetLogVolumeRequest& request,
                         const std::function<void(absl::StatusOr<GetLogVolumeResponse>)>& done) {
  auto question = ReadAllowed(caller, request.selection());
  if (!question.ok()) return done(question.status());
  auto parts = ReadCount("parts", request.parts(), kMaxVolumeParts);
  if (!parts.ok()) return done(parts.status());
  if (*parts == 0) parts = kDefaultVolumeParts;
  Ask<GetLogVolumeResponse>(
      [this, question = *std::move(question), parts = *parts]() -> absl::StatusOr<GetLogVolumeResponse> {
        ASSIGN_OR_RETURN(const LogVolume volume, means_.ReadVolume(question->selection, parts));
        return ToMessage(volume);
      },
      done);
}

void LogCalls::ListResources(const Caller& caller, const ListLogResourcesRequest& request,
                             const std::function<void(absl::StatusOr<ListLogResourcesResponse>)>& done) {
  if (absl::Status allowed = MayAsk(caller); !allowed.ok()) return done(allowed);
  auto subject = FindSubject(caller, request);
  if (!subject.ok()) return done(subject.status());
  Ask<ListLogResourcesResponse>(
      [this, subject = *std::move(subject)]() -> absl::StatusOr<ListLogResourcesResponse> {
        ASSIGN_OR_RETURN(const std::vector<LogResourceInfo> resources,
                         means_.reader->ListResources(subject.target_id, subject.deployment_id));
        ListLogResourcesResponse response;
        for (const LogResourceInfo& resource : resources) *response.add_resources() = ToMessage(resource);
        return response;
      },
      done);
}

absl::Status LogCalls::Tail(const Caller& caller, const TailLogsRequest& request,
                            const std::shared_ptr<StreamSink>& sink) {
  ASSIGN_OR_RETURN(auto question, ReadAllowed(caller, request.selection()));
  if (request.selection().has_to_time()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_WINDOW",
                     "a live tail has no to_time; query or export lines of a window");
  }
  ASSIGN_OR_RETURN(const int last_lines, ReadCount("last_lines", request.last_lines(), kMaxTailLines));
  LogTail::Beginning beginning{.last_lines = static_cast<std::size_t>(last_lines),
                               .stored = request.selection().has_from_time()};
  if (!request.resume_position().empty()) {
    ASSIGN_OR_RETURN(beginning.resume, ParsePosition(request.resume_position()));
    if (beginning.resume->selection != question->hash) return BadPosition();
  }
  return StartStream(&tails_, kMaxTails,
                     std::make_shared<LogTail>(&means_, std::move(question), caller, sink, std::move(beginning)));
}

absl::Status LogCalls::Export(const Caller& caller, const ExportLogsRequest& request,
                              const std::shared_ptr<StreamSink>& sink) {
  ASSIGN_OR_RETURN(auto question, ReadAllowed(caller, request.selection()));
  if (!LogExportFormat_IsValid(request.format()) || request.format() == LOG_EXPORT_FORMAT_UNSPECIFIED) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_FORMAT",
                     "say which format: LOG_EXPORT_FORMAT_TEXT or LOG_EXPORT_FORMAT_JSON_LINES");
  }
  return StartStream(&exports_, kMaxExports,
                     std::make_shared<LogExport>(&means_, std::move(question), caller, sink, request.format()));
}

absl::Status LogCalls::StartStream(Open* open, std::size_t max, const std::shared_ptr<LineStream>& stream) {
  LetGoOfEnded();
  {
    MutexLock lock(&mutex_);
    RETURN_IF_ERROR(stopped_);
    if (open->size() >= max) return Busy(fmt::format("{} such streams are open, and no more can be", max));
    open->push_back(stream);
  }
  stream->Start();
  return absl::OkStatus();
}

LogCalls::Open LogCalls::All() {
  MutexLock lock(&mutex_);
  Open all = tails_;
  all.insert(all.end(), exports_.begin(), exports_.end());
  return all;
}

void LogCalls::LetGoOfEnded() {
  // The last reference to a stream does not go under the lock.
  const Open kept = All();
  std::size_t tails = 0;
  {
    MutexLock lock(&mutex_);
    for (Open* open : {&tails_, &exports_}) {
      std::erase_if(*open, [](const std::shared_ptr<LineStream>& stream) { return stream->ended(); });
    }
    tails = tails_.size();
  }
  if (means_.observer.tails) means_.observer.tails(tails);
}

absl::Status LogCalls::Stopped() {
  MutexLock lock(&mutex_);
  return stopped_;
}

void LogCalls::Stored() {
  for (const auto& stream : All()) stream->Wake();
}

void LogCalls::Tick() {
  for (const auto& stream : All()) {
    if (!tokens_->StillValid(stream->caller().token_id)) {
      stream->End(MakeError(absl::StatusCode::kUnauthenticated, "TOKEN_REVOKED",
                            "the API token was revoked or has expired meanwhile"));
    } else if (stream->stuck()) {
      stream->End(MakeError(
          absl::StatusCode::kAborted, "CLIENT_TOO_SLOW",
          fmt::format("nothing was read for {}; go on at the last position", FormatAge(LineStream::kPatience))));
    } else {
      stream->Wake();
    }
  }
  LetGoOfEnded();
}

void LogCalls::Stop(const absl::Status& status) {
  {
    MutexLock lock(&mutex_);
    stopped_ = status;
  }
  for (const auto& stream : All()) stream->End(status);
}

}  // namespace muster::hub
