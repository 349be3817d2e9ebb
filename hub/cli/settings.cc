#include "hub/cli/settings.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "common/files.h"
#include "common/status.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

constexpr char kDefaultHub[] = "https://localhost:8080";
constexpr std::array<std::string_view, 4> kKeys = {"hub", "token_file", "token", "ca_file"};
// A token is 47 characters.
constexpr std::size_t kMaxTokenFileBytes = 4096;
constexpr std::size_t kMaxConfigFileBytes = 64 << 10;

using ConfigFile = std::map<std::string, std::string>;

// This machine refuses, not the hub: neither "not found" nor "not allowed".
absl::Status LocalError(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kFailedPrecondition, reason, message);
}

std::string ConfigPath(const Environment& environment) {
  if (const auto folder = environment("XDG_CONFIG_HOME"); folder.has_value() && !folder->empty()) {
    return *folder + "/muster/config";
  }
  const auto home = environment("HOME");
  return home.has_value() && !home->empty() ? *home + "/.config/muster/config" : "";
}

absl::StatusOr<ConfigFile> ReadConfigFile(const std::string& path) {
  struct stat info {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return ConfigFile{};
  if ((info.st_mode & 077) != 0 || (info.st_uid != geteuid() && info.st_uid != 0)) {
    return LocalError("CONFIG_FILE_OPEN_TO_OTHERS",
                      fmt::format("read {}: other users can read or change it; run: chmod 600 {}", path, path));
  }
  const auto text = ReadFile(path, kMaxConfigFileBytes);
  if (!text.ok()) return LocalError("CONFIG_FILE", MessageOf(text.status()));
  auto config = ParseConfigFile(*text);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

// Until its end. Not /dev/stdin, which cannot be opened when stdin is a socket.
absl::StatusOr<std::string> ReadStdin() {
  std::string content;
  char buffer[kMaxTokenFileBytes];
  while (content.size() <= kMaxTokenFileBytes) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) return Interrupted();
    if (got < 0) return ErrnoError(errno, "read stdin");
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
  return absl::ResourceExhaustedError("stdin is longer than any token");
}

absl::StatusOr<Secret> ReadToken(const std::string& path) {
  const bool from_stdin = path == "-";
  const auto content = from_stdin ? ReadStdin() : ReadFile(path, kMaxTokenFileBytes);
  if (IsInterrupted(content.status())) return content.status();
  if (!content.ok()) {
    return LocalError("TOKEN_FILE", fmt::format("read the token: {}; check --token-file", MessageOf(content.status())));
  }
  std::string token = Trim(*content);
  if (token.empty()) {
    return LocalError("TOKEN_FILE",
                      fmt::format("read the token: {} is empty; write the token into it", from_stdin ? "stdin" : path));
  }
  return Secret(std::move(token));
}

// Header values are one line of visible ASCII; anything else would end or change the request.
absl::Status CheckToken(const Secret& token) {
  const bool visible =
      std::all_of(token.Reveal().begin(), token.Reveal().end(), [](char c) { return c > ' ' && c < 0x7F; });
  if (visible) return absl::OkStatus();
  return LocalError("TOKEN_MALFORMED",
                    "read the token: it holds white space or other characters that no token has; give the token alone");
}

absl::StatusOr<std::string> CheckUrl(std::string url) {
  const bool http = url.rfind("http://", 0) == 0 && url.size() > 7;
  const bool https = url.rfind("https://", 0) == 0 && url.size() > 8;
  if (!http && !https) {
    return UsageError(
        fmt::format("--hub {}: not an http or https URL; write it like https://hub.example.com:8080", url));
  }
  if (url.find_first_of("?#@ \t\r\n") != std::string::npos) {
    return UsageError(fmt::format("--hub {}: only scheme, host, port and path are allowed in it", url));
  }
  while (url.back() == '/') url.pop_back();
  return url;
}

// First of: option, environment, file.
std::string Pick(const std::string& option, const Environment& environment, const char* variable,
                 const ConfigFile& file, const char* key) {
  if (!option.empty()) return option;
  if (const auto value = variable != nullptr ? environment(variable) : std::nullopt; value && !value->empty()) {
    return *value;
  }
  const auto it = file.find(key);
  return it != file.end() ? it->second : "";
}

absl::StatusOr<Secret> PickToken(const RawSettings& raw, const Environment& environment, const ConfigFile& file) {
  if (!raw.token_file.empty()) return ReadToken(raw.token_file);
  if (std::string token = Trim(environment("MUSTER_TOKEN").value_or("")); !token.empty()) return Secret(token);
  if (const auto it = file.find("token"); it != file.end()) return Secret(it->second);
  if (const auto it = file.find("token_file"); it != file.end()) return ReadToken(it->second);
  return Secret();
}

}  // namespace

absl::StatusOr<Settings> FinalizeSettings(const RawSettings& raw, const Environment& environment) {
  ASSIGN_OR_RETURN(const ConfigFile file, ReadConfigFile(ConfigPath(environment)));
  Settings settings;
  std::string url = Pick(raw.hub, environment, "MUSTER_HUB", file, "hub");
  ASSIGN_OR_RETURN(settings.hub_url, CheckUrl(url.empty() ? kDefaultHub : std::move(url)));
  ASSIGN_OR_RETURN(settings.token, PickToken(raw, environment, file));
  RETURN_IF_ERROR(CheckToken(settings.token));
  settings.ca_file = Pick(raw.ca_file, environment, "MUSTER_CA", file, "ca_file");
  if (!settings.ca_file.empty() && access(settings.ca_file.c_str(), R_OK) != 0) {
    return LocalError("CA_FILE", fmt::format("read the CA file {}: {}; check --ca-file", settings.ca_file,
                                             std::generic_category().message(errno)));
  }
  settings.output = raw.output == "json"  ? OutputFormat::kJson
                    : raw.output == "csv" ? OutputFormat::kCsv
                                          : OutputFormat::kTable;
  settings.no_input = raw.no_input;
  settings.color = !raw.no_color && environment("NO_COLOR").value_or("").empty() && environment("TERM") != "dumb";
  return settings;
}

absl::StatusOr<ConfigFile> ParseConfigFile(std::string_view text) {
  ConfigFile config;
  for (int number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string line = Trim(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line[0] == '#') continue;
    const std::size_t equals = line.find('=');
    const std::string key = Trim(line.substr(0, equals));
    if (equals == std::string::npos || std::find(kKeys.begin(), kKeys.end(), key) == kKeys.end()) {
      return LocalError(
          "CONFIG_FILE",
          fmt::format("line {}: write \"key = value\" with one of the keys hub, token_file, token, ca_file", number));
    }
    config[key] = Trim(line.substr(equals + 1));
  }
  return config;
}

}  // namespace muster::cli
