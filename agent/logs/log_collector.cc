#include "agent/logs/log_collector.h"

#include <utility>

namespace muster::agent {

LogCollector::LogCollector(Options options, const Clock* clock, std::unique_ptr<StreamGroup> streams,
                           const Masker* masker, LogJournal* journal, OwnLogSource* own_log)
    : loop_(std::move(options), clock, std::move(streams), masker, journal, own_log),
      streams_(loop_.streams()),
      thread_(&LogCollector::Run, this) {}

LogCollector::~LogCollector() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  streams_->Wake();
  thread_.join();
}

void LogCollector::Publish(std::vector<LogContainer> containers) {
  {
    MutexLock lock(&mutex_);
    containers_ = std::move(containers);
  }
  streams_->Wake();
}

void LogCollector::SetLogsOff(std::vector<std::string> deployment_keys) {
  {
    MutexLock lock(&mutex_);
    off_keys_ = std::move(deployment_keys);
  }
  streams_->Wake();
}

void LogCollector::Wake() { streams_->Wake(); }

void LogCollector::Run() {
  while (true) {
    std::optional<std::vector<LogContainer>> containers;
    std::optional<std::vector<std::string>> off_keys;
    {
      MutexLock lock(&mutex_);
      if (stopping_) break;
      containers.swap(containers_);
      off_keys.swap(off_keys_);
    }
    if (containers.has_value()) loop_.SetContainers(*std::move(containers));
    if (off_keys.has_value()) loop_.SetLogsOff(*std::move(off_keys));
    loop_.Turn();
  }
  loop_.Finish();
}

}  // namespace muster::agent
