// What a log line is besides its text, in one byte: the same between agent and hub (LogLines.kinds) and on the hub's
// disk. The bits: docs/formats/log-chunk.md, "Kinds". Values and functions without state, for any thread.
#ifndef MUSTER_COMMON_LOGS_KINDS_H_
#define MUSTER_COMMON_LOGS_KINDS_H_

#include <cstdint>
#include <optional>

namespace muster {

// Numbers are append-only: they are sent and stored.
enum class LogStream : std::uint8_t { kStdout = 1, kStderr = 2, kAgent = 3 };
enum class LogLevel : std::uint8_t { kNone = 0, kTrace = 1, kDebug = 2, kInfo = 3, kWarn = 4, kError = 5, kFatal = 6 };

struct LineKind {
  LogStream stream = LogStream::kStdout;
  LogLevel level = LogLevel::kNone;
  // The line goes on in the next one of its stream.
  bool is_continued = false;
  // No line: lines are missing here, and the text says how many.
  bool is_marker = false;
  bool operator==(const LineKind&) const = default;
};

constexpr char KindByte(const LineKind& kind) {
  return static_cast<char>(static_cast<unsigned>(kind.stream) | static_cast<unsigned>(kind.level) << 2 |
                           (kind.is_continued ? 0x20U : 0U) | (kind.is_marker ? 0x40U : 0U));
}

// A value that is not used is none.
constexpr bool IsKindByte(char byte) {
  const auto bits = static_cast<unsigned char>(byte);
  return (bits & 3U) != 0 && (bits >> 2 & 7U) != 7 && (bits & 0x80U) == 0;
}

// Absent: not a kind.
constexpr std::optional<LineKind> KindOf(char byte) {
  if (!IsKindByte(byte)) return std::nullopt;
  const auto bits = static_cast<unsigned char>(byte);
  return LineKind{.stream = static_cast<LogStream>(bits & 3U),
                  .level = static_cast<LogLevel>(bits >> 2 & 7U),
                  .is_continued = (bits & 0x20U) != 0,
                  .is_marker = (bits & 0x40U) != 0};
}

}  // namespace muster

#endif  // MUSTER_COMMON_LOGS_KINDS_H_
