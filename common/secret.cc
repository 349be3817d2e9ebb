#include "common/secret.h"

#include <sodium.h>

#include <cstdlib>

namespace muster {
namespace {

constexpr std::size_t kIdBytes = 10;

// Initialising libsodium is idempotent and thread-safe; without randomness nothing may go on.
void EnsureSodium() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();
}

void HashPart(crypto_hash_sha256_state* state, std::string_view part) {
  const std::uint64_t size = part.size();
  crypto_hash_sha256_update(state, reinterpret_cast<const unsigned char*>(&size), sizeof(size));
  crypto_hash_sha256_update(state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
}

}  // namespace

Secret::~Secret() { sodium_memzero(clear_.data(), clear_.size()); }

Secret Secret::Random(std::string_view prefix) {
  EnsureSodium();
  std::array<unsigned char, 32> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  std::array<char, sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_URLSAFE_NO_PADDING)> text{};
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  sodium_memzero(bytes.data(), bytes.size());
  return Secret(std::string(prefix) + text.data());
}

SecretHash HashSecret(std::string_view clear) {
  SecretHash hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(clear.data()), clear.size());
  return hash;
}

bool SameHash(const SecretHash& a, const SecretHash& b) { return sodium_memcmp(a.data(), b.data(), a.size()) == 0; }

std::string NewId(std::string_view prefix) {
  EnsureSodium();
  std::array<std::uint8_t, kIdBytes> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  return std::string(prefix) + ToHex(bytes.data(), bytes.size());
}

std::string DerivedId(std::string_view prefix, std::string_view first, std::string_view second) {
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  HashPart(&state, first);
  HashPart(&state, second);
  std::array<std::uint8_t, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256_final(&state, hash.data());
  return std::string(prefix) + ToHex(hash.data(), kIdBytes);
}

std::string ToHex(const std::uint8_t* data, std::size_t size) {
  std::string hex(size * 2 + 1, '\0');
  sodium_bin2hex(hex.data(), hex.size(), data, size);
  hex.pop_back();
  return hex;
}

}  // namespace muster
