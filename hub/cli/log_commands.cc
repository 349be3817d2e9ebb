#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <string>
#include <vector>

#include "common/backoff.h"
#include "common/status.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/log_follow.h"
#include "hub/cli/log_query.h"
#include "hub/cli/time_argument.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

constexpr int kDefaultTail = 100;
// They are held until all are there: some 20 MB of common lines.
constexpr int kMaxTail = 100'000;
// The hub's own limits.
constexpr int kMaxFollowTail = 1000;
constexpr int kMaxContextLines = 50;
// With header and legend these fit a screen of 24 rows.
constexpr int kVolumeRows = 20;

struct LogArgs {
  std::string subject;
  bool agent = false;
  std::vector<std::string> resources;
  std::string stream;
  std::string level;
  std::string revision;
  std::string from;
  std::string to;
  std::string filter;
  std::string text;
  int context_lines = 0;
  std::optional<int> tail;
  bool follow = false;
  bool reverse = false;
  std::string ansi;
  std::string export_format;
  bool volume = false;
  bool list = false;
};

// What is asked for, as bits.
enum Mode : unsigned { kLines = 1, kFollow = 2, kExport = 4, kVolume = 8, kList = 16 };

absl::StatusOr<Mode> ModeOf(const LogArgs& args) {
  std::vector<Mode> modes;
  if (args.follow) modes.push_back(kFollow);
  if (!args.export_format.empty()) modes.push_back(kExport);
  if (args.volume) modes.push_back(kVolume);
  if (args.list) modes.push_back(kList);
  if (modes.size() > 1) return UsageError("logs: give one of --follow, --export, --volume and --resources");
  return modes.empty() ? kLines : modes.front();
}

std::string_view ModeOption(Mode mode) {
  switch (mode) {
    case kFollow:
      return "--follow";
    case kExport:
      return "--export";
    case kVolume:
      return "--volume";
    case kList:
      return "--resources";
    case kLines:
      break;
  }
  return "";
}

// Options that would mean nothing are refused, not ignored.
absl::Status CheckOptions(const LogArgs& args, Mode mode) {
  const struct {
    std::string_view name;
    bool given;
    unsigned modes;
  } options[] = {
      {"--resource", !args.resources.empty(), kLines | kFollow | kExport | kVolume},
      {"--stream", !args.stream.empty(), kLines | kFollow | kExport | kVolume},
      {"--level", !args.level.empty(), kLines | kFollow | kExport | kVolume},
      {"--revision", !args.revision.empty(), kLines | kFollow | kExport | kVolume},
      {"--filter", !args.filter.empty(), kLines | kFollow | kExport | kVolume},
      {"--text", !args.text.empty(), kLines | kFollow | kExport | kVolume},
      {"--from", !args.from.empty(), kLines | kFollow | kExport | kVolume},
      {"--to", !args.to.empty(), kLines | kExport | kVolume},
      {"--context", args.context_lines > 0, kLines},
      {"--tail", args.tail.has_value(), kLines | kFollow},
      {"--reverse", args.reverse, kLines},
      {"--ansi", !args.ansi.empty(), kLines | kFollow},
  };
  for (const auto& option : options) {
    if (option.given && (option.modes & mode) == 0) {
      return UsageError(
          fmt::format("logs: {} means nothing with {}; leave one of them out", option.name, ModeOption(mode)));
    }
  }
  if (!args.filter.empty() && !args.text.empty()) return UsageError("logs: give one of --filter and --text");
  if (mode != kFollow) return absl::OkStatus();
  if (args.tail.has_value() && !args.from.empty()) {
    return UsageError("logs: --follow begins with the last lines or at a time; give one of --tail and --from");
  }
  if (args.tail.value_or(0) > kMaxFollowTail) {
    return UsageError(
        fmt::format("logs: --follow begins with at most {} lines; for more give --from TIME", kMaxFollowTail));
  }
  return absl::OkStatus();
}

std::string What(const LogArgs& args) {
  return args.agent ? fmt::format("log of the agent of {}", args.subject)
                    : fmt::format("logs of deployment {}", args.subject);
}

template <typename Message>
void SetSubject(const LogArgs& args, Message* message) {
  if (args.agent) {
    message->set_target(args.subject);
  } else {
    message->set_deployment(args.subject);
  }
}

absl::StatusOr<fleet::v1::LogSelection> Selection(const CommandContext& context, const LogArgs& args) {
  fleet::v1::LogSelection selection;
  SetSubject(args, &selection);
  for (const std::string& resource : args.resources) selection.add_resources(resource);
  if (!args.stream.empty()) {
    ASSIGN_OR_RETURN(const types::v1::LogStream stream, ParseLogStream(args.stream));
    selection.set_stream(stream);
  }
  if (!args.level.empty()) {
    ASSIGN_OR_RETURN(const std::vector<types::v1::LogLevel> levels, ParseLogLevels(args.level));
    for (const auto level : levels) selection.add_levels(level);
  }
  selection.set_revision(args.revision);
  RETURN_IF_ERROR(SetWindow(args.from, args.to, context.clock().Now(), &selection));
  if (!args.filter.empty()) selection.set_regex(args.filter);
  if (!args.text.empty()) selection.set_text(args.text);
  return selection;
}

// RE2 ends its words with the part it stumbled over; this says where that is.
absl::Status WithPlace(const absl::Status& status, const std::string& expression) {
  if (ReasonOf(status) != "BAD_FILTER") return status;
  const std::string message = MessageOf(status);
  const std::size_t colon = message.rfind(": ");
  if (colon == std::string::npos) return status;
  const std::string part = message.substr(colon + 2);
  const std::size_t place = expression.find(part);
  if (part.empty() || part == expression || place == std::string::npos ||
      expression.find(part, place + 1) != std::string::npos) {
    return status;
  }
  return MakeError(status.code(), ReasonOf(status), fmt::format("{}, at byte {} of --filter", message, place + 1));
}

AnsiColors Colors(const CommandContext& context, const LogArgs& args) {
  if (args.ansi == "keep") return AnsiColors::kKeep;
  return args.ansi != "strip" && context.TextOptions().color ? AnsiColors::kKeep : AnsiColors::kStrip;
}

absl::Status ShowLines(const CommandContext& context, const LogArgs& args, fleet::v1::LogSelection selection,
                       LogPrinter* printer) {
  LogQuery query;
  query.selection = std::move(selection);
  query.limit = args.tail.value_or(args.from.empty() ? kDefaultTail : 0);
  query.newest_first = args.reverse;
  query.context_lines = args.context_lines;
  if (args.tail == 0) return UsageError("logs: --tail 0 shows nothing; it is for --follow");
  return QueryLogs(context, query, printer);
}

absl::Status Follow(const CommandContext& context, const LogArgs& args, fleet::v1::LogSelection selection,
                    LogPrinter* printer) {
  fleet::v1::TailLogsRequest request;
  *request.mutable_selection() = std::move(selection);
  request.set_last_lines(args.tail.value_or(args.from.empty() ? kDefaultTail : 0));
  return LogFollow(context, std::move(request), printer, Backoff(LastingStream::kRetry, SystemUniform())).Run();
}

absl::Status Export(const CommandContext& context, const LogArgs& args, fleet::v1::LogSelection selection) {
  if (context.json()) return UsageError("logs: --export says the format itself; leave -o json out");
  if (context.console().OutputIsTerminal()) {
    return UsageError(
        "logs: an export has each byte as the container wrote it, which is not for a terminal; add > FILE");
  }
  fleet::v1::ExportLogsRequest request;
  *request.mutable_selection() = std::move(selection);
  request.set_format(args.export_format == "text" ? fleet::v1::LOG_EXPORT_FORMAT_TEXT
                                                  : fleet::v1::LOG_EXPORT_FORMAT_JSON_LINES);
  return ExportLogs(context, request);
}

absl::Status Volume(const CommandContext& context, fleet::v1::LogSelection selection) {
  fleet::v1::GetLogVolumeRequest request;
  *request.mutable_selection() = std::move(selection);
  if (!context.json()) request.set_parts(kVolumeRows);
  fleet::v1::GetLogVolumeResponse response;
  RETURN_IF_ERROR(context.client().Call("GetLogVolume", request, &response));
  RETURN_IF_ERROR(context.PrintList(response, [&](Page* page) { ShowLogVolume(response, page); }));
  if (response.has_stop()) {
    context.console().WriteError(
        fmt::format("muster: counting stopped at a limit of the hub, at {}; for the rest ask for less with --from and "
                    "--to\n",
                    TimeText(response.stop().reached_time())));
  }
  return absl::OkStatus();
}

absl::Status List(const CommandContext& context, const LogArgs& args) {
  fleet::v1::ListLogResourcesRequest request;
  SetSubject(args, &request);
  fleet::v1::ListLogResourcesResponse response;
  RETURN_IF_ERROR(context.client().Call("ListLogResources", request, &response));
  return context.PrintList(response, [&](Page* page) { ShowLogResources(response, page); });
}

absl::Status RunMode(const CommandContext& context, const LogArgs& args, Mode mode) {
  if (mode == kList) return List(context, args);
  ASSIGN_OR_RETURN(fleet::v1::LogSelection selection, Selection(context, args));
  if (mode == kExport) return Export(context, args, std::move(selection));
  if (mode == kVolume) return Volume(context, std::move(selection));
  LogPrinter printer(context, {.color = context.TextOptions().color,
                               .ansi = Colors(context, args),
                               .resources = !args.agent && args.resources.size() != 1,
                               .marks_hits = args.context_lines > 0});
  if (mode == kFollow) return Follow(context, args, std::move(selection), &printer);
  return ShowLines(context, args, std::move(selection), &printer);
}

absl::Status Logs(const CommandContext& context, const LogArgs& args) {
  ASSIGN_OR_RETURN(const Mode mode, ModeOf(args));
  RETURN_IF_ERROR(CheckOptions(args, mode));
  absl::Status done = RunMode(context, args, mode);
  if (ExitCodeFor(done) == ExitCode::kUsage) return done;
  return Annotate(WithPlace(done, args.filter), What(args));
}

void AddResourceOptions(CLI::App* command, LogArgs* args) {
  command->add_option("--resource", args->resources, "Only this container; may be given several times")
      ->allow_extra_args(false)
      ->option_text("RESOURCE");
  AddChoice(command, "--stream", &args->stream, LogStreamWords(), "Only what went there")
      ->check(CLI::IsMember(LogStreamWords()));
  AddValue(command, "--revision", &args->revision, "REVISION", "Only lines of this revision of the deployment");
}

void AddLineOptions(CLI::App* command, LogArgs* args) {
  AddChoice(command, "--level", &args->level, LogLevelWords(), "This level and above; just these: error,warn");
  AddValue(command, "--from", &args->from, "TIME",
           "From then on, to the end: 2026-11-21T05:24:21Z, 2026-11-21, \"2h ago\"");
  AddValue(command, "--to", &args->to, "TIME", "Only what was before this");
  AddValue(command, "--filter", &args->filter, "REGEX", "Lines in which this RE2 expression is found");
  AddValue(command, "--text", &args->text, "TEXT", "Lines that contain this, in any case");
  command->add_option("-C,--context", args->context_lines, "So many lines around each hit, which then begins with >")
      ->check(CLI::Range(0, kMaxContextLines))
      ->option_text("N");
  command->add_option("--tail", args->tail, "The last so many lines; 100 when there is no --from")
      ->check(CLI::Range(0, kMaxTail))
      ->option_text("N");
  command->add_flag("-f,--follow", args->follow, "Go on with what comes until interrupted");
  command->add_flag("--reverse", args->reverse, "Newest first");
  AddChoice(command, "--ansi", &args->ansi, {"auto", "keep", "strip"},
            "Colours within lines: as the terminal may have them, always, never")
      ->check(CLI::IsMember({"auto", "keep", "strip"}));
  AddChoice(command, "--export", &args->export_format, {"text", "jsonl"}, "All lines, for a file")
      ->check(CLI::IsMember({"text", "jsonl"}));
  command->add_flag("--volume", args->volume, "How many lines there were when, by level");
  command->add_flag("--resources", args->list, "What has lines, and since when");
}

}  // namespace

void AddLogCommands(CLI::App* root, Action* action) {
  auto args = std::make_shared<LogArgs>();
  CLI::App* logs = AddCommand(root, "logs", "What a deployment's containers wrote",
                              {"muster logs web-01/shop                              the last 100 lines",
                               "muster logs web-01/shop -f --level warn              what comes, warnings and worse",
                               "muster logs web-01/shop --from \"2h ago\" --text refused -C 3",
                               "muster logs web-01/shop --from 2026-11-21 --volume   when, how much, how bad",
                               "muster logs web-01/shop --export jsonl > shop.jsonl"});
  AddArgument(logs, "DEPLOYMENT", &args->subject,
              "Id, TARGET/NAME, or a name that occurs once; of one that is gone id or TARGET/NAME");
  AddResourceOptions(logs, args.get());
  AddLineOptions(logs, args.get());
  OnChosen(logs, action, args, Logs);

  auto agent_args = std::make_shared<LogArgs>();
  agent_args->agent = true;
  CLI::App* agent =
      AddCommand(root, "agent-logs", "What a target's agent logged itself",
                 {"muster agent-logs web-01", "muster agent-logs web-01 --level error --from \"1d ago\""});
  AddArgument(agent, "TARGET", &agent_args->subject, "Id or name; also of a deleted one");
  AddLineOptions(agent, agent_args.get());
  OnChosen(agent, action, agent_args, Logs);
}

}  // namespace muster::cli
