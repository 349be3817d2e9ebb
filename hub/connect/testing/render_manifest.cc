// muster_render_manifest QUERY TARGET_NAME [CA_FILE]: prints what the hub answers to a connect line for Kubernetes, or
// with "refuse" in the place of QUERY a refusal that says TARGET_NAME. For tests that read it as kubectl does.
#include <cstdio>
#include <string_view>

#include "common/files.h"
#include "common/status.h"
#include "hub/connect/kubernetes_manifest.h"

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::string text;
  if (std::string_view(argv[1]) == "refuse") {
    text = muster::hub::RefusalManifest(argv[2]);
  } else {
    const auto choice = muster::hub::ReadKubernetesChoice(argv[1]);
    if (!choice.ok()) {
      std::fprintf(stderr, "%s\n", std::string(muster::MessageOf(choice.status())).c_str());
      return 1;
    }
    const auto manifest = muster::hub::RenderKubernetesManifest({
        .hub_url = "https://hub.example.com:8080",
        .hub_grpc_address = "hub.example.com:7443",
        .target_id = "tgt_1",
        .target_name = argv[2],
        .secret = muster::Secret("mst_test"),
        .ca_pem = argc > 3 ? muster::ReadFile(argv[3]).value_or("") : "",
        .image = "muster-agent:test",
        .choice = *choice,
    });
    if (!manifest.ok()) return 1;
    text = *manifest;
  }
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? 0 : 1;
}
