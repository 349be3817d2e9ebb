// Pages from a damaged disk: CarvePage must stay within them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/journal/journal_carve.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using muster::agent::kJournalPageBytes;
  // A leaf page, and one that overflow chains lead to, again and again.
  std::string bytes(reinterpret_cast<const char*>(data), size);
  bytes.resize(2 * kJournalPageBytes);
  bytes[0] = 0x0D;
  const std::string leaf = bytes.substr(0, kJournalPageBytes);
  const std::string overflow = bytes.substr(kJournalPageBytes);
  muster::agent::CarvePage(
      leaf, [&](std::uint32_t number) { return number % 7 == 0 ? std::string() : overflow; },
      [](const muster::agent::JournalRow& row) { return row.is_intact; });
  return 0;
}
