#include "hub/store/host_sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "common/text.h"
#include "hub/store/records.h"
#include "hub/store/retention.h"
#include "hub/store/testing/apply_batch_fixture.h"

namespace muster::hub {
namespace {

using agent::v1::HostSample;
using agent::v1::Record;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Record Sample(
    double second, const std::function<void(HostSample&)>& change = [](HostSample&) {}) {
  Record record;
  *record.mutable_observed_at() = ToProto(At(second));
  HostSample& sample = *record.mutable_host_sample();
  sample.set_cpu_cores(4);
  sample.set_cpu_usage_ratio(0.25);
  sample.set_memory_total_bytes(16'000'000'000);
  HostSample::Disk* disk = sample.add_disks();
  disk->set_device("/dev/sda1");
  disk->set_total_bytes(500'000'000'000);
  sample.add_deployments()->set_deployment_key("compose/shop");
  change(sample);
  return record;
}

class HostSampleRowsTest : public ApplyBatchTest {
 protected:
  // "second epoch sequence"
  std::vector<std::string> Rows() {
    return database_.Rows(
        "SELECT (at_us-1800000000000000)/1000000, epoch, sequence FROM host_samples ORDER BY target_id, at_us, epoch,"
        " sequence");
  }
};

TEST_F(HostSampleRowsTest, SamplesAreStoredOnceAmongOtherRecords) {
  const BatchOutcome first =
      Apply(Batch(1, {Sample(10), Change(20, types::v1::DEPLOYMENT_STATUS_RUNNING), Sample(40)}));
  EXPECT_EQ(first.applied, 3);
  EXPECT_EQ(first.samples, 2);
  const BatchOutcome again =
      Apply(Batch(2, {Change(20, types::v1::DEPLOYMENT_STATUS_RUNNING), Sample(40), Sample(70)}));
  EXPECT_EQ(again.samples, 1);
  EXPECT_EQ(again.duplicates, 2);
  EXPECT_THAT(Rows(), ElementsAre("10|e1|1", "40|e1|3", "70|e1|4"));
  EXPECT_EQ(ChangeRows(), 1);
  EXPECT_EQ(Position(), 4);
}

TEST_F(HostSampleRowsTest, WhatCanNeverBeStoredIsRefusedByNumber) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const struct {
    const char* name;
    std::function<void(HostSample&)> change;
  } cases[] = {
      {"negative memory", [](HostSample& s) { s.set_memory_used_bytes(-1); }},
      {"absurd memory", [](HostSample& s) { s.set_memory_total_bytes(kMaxSampleBytes + 1); }},
      {"negative swap", [](HostSample& s) { s.set_swap_total_bytes(-5); }},
      {"usage that is no number", [](HostSample& s) { s.set_cpu_usage_ratio(kNan); }},
      {"usage above all cores", [](HostSample& s) { s.set_cpu_usage_ratio(1.5); }},
      {"negative usage", [](HostSample& s) { s.set_cpu_usage_ratio(-0.1); }},
      {"endless cores", [](HostSample& s) { s.set_cpu_cores(kInf); }},
      {"negative load", [](HostSample& s) { s.set_load5(-1); }},
      {"endless load", [](HostSample& s) { s.set_load15(kInf); }},
      {"rate that is no number", [](HostSample& s) { s.set_disk_read_bytes_per_second(kNan); }},
      {"negative rate", [](HostSample& s) { s.set_network_transmit_bytes_per_second(-1); }},
      {"device without a name", [](HostSample& s) { s.mutable_disks(0)->clear_device(); }},
      {"negative disk", [](HostSample& s) { s.mutable_disks(0)->set_available_bytes(-1); }},
      {"too many disks",
       [](HostSample& s) {
         for (int i = 0; i < kMaxSampleDisks; ++i) *s.add_disks() = s.disks(0);
       }},
      {"deployment without a key", [](HostSample& s) { s.mutable_deployments(0)->clear_deployment_key(); }},
      {"long key",
       [](HostSample& s) { s.mutable_deployments(0)->set_deployment_key(std::string(kMaxKeyBytes + 1, 'k')); }},
      {"deployment that uses no number", [](HostSample& s) { s.mutable_deployments(0)->set_cpu_cores(kNan); }},
      {"deployment with negative memory", [](HostSample& s) { s.mutable_deployments(0)->set_memory_bytes(-1); }},
      {"too many deployments",
       [](HostSample& s) {
         for (int i = 0; i < kMaxSampleDeployments; ++i) *s.add_deployments() = s.deployments(0);
       }},
      {"node without a name", [](HostSample& s) { s.add_nodes()->set_cpu_cores(4); }},
      {"node with negative memory in use",
       [](HostSample& s) {
         s.add_nodes()->set_node("n");
         s.mutable_nodes(0)->set_memory_used_bytes(-1);
       }},
      {"node that uses no number",
       [](HostSample& s) {
         s.add_nodes()->set_node("n");
         s.mutable_nodes(0)->set_cpu_cores_used(kNan);
       }},
      {"too many nodes",
       [](HostSample& s) {
         for (int i = 0; i <= kMaxSampleNodes; ++i) s.add_nodes()->set_node(std::to_string(i));
       }},
      {"negative containers", [](HostSample& s) { s.add_containers()->set_count(-1); }},
      {"too many states",
       [](HostSample& s) {
         for (int i = 0; i <= kMaxSampleStates; ++i) s.add_containers()->set_state(std::to_string(i));
       }},
  };
  std::int64_t number = 1;
  for (const auto& c : cases) {
    const BatchOutcome outcome = Apply(Batch(number, {Sample(1, c.change)}));
    EXPECT_EQ(outcome.position, number) << c.name;
    ASSERT_EQ(outcome.refused.size(), 1U) << c.name;
    EXPECT_EQ(outcome.refused[0].sequence(), number) << c.name;
    EXPECT_NE(outcome.refused[0].reason(), "") << c.name;
    ++number;
  }
  EXPECT_THAT(Rows(), IsEmpty());
}

TEST_F(HostSampleRowsTest, TextsAreCutAndAnEmptySampleIsOne) {
  Apply(Batch(1, {Sample(1,
                         [](HostSample& s) {
                           s.mutable_disks(0)->set_device(std::string(300, 'd'));
                           s.add_missing(std::string(5000, 'm'));
                           for (int i = 0; i < 200; ++i) s.add_missing("memory");
                         }),
                  Sample(2, [](HostSample& s) { s.Clear(); })}));
  auto row = (*database_).Prepare("SELECT sample FROM host_samples ORDER BY at_us");
  ASSERT_TRUE(row.ok() && row->Step().value());
  HostSample kept;
  ASSERT_TRUE(kept.ParseFromString(row->Text(0)));
  EXPECT_LE(kept.disks(0).device().size(), kMaxNameBytes);
  EXPECT_LE(kept.missing(0).size(), kMaxNameBytes);
  EXPECT_EQ(kept.missing_size(), kMaxSampleMissing);
  ASSERT_TRUE(row->Step().value());
  EXPECT_EQ(row->Text(0), "");
}

TEST_F(HostSampleRowsTest, ThoseOfADeletedTargetGoWithItsHistory) {
  Apply(Batch(1, {Sample(1), Sample(2)}));
  const auto trim = [this] {
    HistoryTrim pass(At(1000));
    while (pass.Step(*database_).value()) {
    }
  };
  trim();
  EXPECT_EQ(Rows().size(), 2U) << "the target is there";
  ASSERT_TRUE((*database_).Execute("UPDATE targets SET deleted_us=1800001500000000").ok());
  trim();
  EXPECT_EQ(Rows().size(), 2U) << "deleted, but not so long ago";
  ASSERT_TRUE((*database_).Execute("UPDATE targets SET deleted_us=1800000500000000").ok());
  trim();
  EXPECT_THAT(Rows(), IsEmpty());
}

}  // namespace
}  // namespace muster::hub
