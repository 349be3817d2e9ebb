#include <fmt/format.h>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/time_argument.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

struct TokenArgs {
  std::string token;
  std::string role;
  std::string customer;
  std::string expires;
};

struct AuditArgs {
  int limit = 0;
};

absl::Status Create(const CommandContext& context, const TokenArgs& args) {
  fleet::v1::CreateTokenRequest request;
  request.set_name(args.token);
  ASSIGN_OR_RETURN(const fleet::v1::Role role, ParseRole(args.role));
  request.set_role(role);
  request.set_customer(args.customer);
  if (!args.expires.empty()) {
    ASSIGN_OR_RETURN(const absl::Duration time_to_live, ParseDurationArgument(args.expires));
    *request.mutable_time_to_live() = ToProto(time_to_live);
  }
  fleet::v1::CreateTokenResponse response;
  RETURN_IF_ERROR(
      Annotate(context.client().Call("CreateToken", request, &response), fmt::format("create token {}", args.token)));
  return context.PrintText(response, [&](Page* page) {
    const fleet::v1::Token& token = response.token();
    page->Line(fmt::format("Token {} ({}) is created{}.", token.name(), RoleWord(token.role()),
                           token.has_expire_time() ? fmt::format(" and ends {}", TimeText(token.expire_time())) : ""));
    page->Blank();
    page->Line(response.secret());
    page->Blank();
    page->Line("It is shown this once. Keep it in a file with mode 0600 and use it with --token-file.");
  });
}

absl::Status ListTokens(const CommandContext& context, const TokenArgs& /*args*/) {
  fleet::v1::ListTokensResponse all;
  RETURN_IF_ERROR(Annotate(context.client().List("ListTokens", fleet::v1::ListTokensRequest(), &all,
                                                 [](const auto& list) { return list.tokens_size(); }),
                           "list tokens"));
  return context.PrintList(all, [&](Page* page) { ShowTokens(all, context.client().HubNow(), page); });
}

absl::Status Revoke(const CommandContext& context, const TokenArgs& args) {
  fleet::v1::RevokeTokenRequest request;
  request.set_token(args.token);
  fleet::v1::RevokeTokenResponse response;
  RETURN_IF_ERROR(
      Annotate(context.client().Call("RevokeToken", request, &response), fmt::format("revoke token {}", args.token)));
  return context.PrintText(response, [&](Page* page) { page->Line(fmt::format("Token {} is revoked.", args.token)); });
}

absl::Status ListAudit(const CommandContext& context, const AuditArgs& args) {
  fleet::v1::ListAuditEntriesResponse all;
  RETURN_IF_ERROR(Annotate(context.client().List(
                               "ListAuditEntries", fleet::v1::ListAuditEntriesRequest(), &all,
                               [](const auto& list) { return list.entries_size(); }, args.limit),
                           "list the audit log"));
  return context.PrintList(all, [&](Page* page) { ShowAuditEntries(all, page); });
}

absl::Status VerifyAudit(const CommandContext& context, const AuditArgs& /*args*/) {
  fleet::v1::VerifyAuditLogResponse response;
  RETURN_IF_ERROR(Annotate(context.client().Call("VerifyAuditLog", fleet::v1::VerifyAuditLogRequest(), &response),
                           "verify the audit log"));
  RETURN_IF_ERROR(context.PrintText(response, [&](Page* page) {
    if (response.intact()) {
      page->Line(
          {Span("● intact", Tone::kGood), Span(fmt::format("  {} entries, each hash matches", response.entries()))});
    } else {
      page->Line({Span("✖ not intact", Tone::kBad),
                  Span(fmt::format("  {} entries, the first that does not match is number {}", response.entries(),
                                   response.first_bad_sequence()))});
    }
  }));
  if (response.intact()) return absl::OkStatus();
  return CheckNegative(
      "AUDIT_LOG_NOT_INTACT",
      fmt::format("verify the audit log: entry {} was changed after it was written; compare with a backup",
                  response.first_bad_sequence()));
}

void AddCreate(CLI::App* noun, Action* action) {
  auto args = std::make_shared<TokenArgs>();
  CLI::App* verb = AddCommand(noun, "create", "Makes an API token and prints it once",
                              {"muster token create grafana --role viewer",
                               "muster token create bakery --role operator --customer \"Blue Bakery\" --expires 90d"});
  AddArgument(verb, "NAME", &args->token, "The new token's name");
  AddChoice(verb, "--role", &args->role, RoleWords(), "What it allows")->required();
  AddValue(verb, "--customer", &args->customer, "CUSTOMER", "Limit it to this customer organization");
  AddValue(verb, "--expires", &args->expires, "DURATION", "Ends after this long: 12h, 90d; else never");
  OnChosen(verb, action, args, Create);
}

}  // namespace

void AddTokenCommands(CLI::App* root, Action* action) {
  CLI::App* token =
      AddNoun(root, "token", "API tokens", {"muster token create grafana --role viewer", "muster token list"});
  AddCreate(token, action);
  OnChosen(AddCommand(token, "list", "Lists the tokens, without their secrets", {"muster token list"}), action,
           std::make_shared<TokenArgs>(), ListTokens);
  auto args = std::make_shared<TokenArgs>();
  CLI::App* revoke = AddCommand(token, "revoke", "Ends a token at once", {"muster token revoke grafana"});
  AddArgument(revoke, "TOKEN", &args->token, "Id or name");
  OnChosen(revoke, action, args, Revoke);

  CLI::App* audit = AddNoun(root, "audit", "Who changed what", {"muster audit list --limit 20", "muster audit verify"});
  auto list_args = std::make_shared<AuditArgs>();
  CLI::App* list = AddCommand(audit, "list", "Lists the audit log, newest first", {"muster audit list --limit 20"});
  AddLimit(list, &list_args->limit, "At most so many entries");
  OnChosen(list, action, list_args, ListAudit);
  OnChosen(AddCommand(audit, "verify", "Checks the audit log's hash chain; exit code 5 when it is damaged",
                      {"muster audit verify"}),
           action, std::make_shared<AuditArgs>(), VerifyAudit);
}

}  // namespace muster::cli
