// The state file may have been damaged by anything: parsing it never crashes, and what is accepted can be written
// again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/host/data_dir.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto state = muster::agent::ParseAgentState(std::string(reinterpret_cast<const char*>(data), size));
  if (state.ok() && !muster::agent::ParseAgentState(muster::agent::FormatAgentState(*state)).ok()) std::abort();
  return 0;
}
