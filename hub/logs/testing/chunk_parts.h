// A chunk by its fields, so that tests can have bytes that ChunkWriter does not write. Knows the format by itself:
// docs/formats/log-chunk.md.
#ifndef MUSTER_HUB_LOGS_TESTING_CHUNK_PARTS_H_
#define MUSTER_HUB_LOGS_TESTING_CHUNK_PARTS_H_

#include <zlib.h>
#include <zstd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace muster::hub {

inline std::uint32_t TestCrc(std::string_view bytes) {
  return static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

inline std::string ZstdFrameOf(std::string_view raw) {
  std::string frame(ZSTD_compressBound(raw.size()), '\0');
  frame.resize(ZSTD_compress(frame.data(), frame.size(), raw.data(), raw.size(), 1));
  return frame;
}

// Begins as the example of the page.
struct ChunkParts {
  std::string magic = "MLC1";
  std::uint64_t version = 1;
  std::uint64_t flags = 0;
  std::uint64_t runs = 1;
  std::uint64_t source = 7;
  std::uint64_t lines = 2;
  std::uint64_t text_bytes = 10;
  std::int64_t base_time_us = 1'795'238'661'123'456;
  std::uint64_t column_bytes = 7;
  std::string columns = {"\x64\x02\x00\x0D\x16\xF4\x03", 7};
  std::string text = "ready\nbad\n";
  // Absent: what is right.
  std::optional<std::uint64_t> text_stored_bytes = std::nullopt;
  std::optional<std::uint64_t> text_crc = std::nullopt;
  std::optional<std::uint64_t> column_stored_bytes = std::nullopt;

  std::string Head() const {
    std::string head = magic;
    Put(&head, version, 1);
    Put(&head, flags, 1);
    Put(&head, runs, 2);
    Put(&head, source, 8);
    Put(&head, lines, 4);
    Put(&head, text_bytes, 4);
    Put(&head, text_stored_bytes.value_or(text.size()), 4);
    Put(&head, text_crc.value_or(TestCrc(text)), 4);
    Put(&head, static_cast<std::uint64_t>(base_time_us), 8);
    Put(&head, column_bytes, 4);
    Put(&head, column_stored_bytes.value_or(columns.size()), 4);
    Put(&head, TestCrc(head + columns), 4);
    return head + columns;
  }
  // Also says so in the fields.
  void SetText(std::string stored, std::uint64_t raw_bytes) {
    text = std::move(stored);
    text_bytes = raw_bytes;
    flags |= 2;
  }
  void SetColumns(std::string stored, std::uint64_t raw_bytes) {
    columns = std::move(stored);
    column_bytes = raw_bytes;
  }

 private:
  static void Put(std::string* out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> 8 * i & 0xFF));
  }
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_LOGS_TESTING_CHUNK_PARTS_H_
