// Any bytes as requests: whole and in two pieces they say the same, and what is understood keeps its limits.
#include <cstdint>
#include <cstdlib>

#include "agent/jobs/push_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace muster::agent;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<PushRequest> whole;
  std::vector<PushRequest> pieces;
  PushParser first;
  first.Feed(text, &whole);
  PushParser second;
  const std::size_t cut = size == 0 ? 0 : data[0] % (size + 1);
  second.Feed(text.substr(0, cut), &pieces);
  second.Feed(text.substr(cut), &pieces);
  if (whole.size() != pieces.size()) std::abort();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    if (whole[i].kind != pieces[i].kind || whole[i].error != pieces[i].error) std::abort();
    if (whole[i].push.samples.size() > kMaxPushStatements) std::abort();
    if (whole[i].kind == PushRequest::Kind::kPush && whole[i].push.group.empty()) std::abort();
  }
  return 0;
}
