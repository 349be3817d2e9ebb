// Secrets: made from 256 random bits, shown once, kept as a hash, compared in constant time.
#ifndef MUSTER_COMMON_SECRET_H_
#define MUSTER_COMMON_SECRET_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace muster {

// A secret in clear. Deliberately neither streamable nor formattable; wiped when destroyed.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string clear) : clear_(std::move(clear)) {}
  ~Secret();
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&&) noexcept = default;
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;

  bool empty() const { return clear_.empty(); }
  const std::string& Reveal() const { return clear_; }

  // `prefix` and 256 random bits in URL-safe base64: 43 characters after the prefix.
  static Secret Random(std::string_view prefix);

 private:
  std::string clear_;
};

// What a secret is for is readable from its first four characters.
inline constexpr std::string_view kTargetSecretPrefix = "mst_";
inline constexpr std::string_view kTokenPrefix = "mtk_";
inline constexpr std::string_view kConnectCodePrefix = "mcc_";

// SHA-256. Enough for 256 random bits: there is nothing to guess slowly.
using SecretHash = std::array<std::uint8_t, 32>;
SecretHash HashSecret(std::string_view clear);

// Constant time.
bool SameHash(const SecretHash& a, const SecretHash& b);

// `prefix` and 80 random bits in hex, for ids that are not secret: "tgt_5c0f...".
std::string NewId(std::string_view prefix);

// `prefix` and 80 bits of SHA-256 over the parts, each length-prefixed: the same parts give the same id.
std::string DerivedId(std::string_view prefix, std::string_view first, std::string_view second);

std::string ToHex(const std::uint8_t* data, std::size_t size);

}  // namespace muster

#endif  // MUSTER_COMMON_SECRET_H_
