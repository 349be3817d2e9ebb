#include "agent/docker/deployment_identity.h"

#include <gtest/gtest.h>

namespace muster::agent {
namespace {

TEST(IdentityOf, GroupsByProjectThenStackThenService) {
  Container c;
  c.name = "web";
  EXPECT_EQ(IdentityOf(c).key, "container/web");
  EXPECT_EQ(IdentityOf(c).kind, types::v1::DEPLOYMENT_KIND_CONTAINER);
  c.labels.swarm_service = "shop_web";
  EXPECT_EQ(IdentityOf(c).key, "swarm/shop_web");
  c.labels.stack_namespace = "shop";
  EXPECT_EQ(IdentityOf(c).key, "swarm/shop");
  EXPECT_EQ(IdentityOf(c).kind, types::v1::DEPLOYMENT_KIND_SWARM_STACK);
  c.labels.compose_project = "bakery";
  EXPECT_EQ(IdentityOf(c).key, "compose/bakery");
  EXPECT_EQ(IdentityOf(c).name, "bakery");
  EXPECT_EQ(IdentityOf(c).kind, types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
}

class ApplicationOfTest : public testing::Test {
 protected:
  ApplicationOfTest() {
    db_.image = "postgres:15";
    web_.image = "shop/web:2.1";
  }
  std::string Speak() {
    const ApplicationName name = ApplicationOf({&db_, &web_}, "shop");
    return name.application + " " + name.version;
  }
  Container db_;
  Container web_;
};

TEST_F(ApplicationOfTest, FallsBackToTheProjectAndTheFirstImagesTag) { EXPECT_EQ(Speak(), "shop 15"); }

TEST_F(ApplicationOfTest, TakesOciLabelsOfOneContainer) {
  web_.labels.oci_title = "Shop";
  EXPECT_EQ(Speak(), "Shop 2.1");
  web_.labels.oci_version = "2.1.7";
  db_.labels.oci_version = "15.4";
  EXPECT_EQ(Speak(), "Shop 2.1.7");
}

TEST_F(ApplicationOfTest, OwnLabelsWinOverOciLabels) {
  db_.labels.oci_title = "PostgreSQL";
  db_.labels.oci_version = "15.4";
  web_.labels.muster_version = "7";
  EXPECT_EQ(Speak(), "shop 7");
  web_.labels.muster_application = "Bakery";
  EXPECT_EQ(Speak(), "Bakery 7");
  web_.labels.muster_version = "";
  EXPECT_EQ(Speak(), "Bakery 2.1");
}

}  // namespace
}  // namespace muster::agent
