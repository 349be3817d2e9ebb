#include "agent/deployments/messages.h"

#include <gtest/gtest.h>

#include "agent/present.h"
#include "common/text.h"

namespace muster::agent {
namespace {

TEST(MessageAbout, NamesEveryOneWithWhatItsCheckSaid) {
  EXPECT_EQ(MessageAbout({}), "");
  EXPECT_EQ(MessageAbout({{.name = "web", .reason = "is unhealthy", .output = "refused"},
                          {.name = "db", .reason = "is dead", .output = ""}}),
            "web is unhealthy: refused; db is dead");
}

TEST(MessageAbout, OutputsGoFirstWhenTheRoomIsShort) {
  const Complaint complaint{.name = "web", .reason = "is unhealthy", .output = std::string(300, 'x')};
  EXPECT_EQ(MessageAbout({complaint, complaint}), "web is unhealthy; web is unhealthy");
}

TEST(MessageAbout, SaysHowManyDoNotFit) {
  const std::vector<Complaint> many(60, {.name = "container", .reason = "is dead", .output = ""});
  const std::string message = MessageAbout(many);
  EXPECT_LE(message.size(), kMaxMessageBytes);
  EXPECT_TRUE(message.ends_with(" more")) << message;
}

TEST(MessageAbout, NameLongerThanTheWholeMessageIsCut) {
  std::string name;
  for (int i = 0; i < 400; ++i) name += "\xC3\xBC";
  const std::string message = MessageAbout({{.name = name, .reason = "is dead", .output = ""}});
  EXPECT_LE(message.size(), kMaxMessageBytes);
  EXPECT_TRUE(IsValidUtf8(message));
}

TEST(ExitReason, NamesSignals) {
  EXPECT_EQ(ExitReason(3), "exited with code 3");
  EXPECT_EQ(ExitReason(127), "exited with code 127 (command not found)");
  EXPECT_EQ(ExitReason(137), "exited with code 137 (stopped by SIGKILL)");
}

}  // namespace
}  // namespace muster::agent
