#include "hub/api/job_calls.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hub/api/testing/fleet_handlers_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class JobCallsTest : public FleetHandlersTest {
 protected:
  void AddJob(const CreateTargetResponse& target, const std::string& name, bool overdue = false) {
    Job job;
    job.set_target_id(target.target_id());
    job.set_target_name(target.target().name());
    job.set_customer(target.target().customer());
    job.set_name(name);
    job.set_is_overdue(overdue);
    jobs_.push_back(job);
  }
  std::vector<std::string> List(const ListJobsRequest& request, const std::string& customer = "") {
    const auto listed = Call<ListJobsResponse>("ListJobs", request, CallerOf(ROLE_VIEWER, customer));
    EXPECT_TRUE(listed.ok()) << listed.status();
    std::vector<std::string> names;
    for (const Job& job : listed->jobs()) names.push_back(job.target_name() + "/" + job.name());
    next_ = listed->next_page_token();
    total_ = listed->total_size();
    return names;
  }

  std::string next_;
  int total_ = 0;
};

TEST_F(JobCallsTest, ListsByTargetAndName) {
  EXPECT_THAT(List({}), IsEmpty());
  const auto web = Create("web", "Globex");
  const auto db = Create("db", "ACME");
  AddJob(web, "backup", true);
  AddJob(web, "a");
  AddJob(db, "vacuum", true);
  EXPECT_THAT(List({}), ElementsAre("db/vacuum", "web/a", "web/backup"));
  EXPECT_EQ(total_, 3);
  ListJobsRequest of_web;
  of_web.set_target("web");
  EXPECT_THAT(List(of_web), ElementsAre("web/a", "web/backup"));
  of_web.set_target(web.target_id());
  of_web.set_only_overdue(true);
  EXPECT_THAT(List(of_web), ElementsAre("web/backup"));
  EXPECT_EQ(total_, 1);
}

TEST_F(JobCallsTest, CustomersSeeTheirOwnAlone) {
  AddJob(Create("web", "Globex"), "backup");
  AddJob(Create("db", "ACME"), "vacuum");
  EXPECT_THAT(List({}, "ACME"), ElementsAre("db/vacuum"));
  EXPECT_EQ(total_, 1);
  ListJobsRequest request;
  request.set_target("web");
  EXPECT_EQ(ReasonOf(Call<ListJobsResponse>("ListJobs", request, CallerOf(ROLE_VIEWER, "ACME")).status()),
            "TARGET_NOT_FOUND");
}

TEST_F(JobCallsTest, PagesLoseAndRepeatNone) {
  const auto web = Create("web");
  std::vector<std::string> expected;
  expected.reserve(10);
  for (int i = 0; i < 10; ++i) expected.push_back(fmt::format("web/job{}", i));
  for (int i = 9; i >= 0; --i) AddJob(web, fmt::format("job{}", i));
  for (const int size : {1, 3, 5, 10, 11}) {
    std::vector<std::string> seen;
    ListJobsRequest request;
    request.set_page_size(size);
    do {
      request.set_page_token(next_);
      for (std::string& name : List(request)) seen.push_back(std::move(name));
      EXPECT_EQ(total_, 10);
    } while (!next_.empty());
    EXPECT_EQ(seen, expected) << size;
  }
  ListJobsRequest bad;
  bad.set_page_token("x");
  EXPECT_EQ(ReasonOf(Call<ListJobsResponse>("ListJobs", bad).status()), "BAD_PAGE");
}

}  // namespace
}  // namespace muster::hub
