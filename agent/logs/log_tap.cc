#include "agent/logs/log_tap.h"

#include <string>
#include <utility>

namespace muster::agent {
namespace {

LogLevel LevelOf(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return LogLevel::kDebug;
    case log::Level::kInfo:
      return LogLevel::kInfo;
    case log::Level::kWarning:
      return LogLevel::kWarn;
    case log::Level::kError:
      return LogLevel::kError;
  }
  return LogLevel::kNone;
}

}  // namespace

void LogTap::SetWake(std::function<void()> wake) {
  MutexLock lock(&mutex_);
  wake_ = std::move(wake);
  woken_ = false;
  if (!waiting_.lines.empty() || waiting_.dropped > 0) WakeOnce();
}

void LogTap::OnLine(log::Level level, std::string_view text) {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_->Now();
  const std::size_t bytes = text.size() + sizeof(OwnLogLine);
  // What comes behind a dropped line is dropped, too, so that the gap stands in one place.
  if (waiting_.dropped > 0 || waiting_bytes_ + bytes > kMaxOwnLogBytes) {
    if (waiting_.dropped == 0) waiting_.dropped_from = now;
    ++waiting_.dropped;
    waiting_.dropped_to = now;
  } else {
    waiting_bytes_ += bytes;
    waiting_.lines.push_back({.time = now, .level = LevelOf(level), .text = std::string(text)});
  }
  WakeOnce();
}

OwnLog LogTap::Take() {
  MutexLock lock(&mutex_);
  woken_ = false;
  waiting_bytes_ = 0;
  return std::exchange(waiting_, {});
}

void LogTap::WakeOnce() {
  if (woken_ || !wake_) return;
  woken_ = true;
  wake_();
}

}  // namespace muster::agent
