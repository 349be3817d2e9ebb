// Page tokens and positions: what is taken for one is written as it came; nothing else is taken.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "hub/api/log_tokens.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view token(reinterpret_cast<const char*>(data), size);
  const auto page = muster::hub::ParsePageToken(token);
  if (page.ok() && muster::hub::ToToken(*page) != token) std::abort();
  const auto position = muster::hub::ParsePosition(token);
  if (position.ok() && muster::hub::ToToken(*position) != token) std::abort();
  if (page.ok() && position.ok()) std::abort();
  return 0;
}
