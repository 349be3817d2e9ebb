#include "hub/api/log_tokens.h"

#include <cstddef>

#include "absl/strings/escaping.h"
#include "common/status.h"
#include "hub/logs/chunk.h"

namespace muster::hub {
namespace {

// The first byte: what it is, and its version.
constexpr char kPageVersion = 'P';
constexpr char kPositionVersion = 'T';
constexpr std::size_t kNumberBytes = 8;
// As logs.db draws it: 32 digits.
constexpr std::size_t kMaxLogEpochBytes = 64;

void Append(std::string* bytes, std::uint64_t number) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) *bytes += static_cast<char>(number >> (8 * i) & 0xFF);
}

void Append(std::string* bytes, const LogCursor& place) {
  Append(bytes, static_cast<std::uint64_t>(place.time_us));
  Append(bytes, static_cast<std::uint64_t>(place.number));
}

// Takes values off the front; once they do not suffice it is not good any more.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  char Byte() {
    const std::string_view byte = Take(1);
    return byte.empty() ? '\0' : byte[0];
  }
  std::uint64_t Number() {
    std::uint64_t number = 0;
    std::size_t shift = 0;
    for (const char byte : Take(kNumberBytes)) {
      number |= static_cast<std::uint64_t>(static_cast<unsigned char>(byte)) << shift;
      shift += 8;
    }
    return number;
  }
  // Of a line.
  std::int64_t LineNumber() {
    const auto number = static_cast<std::int64_t>(Number());
    good_ = good_ && number >= 0 && number < kEndOfLineNumbers;
    return number;
  }
  LogCursor Place() {
    const auto time_us = static_cast<std::int64_t>(Number());
    return {.time_us = time_us, .number = LineNumber()};
  }
  std::string_view Rest() { return Take(bytes_.size()); }
  void Require(bool condition) { good_ = good_ && condition; }
  bool AllTaken() const { return good_ && bytes_.empty(); }

 private:
  std::string_view Take(std::size_t count) {
    good_ = good_ && bytes_.size() >= count;
    if (!good_) return {};
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  std::string_view bytes_;
  bool good_ = true;
};

// Empty for what is not exactly as we write it.
std::string Unescape(std::string_view token) {
  std::string bytes;
  const bool is_base64 = absl::WebSafeBase64Unescape(absl::string_view(token.data(), token.size()), &bytes);
  return is_base64 && absl::WebSafeBase64Escape(bytes) == token ? bytes : "";
}

}  // namespace

std::string ToToken(const LogPageToken& token) {
  std::string bytes = {kPageVersion, static_cast<char>(token.order)};
  Append(&bytes, token.after);
  Append(&bytes, token.selection);
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<LogPageToken> ParsePageToken(std::string_view token) {
  const std::string unescaped = Unescape(token);
  Bytes bytes(unescaped);
  bytes.Require(bytes.Byte() == kPageVersion);
  const char order = bytes.Byte();
  bytes.Require(order == static_cast<char>(LogOrder::kOldestFirst) ||
                order == static_cast<char>(LogOrder::kNewestFirst));
  LogPageToken parsed{.order = static_cast<LogOrder>(order), .after = bytes.Place()};
  parsed.selection = bytes.Number();
  if (bytes.AllTaken()) return parsed;
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PAGE_TOKEN",
                   "page_token is not one of this hub's; send the one of the answer before, or none to begin anew");
}

std::string ToToken(const TailPosition& position) {
  std::string bytes = {kPositionVersion, static_cast<char>(position.stored_after ? 1 : 0)};
  if (position.stored_after) Append(&bytes, *position.stored_after);
  Append(&bytes, static_cast<std::uint64_t>(position.number));
  Append(&bytes, position.selection);
  bytes += position.log_epoch;
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<TailPosition> ParsePosition(std::string_view token) {
  const std::string unescaped = Unescape(token);
  Bytes bytes(unescaped);
  bytes.Require(bytes.Byte() == kPositionVersion);
  const char has_place = bytes.Byte();
  bytes.Require(has_place == 0 || has_place == 1);
  TailPosition parsed;
  if (has_place == 1) parsed.stored_after = bytes.Place();
  parsed.number = bytes.LineNumber();
  parsed.selection = bytes.Number();
  parsed.log_epoch = bytes.Rest();
  bytes.Require(!parsed.log_epoch.empty() && parsed.log_epoch.size() <= kMaxLogEpochBytes);
  if (!bytes.AllTaken()) return BadPosition();
  return parsed;
}

absl::Status BadPosition() {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_POSITION",
                   "this hub's logs do not know resume_position: it is of another selection, or the logs were restored "
                   "from a backup; tail without it, from the time of the last line you have");
}

}  // namespace muster::hub
