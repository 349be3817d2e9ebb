// Any bytes as a line: its level is one of the known ones, and depends on no more than the first bytes of the line.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/logs/level_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using muster::LogLevel;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const LogLevel level = muster::agent::ParseLevel(line, LogLevel::kNone);
  const std::string beginning(line.substr(0, muster::agent::kLevelBytes));
  const bool is_level = level >= LogLevel::kNone && level <= LogLevel::kFatal;
  if (!is_level || muster::agent::ParseLevel(beginning, LogLevel::kNone) != level) std::abort();
  return 0;
}
