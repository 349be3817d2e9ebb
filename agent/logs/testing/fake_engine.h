// A Docker engine in memory, as far as its logs go, with a StreamGroup over it: keeps the messages of each container,
// and gives them as 20.10 or as 23 does (docs/logs.md, "Where to go on"), or by a path as Kubernetes does. Time is a
// FakeClock, which its StreamGroup moves while it waits. For one thread, but for StreamGroup::Wake.
#ifndef MUSTER_AGENT_LOGS_TESTING_FAKE_ENGINE_H_
#define MUSTER_AGENT_LOGS_TESTING_FAKE_ENGINE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/http/stream_group.h"
#include "common/logs/kinds.h"
#include "common/testing/fake_clock.h"

namespace muster::agent {

class FakeStreamGroup;

class FakeEngine {
 public:
  enum class Version { k20, k23 };
  struct Message {
    LogStream stream = LogStream::kStdout;
    std::int64_t time_ns = 0;
    std::string text;
    bool has_newline = true;
  };

  FakeEngine(Version version, FakeClock* clock, std::uint32_t seed) : version_(version), clock_(clock), random_(seed) {}

  void Add(const std::string& id, bool has_tty) { containers_[id].has_tty = has_tty; }
  // Kubernetes: requests for this path get this container's log from now on; empty: none (400).
  void Show(const std::string& path, const std::string& id) { paths_[path] = id; }
  void Write(const std::string& id, Message message) { containers_[id].log.push_back(std::move(message)); }
  // The oldest messages go, until `keep` are left. A stream that had not read them says nothing any more.
  void Rotate(const std::string& id, std::size_t keep);
  // The newest go, as after a power cut.
  void LoseEnd(const std::string& id, std::size_t count);
  // Streams end behind what was written.
  void Stop(const std::string& id);
  void Start(const std::string& id) { containers_[id].is_running = true; }
  void Remove(const std::string& id);
  // Streams stay open and say nothing any more.
  void Hang(const std::string& id);
  // Streams give the newest `count` messages a second time, as 20.10 does when it opens a new file twice.
  void Repeat(const std::string& id, std::int64_t count);
  // Connections are lost, anywhere within what is on its way.
  void Cut(const std::string& id);
  void CutAll();
  // Answers from now on; 200 ends it.
  void Answer(const std::string& id, int http_code) { containers_[id].http_code = http_code; }
  // Streams give this, whatever was written, and end; empty ends it.
  void Garble(const std::string& id, std::string bytes) { containers_[id].garbage = std::move(bytes); }

  // So many messages were ever there, and so many of the oldest are gone.
  std::int64_t end(const std::string& id) const { return containers_.at(id).end(); }
  std::int64_t dropped(const std::string& id) const { return containers_.at(id).dropped; }
  const std::deque<Message>& log(const std::string& id) const { return containers_.at(id).log; }

  // The agent's connection; one at a time. Its Wait does not go beyond `WaitUntil`, and gives at most `max_read` bytes
  // of a stream at once, cut by chance.
  std::unique_ptr<StreamGroup> Connect();
  void WaitUntil(Instant until) { wait_until_ = until; }
  void set_max_read(std::size_t bytes) { max_read_ = bytes; }
  // Requests so far, oldest first, and how often was waited.
  std::vector<std::string>& requests() { return requests_; }
  std::int64_t waits() const { return waits_; }
  std::size_t open_streams() const;
  std::size_t paused_streams() const;

 private:
  friend class FakeStreamGroup;
  struct Container {
    bool has_tty = false;
    bool is_running = true;
    std::deque<Message> log;
    std::int64_t dropped = 0;
    int http_code = 200;
    std::string garbage;

    std::int64_t end() const { return dropped + static_cast<std::int64_t>(log.size()); }
  };

  const Version version_;
  FakeClock* const clock_;
  std::mt19937 random_;
  std::map<std::string, Container> containers_;
  std::map<std::string, std::string> paths_;
  FakeStreamGroup* group_ = nullptr;
  Instant wait_until_ = Instant::FromDuration(absl::InfiniteDuration());
  std::size_t max_read_ = 64 * 1024;
  std::vector<std::string> requests_;
  std::int64_t waits_ = 0;
};

class FakeStreamGroup : public StreamGroup {
 public:
  explicit FakeStreamGroup(FakeEngine* engine) : engine_(engine) { engine_->group_ = this; }
  ~FakeStreamGroup() override { engine_->group_ = nullptr; }

  Id Open(const HttpGet& request) override;
  void Close(Id id) override { streams_.erase(id); }
  void Pause(Id id) override;
  void Resume(Id id) override;
  void Wait(absl::Duration wait, absl::FunctionRef<void(const Event&)> visit) override;
  void Wake() override { is_woken_ = true; }

 private:
  friend class FakeEngine;
  struct Stream {
    std::string container;
    bool follows = false;
    // Kubernetes: lines without heads.
    bool is_plain = false;
    std::optional<std::int64_t> tail = std::nullopt;
    std::int64_t since_ns = 0;
    // 23: a message at or after `since` was given.
    bool passed_since = false;
    // Index of the next message, over all that were ever there; where the body ends.
    std::int64_t next = 0;
    std::optional<std::int64_t> end;
    std::string bytes;
    bool hangs = false;
    bool is_cut = false;
    bool is_paused = false;
    int http_code = 200;
  };

  // Container and options of a request.
  Stream Asked(std::string_view target) const;
  void Read(Stream* stream);
  // False: it has nothing to say now.
  bool Give(Id id, absl::FunctionRef<void(const Event&)> visit);

  FakeEngine* const engine_;
  std::map<Id, Stream> streams_;
  Id last_id_ = 0;
  std::atomic<bool> is_woken_ = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_TESTING_FAKE_ENGINE_H_
