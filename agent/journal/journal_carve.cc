#include "agent/journal/journal_carve.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <utility>

#include "agent/records.h"

namespace muster::agent {
namespace {

constexpr std::size_t kPage = kJournalPageBytes;
constexpr char kTableLeaf = 0x0D;
constexpr std::size_t kLeafHeader = 8;
// Of what a row has, so much lies in the leaf itself; the rest in a chain of pages.
constexpr std::size_t kMaxLocal = kPage - 35;
constexpr std::size_t kMinLocal = (kPage - 12) * 32 / 255 - 23;
constexpr std::size_t kOverflowContent = kPage - 4;
constexpr std::size_t kMaxRow = kMaxRecordBytes + 256;
constexpr std::size_t kColumns = 8;
// Of the write-ahead log: its header, and that of each page image.
constexpr std::size_t kLogHeader = 32;
constexpr std::size_t kFrameHeader = 24;

// Reads from the front; after the end everything is zero and `failed`.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t BigEndian(std::size_t size) {
    std::uint64_t value = 0;
    for (const char c : Take(size)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  // Of `size` bytes, with its sign.
  std::int64_t Signed(std::size_t size) {
    const auto value = static_cast<std::int64_t>(BigEndian(size) << (64 - 8 * size));
    return value >> (64 - 8 * size);
  }
  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int i = 0; i < 9; ++i) {
      const std::uint64_t byte = BigEndian(1);
      if (i == 8) return value << 8 | byte;
      value = value << 7 | (byte & 0x7F);
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }
  std::string_view Take(std::size_t size) {
    if (size > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

std::optional<std::int64_t> Integer(std::uint64_t type, Bytes* content) {
  constexpr std::array<std::size_t, 7> kSizes = {0, 1, 2, 3, 4, 6, 8};
  if (type == 8 || type == 9) return static_cast<std::int64_t>(type - 8);
  if (type < 1 || type > 6) return std::nullopt;
  return content->Signed(kSizes[type]);
}

// Also blobs.
std::optional<std::string> Text(std::uint64_t type, Bytes* content) {
  if (type < 12) return std::nullopt;
  return std::string(content->Take((type - 12) / 2));
}

// The eight columns of `records`; the first is the row's number and stored as nothing.
std::optional<JournalRow> ParseRecord(std::int64_t id, std::string_view record) {
  Bytes start(record);
  const std::uint64_t header_size = start.Varint();
  if (start.failed() || header_size > record.size()) return std::nullopt;
  Bytes header(record.substr(0, header_size));
  header.Varint();
  std::array<std::uint64_t, kColumns> types{};
  for (std::uint64_t& type : types) type = header.Varint();
  Bytes content(record.substr(header_size));
  const auto epoch = Text(types[1], &content);
  std::array<std::optional<std::int64_t>, 5> numbers;
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = Integer(types[2 + i], &content);
  auto payload = Text(types[7], &content);
  const bool is_complete = std::all_of(numbers.begin(), numbers.end(), [](const auto& n) { return n.has_value(); });
  if (header.failed() || content.failed() || types[0] != 0 || !epoch || !payload || !is_complete) return std::nullopt;
  return RestoreRow({.id = id,
                     .epoch = *epoch,
                     .count = *numbers[0],
                     .kind = *numbers[1],
                     .recorded_us = *numbers[2],
                     .monotonic_us = *numbers[3],
                     .crc = *numbers[4],
                     .payload = *std::move(payload)});
}

std::optional<JournalRow> ParseCell(std::string_view cell, PageReader pages) {
  Bytes bytes(cell);
  const std::uint64_t size = bytes.Varint();
  const auto id = static_cast<std::int64_t>(bytes.Varint());
  if (bytes.failed() || size > kMaxRow) return std::nullopt;
  if (size <= kMaxLocal) return ParseRecord(id, bytes.Take(size));
  const std::size_t fitting = kMinLocal + (size - kMinLocal) % kOverflowContent;
  std::string record(bytes.Take(fitting <= kMaxLocal ? fitting : kMinLocal));
  auto next = static_cast<std::uint32_t>(bytes.BigEndian(4));
  if (bytes.failed()) return std::nullopt;
  while (record.size() < size) {
    const std::string page = pages(next);
    if (page.size() != kPage) return std::nullopt;
    Bytes overflow(page);
    next = static_cast<std::uint32_t>(overflow.BigEndian(4));
    record += overflow.Take(std::min(kOverflowContent, size - record.size()));
  }
  return ParseRecord(id, record);
}

std::string ReadAt(std::ifstream* file, std::uint64_t offset) {
  std::string page(kPage, '\0');
  file->clear();
  file->seekg(static_cast<std::streamoff>(offset));
  file->read(page.data(), static_cast<std::streamsize>(page.size()));
  page.resize(static_cast<std::size_t>(file->gcount()));
  return page;
}

}  // namespace

void CarvePage(std::string_view page, PageReader pages, absl::FunctionRef<bool(JournalRow)> visit) {
  if (page.size() != kPage || page[0] != kTableLeaf) return;
  const std::uint64_t cells = Bytes(page.substr(3)).BigEndian(2);
  Bytes pointers(page.substr(kLeafHeader));
  for (std::uint64_t i = 0; i < cells; ++i) {
    const std::uint64_t offset = pointers.BigEndian(2);
    if (pointers.failed()) return;
    if (offset < kLeafHeader || offset >= kPage) continue;
    std::optional<JournalRow> row = ParseCell(page.substr(offset), pages);
    if (row.has_value() && row->is_intact && !visit(*std::move(row))) return;
  }
}

void CarveJournal(const std::string& path, absl::FunctionRef<bool(JournalRow)> visit) {
  std::ifstream file(path, std::ios::binary);
  bool goes_on = true;
  const auto visit_on = [&](JournalRow row) { return goes_on = visit(std::move(row)); };
  const auto page_of_file = [&](std::uint32_t number) {
    return number == 0 ? std::string() : ReadAt(&file, std::uint64_t{number - 1} * kPage);
  };
  for (std::uint64_t at = 0; goes_on; at += kPage) {
    const std::string page = ReadAt(&file, at);
    if (page.size() != kPage) break;
    CarvePage(page, page_of_file, visit_on);
  }
  std::ifstream log(path + "-wal", std::ios::binary);
  for (std::uint64_t at = kLogHeader + kFrameHeader; goes_on; at += kPage + kFrameHeader) {
    const std::string page = ReadAt(&log, at);
    if (page.size() != kPage) break;
    CarvePage(page, page_of_file, visit_on);
  }
}

}  // namespace muster::agent
