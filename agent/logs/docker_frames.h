// The body of GET /containers/ID/logs?timestamps=1, or of Kubernetes' .../pods/POD/log?timestamps=true -> messages:
// docs/logs.md, "Frames". Plain logic without a connection; one for each stream that is open, used by the collector's
// thread only. Fuzzed by docker_frames_fuzz.cc.
// Format: https://docs.docker.com/engine/api/v1.41/#tag/Container/operation/ContainerAttach ("Stream format"), and
// api/server/httputils/write_log_stream.go and daemon/logger/copier.go of github.com/moby/moby.
#ifndef MUSTER_AGENT_LOGS_DOCKER_FRAMES_H_
#define MUSTER_AGENT_LOGS_DOCKER_FRAMES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/logs/kinds.h"

namespace muster::agent {

// Docker's own pieces have so much text. What has more (some log drivers have larger ones) comes in several messages.
inline constexpr std::size_t kMaxMessageTextBytes = 16 * 1024;
// Four times the largest that a log driver of Docker's makes (awslogs: 256 KiB).
inline constexpr std::size_t kMaxFrameBytes = 1024 * 1024;

struct DockerMessage {
  LogStream stream = LogStream::kStdout;
  // When the engine read it, nanoseconds since 1970; times outside of 1970 to 2262 are brought to the nearest bound.
  // All pieces of a line have the first one's.
  std::int64_t time_ns = 0;
  // As the container wrote it, at most kMaxMessageTextBytes, no newline. Valid during the call.
  std::string_view text;
  // Else it is a piece: the line goes on in the stream's next message of the same time, unless the container ended.
  bool ends_line = false;
};

// How the bytes are cut by the network changes nothing: the same bytes give the same messages. Between calls it keeps
// the start of a message, at most 17 KiB.
class DockerFrames {
 public:
  // Which of Docker's it is depends on whether the container has a TTY; the bytes do not tell. kLines is Kubernetes':
  // a stamp, a space, a text and a newline, whatever the text has
  // (pkg/kubelet/kuberuntime/logs/logs.go of github.com/kubernetes/kubernetes).
  enum class Format { kMultiplexed, kTty, kLines };
  using Visitor = absl::FunctionRef<void(const DockerMessage&)>;

  explicit DockerFrames(Format format) : format_(format) {}

  // The messages that `bytes` complete, in order. An error ends the stream and is what all later calls return, too:
  // kDataLoss BAD_LOG_STREAM: not what an engine sends. kUnavailable ENGINE_LOG_ERROR: the engine could not read its
  // log; in its words.
  absl::Status Feed(std::string_view bytes, Visitor visit);
  // The engine ended the body, not the connection: the rest of a TTY stream is a piece.
  absl::Status Finish(Visitor visit);

 private:
  // Each takes from the front of `input` what is complete.
  absl::Status ParseMultiplexed(std::string_view* input, Visitor visit);
  absl::Status ParseHead(std::string_view head);
  absl::Status ParseStamped(std::string_view* input, bool at_end, Visitor visit);
  // The text up to the next message, or a part of it; false: what there is does not tell.
  bool ParseStampedText(std::string_view* input, bool at_end, Visitor visit);
  // The time in front of a message, and the space behind it. False: not all there yet.
  absl::StatusOr<bool> ParseStamp(std::string_view* input, bool at_end);
  void Emit(std::string_view* input, std::size_t size, bool ends_line, Visitor visit);
  // Whatever fills the engine's buffer is a piece. What is shorter ends its line also without a newline: the container
  // ended, or it is the last piece of a long line in driver `local` of 20.10.
  void EmitWithoutNewline(std::string_view* input, Visitor visit);

  const Format format_;
  // The error that ended it.
  absl::Status ended_with_;
  // Bytes of messages that are not complete.
  std::string pending_;

  // Of the frame that is being read.
  bool in_frame_ = false;
  bool is_error_ = false;
  std::size_t frame_left_ = 0;
  LogStream stream_ = LogStream::kStdout;
  // Of the message that is being read.
  bool has_stamp_ = false;
  std::int64_t time_ns_ = 0;
  // Its text has more than kMaxMessageTextBytes: parts of it were given.
  bool has_parts_ = false;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LOGS_DOCKER_FRAMES_H_
