// Feeds bytes to every decoder of the API server's answers, and what they give to the rules. Nothing may crash, hang or
// throw, and every text must be one that can be put into a frame.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/kubernetes/object_decode.h"
#include "common/text.h"

namespace {

using namespace muster;         // NOLINT: one file
using namespace muster::agent;  // NOLINT

void Require(bool condition) {
  if (!condition) std::abort();
}

void Check(const KubeObject& object) {
  const KubeMeta& meta = MetaOf(object);
  Require(!meta.uid.empty() && !meta.name.empty());
  Require(IsValidUtf8(meta.name) && meta.name.size() <= kMaxKubeTextBytes);
  if (const auto* pod = std::get_if<KubePod>(&object)) {
    Require(pod->containers.size() <= kMaxKubeParts && pod->conditions.size() <= kMaxKubeParts);
    Require(IsValidUtf8(pod->message) && pod->message.size() <= kMaxKubeMessageBytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const KubeKind kind : kKubeKinds) {
    if (const auto page = DecodeKubeList(kind, bytes); page.ok()) {
      for (const KubeObject& object : page->objects) Check(object);
    }
    const auto event = DecodeKubeWatchLine(kind, bytes);
    if (event.ok() && (event->type == KubeWatchEvent::Type::kPut || event->type == KubeWatchEvent::Type::kDeleted)) {
      Check(event->object);
    }
  }
  Require(IsValidUtf8(KubeStatusMessage(bytes)));
  (void)DecodeKubeVersion(bytes);
  (void)DecodeKubeNodeUsage(bytes);
  (void)DecodeKubePodUsage(bytes);
  (void)ParseKubeMilli(bytes);
  (void)ParseKubeBytes(bytes);
  return 0;
}
