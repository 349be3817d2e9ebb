#include "common/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

#include "common/mutex.h"
#include "common/text.h"

namespace muster::log {
namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("muster", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %-7l %v", spdlog::pattern_time_type::utc));
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

// Held while the tap runs. Never destroyed: threads may log while the process ends.
struct TapSlot {
  Mutex mutex;
  Tap* tap ABSL_GUARDED_BY(mutex) = nullptr;
};

TapSlot& Slot() {
  static auto* const slot = new TapSlot;
  return *slot;
}

thread_local bool in_tap = false;

}  // namespace

void SetLevel(Level level) { Logger().set_level(ToSpdlog(level)); }

void SetTap(Tap* tap) {
  TapSlot& slot = Slot();
  MutexLock lock(&slot.mutex);
  slot.tap = tap;
}

void Write(Level level, std::string_view message) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  const std::string text = EscapeControl(message);
  Logger().log(ToSpdlog(level), text);
  if (in_tap) return;
  in_tap = true;
  {
    TapSlot& slot = Slot();
    MutexLock lock(&slot.mutex);
    if (slot.tap != nullptr) slot.tap->OnLine(level, text);
  }
  in_tap = false;
}

}  // namespace muster::log
