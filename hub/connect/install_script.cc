#include "hub/connect/install_script.h"

#include <fmt/format.h>

#include "common/status.h"
#include "common/text.h"
#include "hub/connect/connect_command.h"
#include "hub/connect/install_template.h"
#include "hub/connect/template.h"

namespace muster::hub {
namespace {

constexpr std::size_t kMaxNameBytes = 200;

}  // namespace

absl::StatusOr<std::string> RenderInstallScript(const InstallScriptValues& values) {
  // The settings file is read by systemd and by sh.
  RETURN_IF_ERROR(CheckPlain("the hub's agent address", values.hub_grpc_address));
  RETURN_IF_ERROR(CheckPlain("the target id", values.target_id));
  // The name is printed on a terminal.
  const std::string name = EscapeControl(CleanUtf8(values.target_name, kMaxNameBytes));
  return FillTemplate(kInstallTemplate,
                      {
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
