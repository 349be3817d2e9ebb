#include "hub/connect/connect_command.h"

#include <fmt/format.h>

namespace muster::hub {

std::string ConnectCommand(const ConnectCommandOptions& options, std::string_view code) {
  std::string_view url = options.public_url;
  while (!url.empty() && url.back() == '/') url.remove_suffix(1);
  const std::string pin = options.spki_sha256_base64.empty()
                              ? ""
                              : fmt::format("-k --pinnedpubkey 'sha256//{}' ", options.spki_sha256_base64);
  return fmt::format("curl -sS {}{} | sudo sh", pin, ShellQuote(fmt::format("{}/connect/{}", url, code)));
}

std::string ShellQuote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else if (c != '\0') {
      quoted += c;
    }
  }
  quoted += '\'';
  return quoted;
}

}  // namespace muster::hub
