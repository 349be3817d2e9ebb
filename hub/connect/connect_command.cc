#include "hub/connect/connect_command.h"

#include <fmt/format.h>

namespace muster::hub {

std::string ConnectCommand(const ConnectCommandOptions& options, types::v1::TargetType type, std::string_view code) {
  std::string_view url = options.public_url;
  while (!url.empty() && url.back() == '/') url.remove_suffix(1);
  const std::string pin = options.spki_sha256_base64.empty()
                              ? ""
                              : fmt::format("-k --pinnedpubkey 'sha256//{}' ", options.spki_sha256_base64);
  const std::string address = fmt::format("{}/connect/{}", url, code);
  if (type == types::v1::TARGET_TYPE_KUBERNETES) {
    return fmt::format("curl -sS {}{} | kubectl apply -n NAMESPACE -f -", pin,
                       ShellQuote(address + "?scope=namespace"));
  }
  return fmt::format("curl -sS {}{} | sudo sh", pin, ShellQuote(address));
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
