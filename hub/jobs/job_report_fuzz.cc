// Reports of jobs from an agent that means harm: applied to a database they never fail, a second time they change
// nothing, and what is shown of them is a page that can be written.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/clock.h"
#include "hub/jobs/job_check.h"
#include "hub/jobs/job_registry.h"
#include "hub/jobs/job_writes.h"
#include "hub/store/testing/test_database.h"

namespace {

using namespace muster;       // NOLINT
using namespace muster::hub;  // NOLINT

void Require(bool holds) {
  if (!holds) std::abort();
}

TestDatabase& Database() {
  static TestDatabase* const database = [] {
    auto* made = new TestDatabase();
    Require(InsertTarget(**made, NewTarget("tgt_1", "one")).ok());
    return made;
  }();
  return *database;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  agent::v1::JobReport report;
  if (!report.ParseFromArray(data, static_cast<int>(size)) || !FindDefect(report).empty()) return 0;
  TestDatabase& database = Database();
  Require((*database).Execute("BEGIN").ok());
  BatchOrigin origin;
  origin.target_id = "tgt_1";
  origin.arrived = kTestEpoch;
  auto outcome = ApplyJobReport(*database, origin, report);
  Require(outcome.ok());
  const auto once = database.Rows("SELECT * FROM job_groups ORDER BY name");
  Require(ApplyJobReport(*database, origin, report).ok());
  // A group that is there twice in one report, or that made others go, is another matter.
  if (outcome->gone.empty()) Require(database.Rows("SELECT * FROM job_groups ORDER BY name").size() == once.size());
  JobRegistry registry(
      {}, [](const std::string&) { return JobRegistry::Place{.labels = "a=\"b\"", .name = "one", .customer = ""}; });
  const Moment now{.monotonic = Instant(), .wall = kTestEpoch};
  registry.Apply(*std::move(outcome), now);
  std::size_t bytes = 0;
  PageWriter page(PageFormat::kOpenMetrics, [&](std::string_view block) { bytes += block.size(); });
  registry.Write(now, page);
  page.Finish();
  registry.List(now);
  Require((*database).Execute("ROLLBACK").ok());
  return 0;
}
