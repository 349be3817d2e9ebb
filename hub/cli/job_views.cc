#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::Job;

// What matters most: a job that is late is late, however its last run ended.
Span JobState(const Job& job) {
  const bool failed_last =
      job.has_last_failure_time() &&
      (!job.has_last_success_time() || FromProto(job.last_failure_time()) > FromProto(job.last_success_time()));
  if (job.is_overdue()) return {"▲ overdue", Tone::kWarning};
  if (failed_last) return {"✖ failed", Tone::kBad};
  if (job.is_expired()) return {"○ expired", Tone::kQuiet};
  if (job.has_last_success_time()) return {"● ok", Tone::kGood};
  return {"○ no result", Tone::kQuiet};
}

template <typename Timestamp>
std::string Ago(bool is_there, const Timestamp& time, absl::Time now) {
  return is_there ? AgeText(time, now) + " ago" : "-";
}

}  // namespace

void ShowJobs(const fleet::v1::ListJobsResponse& response, bool only_overdue, absl::Time now, Page* page) {
  if (response.jobs().empty()) {
    page->Line(only_overdue ? "No job is overdue."
                            : "No jobs. A job on a host pushes with: muster-agent push NAME --success");
    return;
  }
  Table table({"TARGET", "JOB", "STATE", "LAST SUCCESS", "LAST FAILURE", "RUNS", "PERIOD", "NOTE"});
  for (const Job& job : response.jobs()) {
    const std::string runs = job.failures() > 0
                                 ? fmt::format("{}, {} failed", job.successes() + job.failures(), job.failures())
                                 : std::to_string(job.successes());
    table.Add({{Span(job.target_name())},
               {Span(job.name(), Tone::kStrong)},
               {JobState(job)},
               {Span(Ago(job.has_last_success_time(), job.last_success_time(), now))},
               {Span(Ago(job.has_last_failure_time(), job.last_failure_time(), now))},
               {Span(runs)},
               {Span(job.has_period() ? FormatAge(FromProto(job.period())) : "")},
               {Span(job.refusals().empty() ? "" : fmt::format("series not shown: {}", fmt::join(job.refusals(), ", ")),
                     Tone::kWarning)}});
  }
  page->Add(table);
}

}  // namespace muster::cli
