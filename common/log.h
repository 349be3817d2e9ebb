// The process's own log: one line per event on stderr, "2026-11-21T05:24:21.123Z info  message". Control characters in
// the message are escaped, so a hostile name cannot forge a line. Thread-safe.
#ifndef MUSTER_COMMON_LOG_H_
#define MUSTER_COMMON_LOG_H_

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace muster::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Lines below `level` are dropped. Default: kInfo.
void SetLevel(Level level);

void Write(Level level, std::string_view message);

// Is given each line that is written, as it stands on stderr without time and level: what is below the level does not
// reach it. Called by whoever logs, one at a time, whatever locks that thread holds: so it returns at once. What is
// logged meanwhile by the same thread is not given to it.
class Tap {
 public:
  virtual ~Tap() = default;
  virtual void OnLine(Level level, std::string_view text) = 0;
};

// One per process, owned by the caller; null takes it off, and no call of it runs any more when this returns.
void SetTap(Tap* tap);

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace muster::log

#endif  // MUSTER_COMMON_LOG_H_
