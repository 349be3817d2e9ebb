#include "hub/store/set_aside.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "common/files.h"
#include "common/log.h"
#include "common/status.h"

namespace muster::hub {
namespace {

// The log goes first: without it the file is a database as it was at its last checkpoint.
absl::Status SetAside(const std::string& path, std::string_view consequence) {
  log::Error("{} is damaged; it is set aside as {}.damaged, and a new one begins: {}", path, path, consequence);
  std::error_code ignored;
  std::filesystem::remove(path + "-shm", ignored);
  for (const char* suffix : {"-wal", ""}) {
    const std::string from = path + suffix;
    if (!std::filesystem::exists(from, ignored)) continue;
    if (std::rename(from.c_str(), (path + ".damaged" + suffix).c_str()) != 0) {
      return ErrnoError(errno, fmt::format("rename {}", from));
    }
  }
  return absl::OkStatus();
}

// Left by a writer that met damage.
std::string BadMark(const std::string& path) { return path + ".bad"; }

}  // namespace

absl::Status OpenOrSetAside(const std::string& path, std::string_view consequence,
                            absl::FunctionRef<absl::Status()> try_open) {
  std::error_code ignored;
  if (std::filesystem::exists(BadMark(path), ignored)) {
    RETURN_IF_ERROR(SetAside(path, consequence));
    std::filesystem::remove(BadMark(path), ignored);
  }
  absl::Status opened = try_open();
  if (ReasonOf(opened) != "DATABASE_CORRUPT") return opened;
  RETURN_IF_ERROR(SetAside(path, consequence));
  return try_open();
}

void MarkBad(const std::string& path, const absl::Status& fault) {
  if (ReasonOf(fault) != "DATABASE_CORRUPT") return;
  const absl::Status marked = WriteFileAtomically(BadMark(path), MessageOf(fault) + "\n", 0600);
  if (!marked.ok()) log::Error("{} is damaged, and that could not be noted: {}", path, MessageOf(marked));
}

}  // namespace muster::hub
