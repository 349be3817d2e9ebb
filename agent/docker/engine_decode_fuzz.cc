// Feeds bytes to every decoder of the engine's answers and to the line splitter. Nothing may crash, hang or throw, and
// whatever is decoded must be text that can be put into a frame.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/docker/deployment_book.h"
#include "agent/docker/engine_decode.h"
#include "agent/http/line_splitter.h"
#include "common/text.h"

namespace {

using namespace muster;         // NOLINT: one file
using namespace muster::agent;  // NOLINT

constexpr Moment kNow{.monotonic = Instant::FromDuration(absl::Hours(1)), .wall = absl::FromUnixSeconds(1'800'000'000)};

void Require(bool condition) {
  if (!condition) std::abort();
}

void LookAt(DeploymentBook& book) {
  for (const v1::DeploymentState& state : book.Look(kNow).deployments) {
    Require(state.key().size() <= kMaxNameBytes && state.message().size() <= kMaxMessageBytes);
    Require(state.application().size() <= kMaxNameBytes && state.application_version().size() <= kMaxNameBytes);
    Require(IsValidUtf8(state.SerializeAsString().empty() ? "" : state.key() + state.message() + state.application()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  DeploymentBook book;
  if (auto list = DecodeList(bytes); list.ok()) {
    for (Container& container : list->containers) book.Put(std::move(container), kNow);
  }
  if (auto container = DecodeInspect(bytes); container.ok()) book.Put(*std::move(container), kNow);
  LookAt(book);
  LineSplitter splitter(64);
  for (const std::string& line : splitter.Feed(bytes)) {
    if (const auto event = DecodeEvent(line); event.ok()) book.OnEvent(*event, kNow);
  }
  if (const auto stats = DecodeStats(bytes); stats.ok()) {
    Require(stats->cpu_seconds >= 0 && stats->memory_bytes >= 0 && stats->memory_limit_bytes >= 0);
  }
  if (const auto version = DecodeVersion(bytes); version.ok()) Require(IsValidUtf8(version->version));
  LookAt(book);
  return 0;
}
