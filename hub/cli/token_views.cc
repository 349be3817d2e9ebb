#include <fmt/format.h>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

Spans TokenState(const fleet::v1::Token& token, absl::Time now) {
  if (token.has_revoke_time()) return {Span(fmt::format("○ revoked {}", TimeText(token.revoke_time())), Tone::kQuiet)};
  if (!token.has_expire_time()) return {Span("● valid", Tone::kGood)};
  const absl::Duration left = FromProto(token.expire_time()) - now;
  if (left <= absl::ZeroDuration()) return {Span(fmt::format("○ expired {} ago", FormatAge(-left)), Tone::kQuiet)};
  return {Span(fmt::format("● valid for {}", FormatAge(left)), Tone::kGood)};
}

}  // namespace

void ShowTokens(const fleet::v1::ListTokensResponse& response, absl::Time now, Page* page) {
  Table table({"NAME", "ID", "ROLE", "CUSTOMER", "STATE", "CREATED"});
  for (const auto& token : response.tokens()) {
    table.Add({{Span(token.name(), Tone::kStrong)},
               {Span(token.id())},
               {Span(RoleWord(token.role()))},
               {Span(token.customer())},
               TokenState(token, now),
               {Span(token.has_create_time() ? TimeText(token.create_time()) : "")}});
  }
  if (table.empty()) page->Line("No tokens.");
  page->Add(table);
}

void ShowAuditEntries(const fleet::v1::ListAuditEntriesResponse& response, Page* page) {
  Table table({"NUMBER", "TIME", "ACTOR", "ACTION", "SUBJECT", "DETAIL"});
  for (const auto& entry : response.entries()) {
    table.Add({{Span(std::to_string(entry.sequence()))},
               {Span(TimeText(entry.time()))},
               {Span(entry.actor(), Tone::kStrong)},
               {Span(entry.action())},
               {Span(entry.subject())},
               {Span(entry.detail())}});
  }
  if (table.empty()) page->Line("No entries.");
  page->Add(table);
}

}  // namespace muster::cli
