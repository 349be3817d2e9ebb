// What ParseRequestTarget accepts keeps its promise to the handlers.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "common/text.h"
#include "hub/http/query.h"
#include "hub/http/request_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  muster::hub::AcceptsGzip(text);
  muster::hub::ParseQuery(text);
  const auto parsed = muster::hub::ParseRequestTarget(text);
  if (!parsed.ok()) return 0;
  const std::string slashed = parsed->path + "/";
  if (parsed->path.front() != '/' || !muster::IsValidUtf8(parsed->path) || slashed.find("/../") != std::string::npos ||
      parsed->path.find('\0') != std::string::npos) {
    std::abort();
  }
  return 0;
}
