// The numbers of a chunk as bytes: little endian, varint (LEB128, shortest form), zigzag, CRC-32 (zlib's).
// docs/formats/log-chunk.md. Used by what reads and writes chunks alone; no state, any thread.
#ifndef MUSTER_HUB_LOGS_CHUNK_BYTES_H_
#define MUSTER_HUB_LOGS_CHUNK_BYTES_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster::hub {

// Of `bytes` behind others that have the CRC `before`.
std::uint32_t Crc32(std::string_view bytes, std::uint32_t before = 0);

constexpr std::uint64_t ZigZag(std::int64_t value) {
  return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
constexpr std::int64_t UnZigZag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1));
}

inline void AppendVarint(std::uint64_t value, std::string* out) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

template <std::unsigned_integral T>
void AppendLittleEndian(T value, std::string* out) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out->push_back(static_cast<char>(value >> 8 * i));
}

// Reads from the front; behind the end, and from a varint that is none on, everything is zero and `failed`.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  std::string_view Take(std::size_t size) {
    if (size > rest_.size()) return Fail();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  template <std::unsigned_integral T>
  T LittleEndian() {
    std::uint64_t value = 0;
    int shift = 0;
    for (const char byte : Take(sizeof(T))) {
      value |= std::uint64_t{static_cast<unsigned char>(byte)} << shift;
      shift += 8;
    }
    return static_cast<T>(value);
  }
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7FU} << shift;
      // The tenth byte holds the last bit; a last byte of zero would say nothing.
      if (shift == 63 && byte > 1) break;
      if ((byte & 0x80U) != 0) continue;
      if (byte == 0 && shift > 0) break;
      return value;
    }
    Fail();
    return 0;
  }

  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }

 private:
  std::string_view Fail() {
    failed_ = true;
    rest_ = {};
    return {};
  }

  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_CHUNK_BYTES_H_
