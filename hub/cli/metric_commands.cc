#include <fmt/format.h>

#include <string>
#include <vector>

#include "common/status.h"
#include "hub/cli/command_line.h"
#include "hub/cli/commands.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/time_argument.h"
#include "hub/cli/views.h"

namespace muster::cli {
namespace {

using fleet::v1::MetricAggregation;

struct MetricArgs {
  std::string target;
  std::string from;
  std::string to;
  std::string step;
  std::vector<std::string> metrics;
  std::string aggregation;
};

MetricAggregation AggregationOf(const std::string& word) {
  if (word == "min") return fleet::v1::METRIC_AGGREGATION_MINIMUM;
  if (word == "max") return fleet::v1::METRIC_AGGREGATION_MAXIMUM;
  return fleet::v1::METRIC_AGGREGATION_AVERAGE;
}

absl::StatusOr<fleet::v1::QueryHostMetricsRequest> RequestOf(const CommandContext& context, const MetricArgs& args) {
  fleet::v1::QueryHostMetricsRequest request;
  request.set_target(args.target);
  for (const std::string& metric : args.metrics) request.add_metrics(metric);
  RETURN_IF_ERROR(SetWindow(args.from, args.to, context.clock().Now(), &request));
  if (!args.step.empty()) {
    ASSIGN_OR_RETURN(const absl::Duration step, ParseDurationArgument(args.step));
    *request.mutable_step() = ToProto(step);
  }
  request.set_aggregation(AggregationOf(args.aggregation));
  return request;
}

absl::Status PrintCsv(const CommandContext& context, const fleet::v1::QueryHostMetricsResponse& response) {
  RETURN_IF_ERROR(context.console().Write(HostMetricsCsv(response)));
  std::int64_t records = 0;
  for (const auto& gap : response.gaps()) records += gap.records();
  if (records > 0) {
    context.console().WriteError(fmt::format(
        "muster: {} records of the agent are lost in this time, samples among them may be missing\n", records));
  }
  return absl::OkStatus();
}

absl::Status PrintTable(const CommandContext& context, const MetricArgs& args,
                        const fleet::v1::QueryHostMetricsResponse& response) {
  fleet::v1::GetTargetRequest request;
  request.set_target(args.target);
  fleet::v1::GetTargetResponse found;
  absl::Status status = context.client().Call("GetTarget", request, &found);
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  const fleet::v1::Target* target = status.ok() ? &found.target() : nullptr;
  return context.PrintList(response, [&](Page* page) {
    ShowHostMetrics(response, AggregationOf(args.aggregation), target, context.client().HubNow(),
                    context.ListOptions().columns, page);
  });
}

absl::Status Metrics(const CommandContext& context, const MetricArgs& args) {
  ASSIGN_OR_RETURN(const fleet::v1::QueryHostMetricsRequest request, RequestOf(context, args));
  fleet::v1::QueryHostMetricsResponse response;
  const std::string what = fmt::format("metrics of target {}", args.target);
  RETURN_IF_ERROR(Annotate(context.client().Call("QueryHostMetrics", request, &response), what));
  if (context.json()) return context.PrintJson(response);
  if (context.csv()) return PrintCsv(context, response);
  return Annotate(PrintTable(context, args, response), what);
}

}  // namespace

void AddMetricCommands(CLI::App* root, Action* action) {
  auto args = std::make_shared<MetricArgs>();
  CLI::App* metrics = AddCommand(root, "metrics", "How busy and how full a target's host is and was",
                                 {"muster metrics web-01                                the last hour",
                                  "muster metrics web-01 --from \"7d ago\" --aggregation max",
                                  "muster metrics web-01 --metric cpu_usage --metric filesystem_used --step 30s",
                                  "muster metrics web-01 --from 2026-11-21 -o csv > web-01.csv"});
  AddArgument(metrics, "TARGET", &args->target, "Id or name; also of a deleted one");
  AddValue(metrics, "--from", &args->from, "TIME",
           "From then on, else the last hour: 2026-11-21T05:24:21Z, 2026-11-21, \"2h ago\"");
  AddValue(metrics, "--to", &args->to, "TIME", "Only what was before this");
  AddValue(metrics, "--step", &args->step, "DURATION", "A value for each such time, at least 30s; some 120 values");
  metrics->add_option("--metric", args->metrics, "Only this one; may be given several times")
      ->allow_extra_args(false)
      ->option_text("METRIC");
  AddChoice(metrics, "--aggregation", &args->aggregation, {"avg", "min", "max"},
            "What a value says of the samples in its time; avg")
      ->check(CLI::IsMember({"avg", "min", "max"}));
  OnChosen(metrics, action, args, Metrics);
}

}  // namespace muster::cli
