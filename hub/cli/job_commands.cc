#include "common/status.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/views.h"

namespace muster::cli {
namespace {

struct JobArgs {
  std::string target;
  bool overdue = false;
};

absl::Status List(const CommandContext& context, const JobArgs& args) {
  fleet::v1::ListJobsRequest request;
  request.set_target(args.target);
  request.set_only_overdue(args.overdue);
  fleet::v1::ListJobsResponse all;
  RETURN_IF_ERROR(
      Annotate(context.client().List("ListJobs", request, &all, [](const auto& list) { return list.jobs_size(); }),
               "list jobs"));
  return context.PrintList(all, [&](Page* page) { ShowJobs(all, args.overdue, context.client().HubNow(), page); });
}

}  // namespace

void AddJobCommands(CLI::App* root, Action* action) {
  CLI::App* noun = AddNoun(root, "job", "What programs that end pushed on hosts: backups, scripts, builds",
                           {"muster job list", "muster job list --overdue"});
  auto args = std::make_shared<JobArgs>();
  CLI::App* verb = AddCommand(noun, "list", "Lists jobs with their last success and failure",
                              {"muster job list", "muster job list --target web-01", "muster job list --overdue"});
  AddValue(verb, "--target", &args->target, "TARGET", "Only jobs of this one");
  verb->add_flag("--overdue", args->overdue, "Only those that have not succeeded for longer than their period");
  OnChosen(verb, action, args, List);
}

}  // namespace muster::cli
