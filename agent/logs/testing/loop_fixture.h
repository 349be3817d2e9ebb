// A CollectorLoop with an engine, a journal and a log in memory, for its tests.
#ifndef MUSTER_AGENT_LOGS_TESTING_LOOP_FIXTURE_H_
#define MUSTER_AGENT_LOGS_TESTING_LOOP_FIXTURE_H_

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/logs/collector_loop.h"
#include "agent/logs/testing/fake_engine.h"
#include "agent/logs/testing/fake_log_journal.h"
#include "common/time_format.h"

namespace muster::agent {

class FakeOwnLog : public OwnLogSource {
 public:
  OwnLog Take() override { return std::exchange(next, {}); }
  OwnLog next;
};

// Of all records of a resource, in order: its lines' texts, markers in angle brackets without their end.
inline std::vector<std::string> TextsOf(const std::vector<v1::Record>& records, std::string_view resource) {
  std::vector<std::string> texts;
  for (const v1::Record& record : records) {
    const v1::LogLines& lines = record.log_lines();
    if (lines.resource() != resource) continue;
    std::string_view text = lines.text();
    for (const char kind : lines.kinds()) {
      const std::size_t end = text.find('\n');
      const std::string line(text.substr(0, end));
      texts.push_back(KindOf(kind)->is_marker ? '<' + line.substr(0, line.rfind(' ')) + '>' : line);
      text.remove_prefix(end + 1);
    }
  }
  return texts;
}

class LoopTest : public testing::Test {
 protected:
  LoopTest() { journal_.memory().first_settings = clock_.Now() - absl::Hours(1); }

  void StartAgent(bool collects_containers = true, bool knows_containers = true) {
    loop_.reset();
    loop_ = std::make_unique<CollectorLoop>(
        CollectorOptions{
            .collects_containers = collects_containers, .boot_id = "boot-1", .uniform = [] { return 0.5; }},
        &clock_, engine_.Connect(), &masker_, &journal_, &own_log_);
    if (knows_containers) loop_->SetContainers(containers_);
  }
  // What was not committed is lost.
  void KillAgent() {
    journal_.Kill();
    loop_.reset();
  }

  // Created now, if no time is given.
  void Add(const std::string& id, absl::Duration age = absl::ZeroDuration(), const std::string& key = "compose/shop") {
    containers_.push_back({.id = id,
                           .name = id,
                           .deployment_key = key,
                           .revision = "1",
                           .has_tty = false,
                           .log_driver = "json-file",
                           .created = clock_.Now() - age,
                           .is_running = true});
    engine_.Add(id, false);
  }
  void Write(const std::string& id, std::string text, LogStream stream = LogStream::kStdout) {
    engine_.Write(id, {.stream = stream, .time_ns = absl::ToUnixNanos(clock_.Now()), .text = std::move(text)});
  }
  // Turns until so much fake time is over.
  void Pass(absl::Duration time) {
    const Instant until = clock_.Monotonic() + time;
    engine_.WaitUntil(until);
    do {
      loop_->Turn();
    } while (clock_.Monotonic() < until);
  }
  // Time for whatever is read to be recorded.
  std::vector<std::string> Texts(std::string_view resource) {
    Pass(absl::Seconds(1));
    journal_.Commit();
    return TextsOf(journal_.records(), resource);
  }
  std::size_t Requests(std::string_view part) {
    return static_cast<std::size_t>(
        std::count_if(engine_.requests().begin(), engine_.requests().end(),
                      [&](const std::string& request) { return request.find(part) != std::string::npos; }));
  }

  FakeClock clock_;
  FakeEngine engine_{FakeEngine::Version::k20, &clock_, 1};
  FakeLogJournal journal_;
  FakeOwnLog own_log_;
  const Masker masker_ = *Masker::Create({});
  std::vector<LogContainer> containers_;
  std::unique_ptr<CollectorLoop> loop_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_TESTING_LOOP_FIXTURE_H_
