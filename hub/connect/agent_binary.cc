#include "hub/connect/agent_binary.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <string_view>

#include "common/secret.h"
#include "common/status.h"

namespace muster::hub {
namespace {

// e_machine of the ELF header, at byte 18 (little endian on the machines that Muster runs on).
std::string ArchOfElf(std::string_view file) {
  constexpr std::string_view kMagic =
      "\x7F"
      "ELF";
  constexpr std::size_t kMachineAt = 18;
  if (file.size() < kMachineAt + 2 || file.substr(0, kMagic.size()) != kMagic) return "";
  switch (static_cast<unsigned char>(file[kMachineAt]) | static_cast<unsigned char>(file[kMachineAt + 1]) << 8) {
    case 62:
      return "x86_64";
    case 183:
      return "aarch64";
    default:
      return "";
  }
}

absl::Status NoBinary(const std::string& path, std::string_view why) {
  return MakeError(
      absl::StatusCode::kFailedPrecondition, "AGENT_BINARY_MISSING",
      fmt::format("the hub has no agent binary to hand out: {}: {}: put muster-agent there, or start the hub "
                  "with --agent-binary PATH",
                  path, why));
}

}  // namespace

std::string AgentBinary::DefaultPath() {
  std::error_code ec;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ec);
  return ec ? "muster-agent" : (self.parent_path() / "muster-agent").string();
}

absl::StatusOr<AgentBinary::Content> AgentBinary::Get() {
  struct stat info {};
  if (stat(path_.c_str(), &info) != 0) return NoBinary(path_, MessageOf(ErrnoError(errno, "stat")));
  const FileIdentity identity{.device = info.st_dev,
                              .inode = info.st_ino,
                              .size = info.st_size,
                              .modified_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec};
  {
    MutexLock lock(&mutex_);
    if (identity_ == identity && content_.file != nullptr) return content_;
  }
  // Two callers may hash at once after a change; both come to the same result.
  auto file = MappedFile::Open(path_);
  if (!file.ok()) return NoBinary(path_, MessageOf(file.status()));
  Content content{.file = *std::move(file), .sha256_hex = "", .arch = ""};
  content.arch = ArchOfElf(content.file->content());
  if (content.arch.empty()) return NoBinary(path_, "it is not a Linux program for x86_64 or aarch64");
  std::array<std::uint8_t, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(content.file->content().data()),
                     content.file->content().size());
  content.sha256_hex = ToHex(digest.data(), digest.size());
  MutexLock lock(&mutex_);
  identity_ = identity;
  content_ = content;
  return content;
}

}  // namespace muster::hub
