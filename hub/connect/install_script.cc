#include "hub/connect/install_script.h"

#include <fmt/format.h>

#include <cctype>
#include <map>

#include "common/status.h"
#include "common/text.h"
#include "hub/connect/connect_command.h"
#include "hub/connect/install_template.h"

namespace muster::hub {
namespace {

constexpr std::size_t kMaxNameBytes = 200;

// The settings file is read by systemd and by sh: only characters that mean themselves to both.
absl::Status CheckPlain(std::string_view what, std::string_view value) {
  constexpr std::string_view kAllowed = ".:_-[]";
  for (const char c : value) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && kAllowed.find(c) == std::string_view::npos) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "INSTALL_VALUE",
                       fmt::format("{} {:?} has characters that the install script cannot carry", what, value));
    }
  }
  return absl::OkStatus();
}

// Replaces each @NAME@ of the template by its value, once: a value that looks like a placeholder stays as it is.
std::string Fill(std::string_view text, const std::map<std::string, std::string, std::less<>>& values) {
  std::string filled;
  while (true) {
    const std::size_t begin = text.find('@');
    const std::size_t end = begin == std::string_view::npos ? begin : text.find('@', begin + 1);
    if (end == std::string_view::npos) return filled += text;
    const auto value = values.find(text.substr(begin + 1, end - begin - 1));
    filled += text.substr(0, begin);
    if (value == values.end()) {
      filled += '@';
      text.remove_prefix(begin + 1);
    } else {
      filled += value->second;
      text.remove_prefix(end + 1);
    }
  }
}

}  // namespace

absl::StatusOr<std::string> RenderInstallScript(const InstallScriptValues& values) {
  RETURN_IF_ERROR(CheckPlain("the hub's agent address", values.hub_grpc_address));
  RETURN_IF_ERROR(CheckPlain("the target id", values.target_id));
  // The name is printed on a terminal.
  const std::string name = EscapeControl(CleanUtf8(values.target_name, kMaxNameBytes));
  return Fill(kInstallTemplate, {
                                    {"HUB_URL", ShellQuote(values.hub_url)},
                                    {"HUB_GRPC", ShellQuote(values.hub_grpc_address)},
                                    {"TARGET_ID", ShellQuote(values.target_id)},
                                    {"TARGET_NAME", ShellQuote(name)},
                                    {"TARGET_TYPE", ShellQuote(values.target_type)},
                                    {"TARGET_SECRET", ShellQuote(values.secret.Reveal())},
                                    {"CA_PEM", ShellQuote(values.ca_pem)},
                                    {"PIN", ShellQuote(values.spki_sha256_base64)},
                                    {"INSECURE", ShellQuote(values.insecure ? "true" : "")},
                                    {"VERSION", ShellQuote(values.version)},
                                    {"ARCH", ShellQuote(values.binary_arch)},
                                    {"SHA256", ShellQuote(values.binary_sha256)},
                                    {"HUB_TIME", ShellQuote(fmt::format("{}", absl::ToUnixSeconds(values.hub_time)))},
                                    {"SYSTEMD_UNIT", kSystemdUnit},
                                    {"SUPERVISOR", kSupervisorTemplate},
                                });
}

std::string RefusalScript(std::string_view message) {
  return fmt::format("#!/bin/sh\nprintf '%s\\n' {} >&2\nexit 1\n",
                     ShellQuote(fmt::format("muster: {}", EscapeControl(message))));
}

}  // namespace muster::hub
