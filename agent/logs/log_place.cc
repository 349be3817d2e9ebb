#include "agent/logs/log_place.h"

#include <fmt/format.h>
#include <zlib.h>

#include <string_view>
#include <type_traits>

#include "agent/logs/line_cleaner.h"
#include "common/status.h"

namespace muster::agent {
namespace {

// LogPosition.open, little endian: version · flags · checksum of L's text, 4 bytes · for stdout, then stderr: flags ·
// time and count of the last message, 8 bytes each · lines of a private key that are left, 2 bytes · what was kept of
// an open line, with its length in front. That an open line has the last message's time need not be written.
constexpr char kOpenVersion = 1;
constexpr unsigned char kIsMoment = 1;
constexpr unsigned char kHasOpenLine = 1;

template <typename T>
void Put(T value, std::string* bytes) {
  auto rest = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    bytes->push_back(static_cast<char>(rest & 0xFF));
    if constexpr (sizeof(T) > 1) rest >>= 8;
  }
}

// False: not so many bytes are left.
template <typename T>
bool Get(std::string_view* bytes, T* value) {
  if (bytes->size() < sizeof(T)) return false;
  std::uint64_t all = 0;
  for (std::size_t i = sizeof(T); i-- > 0;) all = all << 8 | static_cast<unsigned char>((*bytes)[i]);
  *value = static_cast<T>(all);
  bytes->remove_prefix(sizeof(T));
  return true;
}

absl::Status BadPosition(const LogPosition& position) {
  return MakeError(absl::StatusCode::kDataLoss, "BAD_POSITION",
                   fmt::format("the log position of container {} cannot be read", position.container));
}

void PutStream(const StreamPlace& place, std::string* bytes) {
  Put<unsigned char>(place.state.open_line_ns.has_value() ? kHasOpenLine : 0, bytes);
  Put(place.run.time_ns, bytes);
  Put(place.run.count, bytes);
  Put(static_cast<std::uint16_t>(place.state.key.lines_left), bytes);
  Put(static_cast<unsigned char>(place.state.kept.size()), bytes);
  *bytes += place.state.kept;
}

bool GetStream(std::string_view* bytes, StreamPlace* place) {
  unsigned char flags = 0;
  std::uint16_t key_lines = 0;
  unsigned char kept = 0;
  if (!Get(bytes, &flags) || flags > kHasOpenLine || !Get(bytes, &place->run.time_ns) ||
      !Get(bytes, &place->run.count) || !Get(bytes, &key_lines) || !Get(bytes, &kept)) {
    return false;
  }
  const bool is_open = flags == kHasOpenLine;
  if (place->run.time_ns < 0 || place->run.count < 0 || key_lines > kMaxPrivateKeyLines || kept > kMaxKeptBytes ||
      kept > bytes->size() || (is_open && place->run.count == 0) || (!is_open && kept > 0)) {
    return false;
  }
  if (is_open) place->state.open_line_ns = place->run.time_ns;
  place->state.kept = bytes->substr(0, kept);
  place->state.key.lines_left = key_lines;
  bytes->remove_prefix(kept);
  return true;
}

}  // namespace

MessageId IdOf(const DockerMessage& message) {
  return {.stream = message.stream,
          .time_ns = message.time_ns,
          .size = static_cast<std::int64_t>(message.text.size()),
          .checksum = static_cast<std::uint32_t>(
              crc32_z(0, reinterpret_cast<const Bytef*>(message.text.data()), message.text.size()))};
}

void TimeRun::Add(std::int64_t message_time_ns) {
  count = count > 0 && message_time_ns == time_ns ? count + 1 : 1;
  time_ns = message_time_ns;
}

std::int64_t ClockMicros(const Moment& now) {
  return absl::ToUnixMicros(now.wall) - absl::ToInt64Microseconds(now.monotonic - Instant());
}

LogPosition EncodePlace(const std::string& container, const LogPlace& place) {
  std::string open;
  open.push_back(kOpenVersion);
  Put<unsigned char>(place.is_moment ? kIsMoment : 0, &open);
  Put(place.last.checksum, &open);
  for (const StreamPlace& stream : place.streams) PutStream(stream, &open);
  return {.container = container,
          .stream = place.last.stream,
          .time_ns = place.last.time_ns,
          .count = place.is_moment ? 0 : place.count(),
          .size = place.last.size,
          .open = std::move(open),
          .clock_us = place.clock_us,
          .boot_id = place.boot_id};
}

absl::StatusOr<LogPlace> DecodePlace(const LogPosition& position) {
  LogPlace place{.last = {.stream = position.stream, .time_ns = position.time_ns, .size = position.size},
                 .streams = {},
                 .clock_us = position.clock_us,
                 .boot_id = position.boot_id};
  std::string_view bytes = position.open;
  char version = 0;
  unsigned char flags = 0;
  if (!Get(&bytes, &version) || version != kOpenVersion || !Get(&bytes, &flags) || flags > kIsMoment ||
      !Get(&bytes, &place.last.checksum)) {
    return BadPosition(position);
  }
  place.is_moment = flags == kIsMoment;
  for (StreamPlace& stream : place.streams) {
    if (!GetStream(&bytes, &stream)) return BadPosition(position);
  }
  const bool is_known_stream = position.stream == LogStream::kStdout || position.stream == LogStream::kStderr;
  const TimeRun& run = place.Of(position.stream).run;
  const bool agrees = place.is_moment ? position.count == 0
                                      : position.count > 0 && run.count == position.count &&
                                            run.time_ns == position.time_ns && position.size >= 0;
  if (!bytes.empty() || !is_known_stream || !agrees || position.time_ns < 0) return BadPosition(position);
  return place;
}

}  // namespace muster::agent
