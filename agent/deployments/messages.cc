#include "agent/deployments/messages.h"

#include <fmt/format.h>

#include "agent/present.h"
#include "common/text.h"

namespace muster::agent {
namespace {

enum class Detail { kFull, kWithoutOutput };

std::string Sentence(const Complaint& complaint, Detail detail) {
  if (complaint.output.empty() || detail == Detail::kWithoutOutput) {
    return fmt::format("{} {}", complaint.name, complaint.reason);
  }
  return fmt::format("{} {}: {}", complaint.name, complaint.reason, complaint.output);
}

// Names as many as fit, and says how many do not. A name can be longer than the whole message.
std::string JoinBounded(const std::vector<Complaint>& complaints) {
  constexpr std::size_t kRoomForMore = 24;
  std::string joined;
  for (std::size_t i = 0; i < complaints.size(); ++i) {
    const std::string sentence = (i == 0 ? "" : "; ") + Sentence(complaints[i], Detail::kWithoutOutput);
    const std::size_t room = kMaxMessageBytes - (i + 1 < complaints.size() ? kRoomForMore : 0);
    if (joined.size() + sentence.size() > room) {
      if (i == 0) return CleanUtf8(sentence, kMaxMessageBytes);
      return fmt::format("{}; and {} more", joined, complaints.size() - i);
    }
    joined += sentence;
  }
  return joined;
}

}  // namespace

std::string MessageAbout(const std::vector<Complaint>& complaints) {
  std::string full;
  for (const Complaint& complaint : complaints) {
    if (!full.empty()) full += "; ";
    full += Sentence(complaint, Detail::kFull);
    if (full.size() > kMaxMessageBytes) return JoinBounded(complaints);
  }
  return full;
}

// An exit code above 128 is a signal's number plus 128, by the shells' convention that the engines follow.
std::string ExitReason(int code) {
  switch (code) {
    case 125:
      return "exited with code 125 (the engine could not run it)";
    case 126:
      return "exited with code 126 (the command cannot be executed)";
    case 127:
      return "exited with code 127 (command not found)";
    case 134:
      return "exited with code 134 (aborted by SIGABRT)";
    case 137:
      return "exited with code 137 (stopped by SIGKILL)";
    case 139:
      return "exited with code 139 (crashed by SIGSEGV)";
    case 143:
      return "exited with code 143 (stopped by SIGTERM)";
    default:
      return fmt::format("exited with code {}", code);
  }
}

}  // namespace muster::agent
