#include "hub/cli/command_context.h"

#include <fmt/format.h>

#include "common/files.h"
#include "common/status.h"
#include "common/text.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {

RenderOptions CommandContext::TextOptions() const {
  return RenderOptions{.color = settings_.color && console_->OutputIsTerminal(), .columns = 0};
}

RenderOptions CommandContext::ListOptions() const {
  RenderOptions options = TextOptions();
  if (console_->OutputIsTerminal()) options.columns = console_->Size().columns;
  return options;
}

absl::Status CommandContext::PrintJson(const google::protobuf::Message& message) const {
  ASSIGN_OR_RETURN(std::string json, ToJson(message));
  json += '\n';
  return console_->Write(json);
}

absl::Status CommandContext::Print(const google::protobuf::Message& message, const std::function<void(Page*)>& view,
                                   const RenderOptions& options) const {
  if (json()) return PrintJson(message);
  Page page;
  view(&page);
  return console_->Write(page.Render(options));
}

absl::Status CommandContext::PrintList(const google::protobuf::Message& message,
                                       const std::function<void(Page*)>& view) const {
  return Print(message, view, ListOptions());
}

absl::Status CommandContext::PrintText(const google::protobuf::Message& message,
                                       const std::function<void(Page*)>& view) const {
  return Print(message, view, TextOptions());
}

absl::Status CommandContext::Confirm(std::string_view name, std::string_view confirmed,
                                     std::string_view question) const {
  if (!confirmed.empty()) {
    if (confirmed == name) return absl::OkStatus();
    return UsageError(fmt::format("--confirm {} is not the name {}; nothing was changed", confirmed, name));
  }
  if (settings_.no_input || !console_->InputIsTerminal()) {
    return UsageError(fmt::format("{}: this needs a confirmation; add --confirm {}", question, name));
  }
  console_->WriteError(fmt::format("{}.\nType the name {} to go on: ", EscapeControl(question), EscapeControl(name)));
  auto answer = console_->ReadLine();
  if (!answer.ok()) {
    if (IsInterrupted(answer.status())) return answer.status();
    return UsageError(fmt::format("{}: {}; nothing was changed", question, MessageOf(answer.status())));
  }
  if (Trim(*answer) == name) return absl::OkStatus();
  return MakeError(absl::StatusCode::kAborted, "NOT_CONFIRMED",
                   fmt::format("the answer is not {}; nothing was changed", name));
}

}  // namespace muster::cli
