#include "hub/metrics/service_discovery.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace muster::hub {
namespace {

TEST(WriteServiceDiscovery, ListsEveryTargetAtThisListener) {
  const std::string text =
      WriteServiceDiscovery("hub.example.com:3000", "Vendor",
                            {{.id = "tgt_1", .name = "edge \"1\"\n", .customer = "Acme", .metrics_enabled = true},
                             {.id = "tgt_2", .name = "quiet", .customer = "", .metrics_enabled = false}});
  const auto groups = nlohmann::json::parse(text);
  ASSERT_EQ(groups.size(), 1u) << "metrics of the other are off";
  EXPECT_EQ(groups[0]["targets"], nlohmann::json::array({"hub.example.com:3000"}));
  const auto& labels = groups[0]["labels"];
  EXPECT_EQ(labels["__metrics_path__"], "/metrics/target");
  EXPECT_EQ(labels["__param_id"], "tgt_1");
  EXPECT_EQ(labels["instance"], "edge \"1\"\n");
  EXPECT_EQ(labels["deploymenttarget"], "edge \"1\"\n");
  EXPECT_EQ(labels["customerorganization"], "Acme");
  EXPECT_EQ(labels["organization"], "Vendor");
  EXPECT_EQ(labels["deploymenttargetid"], "tgt_1");
}

TEST(WriteServiceDiscovery, AnEmptyFleetIsAnEmptyList) { EXPECT_EQ(WriteServiceDiscovery("h", "v", {}), "[]"); }

TEST(WriteServiceDiscovery, TakesAnyHostHeader) {
  const std::string text = WriteServiceDiscovery(std::string("\xff\"") + std::string(10'000, 'h'), "v",
                                                 {{.id = "a", .name = "\xff", .customer = ""}});
  EXPECT_LT(text.size(), 1000u);
  EXPECT_FALSE(nlohmann::json::parse(text, nullptr, false).is_discarded());
}

}  // namespace
}  // namespace muster::hub
