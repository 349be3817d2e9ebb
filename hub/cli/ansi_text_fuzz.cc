// Lines that containers wrote, on their way to a terminal.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/text.h"
#include "hub/cli/ansi_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster;
  using cli::AnsiColors;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const std::string stripped = cli::AnsiText(line, AnsiColors::kStrip);
  // Nothing is left to escape, and what was kept are colours alone.
  if (EscapeControl(stripped) != stripped) std::abort();
  const std::string kept = cli::AnsiText(line, AnsiColors::kKeep);
  if (cli::AnsiText(kept, AnsiColors::kStrip) != stripped) std::abort();
  // A line that colours anything ends with a reset.
  const std::size_t last = kept.rfind('\x1b');
  if (last != std::string::npos && kept.find_first_not_of("[0;", last + 1) != kept.find('m', last)) std::abort();
  return 0;
}
