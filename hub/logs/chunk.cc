#include "hub/logs/chunk.h"

#include <fmt/format.h>

#include "common/status.h"

namespace muster::hub {

std::string FindTextDefect(std::string_view text, std::size_t lines) {
  if (text.empty() || text.back() != '\n') return "the text does not end in a newline";
  std::size_t found = 0;
  for (std::size_t begin = 0; begin < text.size(); ++found) {
    const std::size_t end = text.find('\n', begin);
    if (end - begin > kMaxLineBytes) return fmt::format("line {} of the text has {} bytes", found + 1, end - begin);
    begin = end + 1;
  }
  if (found != lines) return fmt::format("the text has {} lines, not {}", found, lines);
  return "";
}

absl::Status ChunkDamaged(std::string_view what) {
  return MakeError(absl::StatusCode::kDataLoss, "CHUNK_DAMAGED", what);
}

}  // namespace muster::hub
