#include "hub/api/line_stream.h"

#include <utility>

#include "common/status.h"

namespace muster::hub {
namespace {

std::string_view NameOf(ScanEnd end) {
  switch (end) {
    case ScanEnd::kAll:
      return "all";
    case ScanEnd::kPage:
      return "page";
    case ScanEnd::kBytes:
      return "bytes";
    case ScanEnd::kTime:
      return "time";
  }
  return "error";
}

// `read` gives a StatusOr of something with a ScanReport.
template <typename Read>
auto Observed(const LogMeans& means, Read read) {
  const Instant begun = means.clock->Monotonic();
  auto result = read();
  if (means.observer.scanned) {
    means.observer.scanned(result.ok() ? NameOf(result->report.end) : "error", means.clock->Monotonic() - begun,
                           result.ok() ? result->report.scanned_bytes : 0);
  }
  return result;
}

}  // namespace

absl::StatusOr<LogPage> LogMeans::ReadPage(const LogSelection& selection, const LogPageRequest& request) const {
  return Observed(*this, [&] { return reader->ReadPage(selection, request); });
}

absl::StatusOr<LogVolume> LogMeans::ReadVolume(const LogSelection& selection, int parts) const {
  return Observed(*this, [&] { return reader->ReadVolume(selection, parts, ScanLimits()); });
}

void LineStream::Start() {
  sink_->OnCancelled([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->End(absl::CancelledError("the client has gone"));
  });
  Wake();
}

void LineStream::Wake() {
  {
    MutexLock lock(&mutex_);
    again_ = again_ || state_ == State::kActive;
    if (state_ != State::kIdle) return;
    state_ = State::kActive;
  }
  Submit();
}

void LineStream::Unblock() {
  {
    MutexLock lock(&mutex_);
    if (state_ != State::kBlocked) return;
    state_ = State::kActive;
  }
  Submit();
}

void LineStream::End(const absl::Status& status) {
  {
    MutexLock lock(&mutex_);
    if (std::exchange(state_, State::kEnded) == State::kEnded) return;
  }
  sink_->Finish(status);
}

bool LineStream::ended() const {
  MutexLock lock(&mutex_);
  return state_ == State::kEnded;
}

bool LineStream::stuck() const {
  MutexLock lock(&mutex_);
  return state_ == State::kBlocked && means_.clock->Monotonic() - blocked_since_ > kPatience;
}

bool LineStream::Write(const google::protobuf::Message& message) {
  if (!sink_->Write(message)) return false;
  last_write_ = means_.clock->Monotonic();
  return true;
}

void LineStream::Submit() {
  means_.scans->Submit([self = shared_from_this()] { self->Run(); });
}

void LineStream::Run() {
  if (ended()) return;
  if (sink_->cancelled()) return End(absl::CancelledError("the client has gone"));
  const absl::StatusOr<Next> next = Step();
  if (!next.ok() || *next == Next::kEnd) return End(next.status());
  if (Settle(*next)) Submit();
  if (*next == Next::kWritable) {
    sink_->OnWritable([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Unblock();
    });
  }
}

bool LineStream::Settle(Next next) {
  MutexLock lock(&mutex_);
  if (state_ == State::kEnded) return false;
  if (next == Next::kWritable) {
    state_ = State::kBlocked;
    blocked_since_ = means_.clock->Monotonic();
    return false;
  }
  if (next == Next::kStep || std::exchange(again_, false)) return true;
  state_ = State::kIdle;
  return false;
}

}  // namespace muster::hub
