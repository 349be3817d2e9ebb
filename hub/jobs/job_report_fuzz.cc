// Reports of jobs from an agent that means harm: applied to a database they never fail, a second time they change
// nothing, what is shown of them is what is stored, and two stores that take turns count once.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

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

std::vector<std::string> Rows(TestDatabase& database) {
  return database.Rows(
      "SELECT name, store_id, hex(told), hex(base), first_push_us, push_us, success_us, failure_us, ends_us"
      " FROM job_groups ORDER BY name");
}

std::string PageOf(JobRegistry& registry, const Moment& now) {
  std::string text;
  PageWriter page(PageFormat::kOpenMetrics, [&](std::string_view block) { text += block; });
  registry.Write(now, page);
  page.Finish();
  registry.List(now);
  return text;
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

  // What is shown at once is what a hub that starts later shows.
  const auto place = [](const std::string&) {
    return JobRegistry::Place{.labels = "a=\"b\"", .name = "one", .customer = ""};
  };
  const Moment now{.monotonic = Instant(), .wall = kTestEpoch};
  JobRegistry live({}, place);
  live.Apply(*std::move(outcome), now);
  JobRegistry loaded({}, place);
  loaded.Load(*LoadJobs(*database), now);
  Require(PageOf(live, now) == PageOf(loaded, now));

  const auto once = Rows(database);
  Require(ApplyJobReport(*database, origin, report).ok());
  Require(Rows(database) == once);

  // Another store, and the first one again: nothing is there twice.
  agent::v1::JobReport other = report;
  other.set_store_id("other");
  Require(ApplyJobReport(*database, origin, other).ok());
  Require(ApplyJobReport(*database, origin, report).ok());
  const auto loaded_once = LoadJobs(*database);
  Require(ApplyJobReport(*database, origin, other).ok());
  Require(ApplyJobReport(*database, origin, report).ok());
  const auto loaded_twice = LoadJobs(*database);
  Require(loaded_once->size() == loaded_twice->size());
  for (std::size_t i = 0; i < loaded_once->size(); ++i) {
    Require((*loaded_once)[i].group.successes() == (*loaded_twice)[i].group.successes());
  }
  Require((*database).Execute("ROLLBACK").ok());
  return 0;
}
