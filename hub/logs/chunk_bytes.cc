#include "hub/logs/chunk_bytes.h"

#include <zlib.h>

namespace muster::hub {

std::uint32_t Crc32(std::string_view bytes, std::uint32_t before) {
  return static_cast<std::uint32_t>(crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace muster::hub
