#include "hub/metrics/page_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/status.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;

PageGroups Of(std::initializer_list<PageGroup> groups) {
  PageGroups all;
  for (const PageGroup group : groups) all = all.With(group);
  return all;
}

TEST(ReadPageGroups, CollectsOrExcludes) {
  const struct {
    const char* query;
    PageGroups groups;
  } cases[] = {
      {"", PageGroups::All()},
      {"foo=bar", PageGroups::All()},
      {"collect[]=host", Of({PageGroup::kHost})},
      {"collect%5B%5D=host&collect%5B%5D=jobs&collect[]=host", Of({PageGroup::kHost, PageGroup::kJobs})},
      {"exclude[]=logs", PageGroups::All().Without(Of({PageGroup::kLogs}))},
      {"exclude[]=logs&exclude[]=process", PageGroups::All().Without(Of({PageGroup::kLogs, PageGroup::kProcess}))},
  };
  for (const auto& c : cases) {
    const auto groups = ReadPageGroups(c.query);
    ASSERT_TRUE(groups.ok()) << c.query;
    EXPECT_EQ(groups->bits(), c.groups.bits()) << c.query;
  }
}

TEST(ReadPageGroups, NamesTheGroupsThereAre) {
  for (const char* query : {"collect[]=nonsense", "exclude[]=", "collect[]=host&exclude[]=logs", "collect[]=Host"}) {
    const auto groups = ReadPageGroups(query);
    EXPECT_EQ(ReasonOf(groups.status()), "BAD_FILTER") << query;
    EXPECT_THAT(MessageOf(groups.status()),
                HasSubstr("deployments, targets, journals, logs, host, containers, jobs, hub, process"));
  }
}

}  // namespace
}  // namespace muster::hub
