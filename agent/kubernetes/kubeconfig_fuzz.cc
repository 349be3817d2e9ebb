// Feeds bytes to the reader of kubeconfigs. Nothing may crash, hang or throw, and errors are text that can be logged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/kubernetes/kubeconfig.h"
#include "agent/kubernetes/yaml_tree.h"
#include "common/status.h"
#include "common/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tree = muster::agent::ParseYaml(text);
  const auto config = muster::agent::DecodeKubeconfig(text);
  if (config.ok() && (!tree.ok() || config->host.empty() || config->port == 0)) std::abort();
  if (!config.ok() && !muster::IsValidUtf8(muster::MessageOf(config.status()))) std::abort();
  return 0;
}
