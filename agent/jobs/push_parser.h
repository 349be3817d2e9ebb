// The line protocol of the socket (docs/jobs.md): bytes in, requests out, whatever the pieces. Pure and bounded: it
// holds one line and one push at most. What is not understood becomes one refused request; reading goes on behind its
// `end`, or at the next `push`, `delete` or `ping`.
#ifndef MUSTER_AGENT_JOBS_PUSH_PARSER_H_
#define MUSTER_AGENT_JOBS_PUSH_PARSER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "agent/jobs/push.h"

namespace muster::agent {

// Bytes that are skipped before a peer counts as one that speaks something else.
inline constexpr std::size_t kMaxSkippedBytes = 4 * kMaxPushBytes;

struct PushRequest {
  enum class Kind { kPush, kPing, kRefused };
  Kind kind = Kind::kPush;
  // Of a refused one only the group, when it is known.
  Push push;
  absl::Status error;
};

class PushParser {
 public:
  // Appends the requests that are complete.
  void Feed(std::string_view bytes, std::vector<PushRequest>* requests);
  // Nothing that is said any more will be understood: to be closed.
  bool hopeless() const { return skipped_ > kMaxSkippedBytes; }
  // What the request that is being read takes in memory, about.
  std::size_t cost() const { return line_.size() + push_.cost; }
  // Refuses the request that is being read.
  void Refuse(const absl::Status& error);

 private:
  enum class State {
    kBetween,
    kInPush,
    // A request was refused when it was not even one: nothing is answered until the next.
    kSkipping,
  };

  void TakeLine(std::string_view line, std::vector<PushRequest>* requests);
  void Begin(std::string_view rest);
  void TakeDelete(std::string_view rest, std::vector<PushRequest>* requests);
  absl::Status TakeHeader(std::string_view rest);
  absl::Status TakeStatement(std::string_view word, std::string_view rest);
  absl::Status TakeSample(v1::JobMetricType type, std::string_view rest);
  absl::Status TakeBuckets(std::string_view rest);
  absl::Status TakeHelp(std::string_view rest);
  absl::Status TakeUnit(std::string_view rest);
  void Finish(std::vector<PushRequest>* requests);
  static void Add(absl::Status error, std::string group, std::vector<PushRequest>* requests);
  absl::Status BadPush(std::string_view why) const;

  std::string line_;
  bool line_too_long_ = false;
  State state_ = State::kBetween;
  Push push_;
  std::size_t push_bytes_ = 0;
  // Why the push that is being read will be refused.
  absl::Status refusal_;
  std::size_t skipped_ = 0;
  // Of the request, from 1.
  std::int64_t line_number_ = 0;
};

// "90s", "25h", "1h30m", "7d"; within kMinJobDuration and kMaxJobDuration.
std::optional<absl::Duration> ParseJobDuration(std::string_view text);

}  // namespace muster::agent

#endif  // MUSTER_AGENT_JOBS_PUSH_PARSER_H_
