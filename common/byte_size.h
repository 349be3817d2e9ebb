// Sizes as people write them in flags: "1048576", "512KiB", "256MiB", "2GiB".
#ifndef MUSTER_COMMON_BYTE_SIZE_H_
#define MUSTER_COMMON_BYTE_SIZE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace muster {

// Absent: no such size.
std::optional<std::int64_t> ParseByteSize(std::string_view text);

}  // namespace muster

#endif  // MUSTER_COMMON_BYTE_SIZE_H_
