#include "agent/host/secret_file.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "common/files.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::agent {
namespace {

absl::Status NoSecretInside(const std::string& path, std::string_view problem) {
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_SECRET_FILE",
                   fmt::format("the secret file {} {}; it must hold the target secret alone, which starts with {}",
                               path, problem, kTargetSecretPrefix));
}

// The kubelet's files are links through the link "..data", which names the folder with the newest content.
bool IsInKubernetesVolume(const std::filesystem::path& path) {
  const std::filesystem::path data = "..data";
  std::filesystem::path folder;
  for (const std::filesystem::path& part : path) {
    std::error_code error;
    const std::filesystem::path target = std::filesystem::read_symlink(folder / part, error);
    const bool leads_there = !error && (part == data || *target.begin() == data);
    if (leads_there && std::filesystem::is_symlink(folder / data, error)) return true;
    folder /= part;
  }
  return false;
}

}  // namespace

absl::StatusOr<Secret> ReadSecretFile(const std::string& path) {
  auto content = ReadFile(path, kMaxSecretFileBytes);
  if (absl::IsResourceExhausted(content.status())) return NoSecretInside(path, "is longer than 4096 bytes");
  if (!content.ok()) {
    return MakeError(content.status().code(), "SECRET_FILE_UNREADABLE",
                     fmt::format("the secret file cannot be read: {}; check --target-secret-file and the file's owner "
                                 "and mode",
                                 MessageOf(content.status())));
  }
  absl::Cleanup wipe = [&content] { sodium_memzero(content->data(), content->size()); };
  Secret secret(Trim(*content));
  const std::string& clear = secret.Reveal();
  if (clear.empty()) return NoSecretInside(path, "is empty");
  const bool printable = std::all_of(clear.begin(), clear.end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (!printable || !clear.starts_with(kTargetSecretPrefix) || clear.size() == kTargetSecretPrefix.size()) {
    return NoSecretInside(path, "does not hold a target secret");
  }
  return secret;
}

std::optional<std::string> SecretFileWarning(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return std::nullopt;
  const mode_t others = info.st_mode & 077;
  if (others == 0) return std::nullopt;
  const bool in_volume = IsInKubernetesVolume(path);
  if (in_volume && others == S_IRGRP) return std::nullopt;
  return fmt::format("the secret file {} can be read by others than its owner (mode {:04o}); {}", path,
                     info.st_mode & 07777, in_volume ? "give its volume the defaultMode 0440" : "run chmod 600 on it");
}

SecretFileWatch::SecretFileWatch(std::string path, const Secret& known)
    : path_(std::move(path)), known_(HashSecret(known.Reveal())) {}

std::optional<Secret> SecretFileWatch::Poll() {
  absl::StatusOr<Secret> secret = ReadSecretFile(path_);
  if (!secret.ok()) {
    std::string problem = MessageOf(secret.status());
    if (problem != last_problem_) log::Warning("{} (the last secret stays in use)", problem);
    last_problem_ = std::move(problem);
    return std::nullopt;
  }
  last_problem_.clear();
  const SecretHash hash = HashSecret(secret->Reveal());
  if (SameHash(hash, known_)) return std::nullopt;
  known_ = hash;
  if (const auto warning = SecretFileWarning(path_)) log::Warning("{}", *warning);
  return *std::move(secret);
}

}  // namespace muster::agent
