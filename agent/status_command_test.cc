#include "agent/status_command.h"

#include <gtest/gtest.h>

#include <string>

namespace muster::agent {
namespace {

ObservedState Observed(bool running, bool connected) {
  ObservedState observed;
  observed.agent_running = running;
  observed.state.session.connected = connected;
  observed.state.session.target_name = "edge\x1b[31m";
  observed.state.session.last_ack_time = absl::FromUnixSeconds(1'000'000'000);
  return observed;
}

TEST(StatusCommand, ADeadAgentIsNotConnectedWhateverItWroteLast) {
  EXPECT_TRUE(IsConnected(Observed(true, true)));
  EXPECT_FALSE(IsConnected(Observed(false, true)));
  EXPECT_FALSE(IsConnected(Observed(true, false)));
  EXPECT_NE(DescribeStateAsJson(Observed(false, true)).find("\"connected\":false"), std::string::npos);
}

TEST(StatusCommand, ShowsAgesAndNoControlCharacters) {
  const std::string text = DescribeState(Observed(true, true), absl::FromUnixSeconds(1'000'000'012));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("● connected as edge"), std::string::npos) << text;
  EXPECT_NE(text.find("12s ago"), std::string::npos) << text;
}

TEST(StatusCommand, SaysWhyAnAgentIsNotAlive) {
  const Instant now = Instant::FromDuration(absl::Hours(1));
  const struct {
    ObservedLife life;
    std::string text, json;
  } cases[] = {
      {{.agent_running = false},
       "○ not alive: no agent runs with this data folder\n",
       R"({"alive":false,"loop_age_seconds":null,"running":false})"},
      {{.agent_running = true},
       "○ not alive: an agent holds this data folder, and has shown no sign of life\n",
       R"({"alive":false,"loop_age_seconds":null,"running":true})"},
      {{.agent_running = true, .turned = now - absl::Milliseconds(500)},
       "● alive: the agent's loop turned 0s ago\n",
       R"({"alive":true,"loop_age_seconds":0.5,"running":true})"},
      {{.agent_running = true, .turned = now - absl::Minutes(2)},
       "○ not alive: the agent runs, but its loop has not turned for 2m 0s; 30s are allowed\n",
       R"({"alive":false,"loop_age_seconds":120.0,"running":true})"},
      {{.agent_running = true, .turned = now + absl::Seconds(1)},
       "● alive: the agent's loop turned 0s ago\n",
       R"({"alive":true,"loop_age_seconds":0.0,"running":true})"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(DescribeLife(c.life, now), c.text);
    EXPECT_EQ(DescribeLifeAsJson(c.life, now), c.json + "\n");
  }
}

}  // namespace
}  // namespace muster::agent
