// Feeds bytes to every decoder of the API server's answers, and what they give to the book. Nothing may crash, hang or
// throw, and every text must be one that can be put into a frame.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/object_decode.h"
#include "agent/present.h"
#include "common/text.h"

namespace {

using namespace muster;         // NOLINT: one file
using namespace muster::agent;  // NOLINT

constexpr Moment kNow{.monotonic = Instant::FromDuration(absl::Hours(1)), .wall = absl::FromUnixSeconds(1'800'000'000)};

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

void LookAt(ClusterBook& book, const Moment& now) {
  for (const v1::DeploymentState& state : book.Look(now).deployments) {
    Require(state.key().size() <= kMaxNameBytes && state.message().size() <= kMaxMessageBytes);
    Require(IsValidUtf8(state.key()) && IsValidUtf8(state.message()) && IsValidUtf8(state.application()));
    for (const types::v1::Resource& resource : state.resources()) {
      Require(resource.name().size() <= kMaxNameBytes && IsValidUtf8(resource.name()));
    }
  }
  (void)book.NextChange();
  for (const LogContainer& container : book.LogContainers()) Require(!container.id.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  ClusterBook book;
  for (const KubeKind kind : kKubeKinds) {
    if (const auto page = DecodeKubeList(kind, bytes); page.ok()) {
      for (const KubeObject& object : page->objects) {
        Check(object);
        book.Put(kind, object, kNow);
      }
    }
    const auto event = DecodeKubeWatchLine(kind, bytes);
    if (event.ok() && (event->type == KubeWatchEvent::Type::kPut || event->type == KubeWatchEvent::Type::kDeleted)) {
      Check(event->object);
      book.Put(kind, event->object, kNow);
    }
    LookAt(book, kNow);
  }
  LookAt(book, {.monotonic = kNow.monotonic + absl::Hours(1), .wall = kNow.wall + absl::Hours(1)});
  for (const KubeKind kind : kKubeKinds) {
    for (const std::string& uid : book.Uids(kind)) book.Remove(kind, uid, kNow);
  }
  Require(book.Census() == ContainerCensus());
  Require(IsValidUtf8(KubeStatusMessage(bytes)));
  (void)DecodeKubeVersion(bytes);
  (void)DecodeKubeNodeUsage(bytes);
  (void)DecodeKubePodUsage(bytes);
  (void)ParseKubeMilli(bytes);
  (void)ParseKubeBytes(bytes);
  return 0;
}
