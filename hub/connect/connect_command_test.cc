#include "hub/connect/connect_command.h"

#include <gtest/gtest.h>

namespace muster::hub {
namespace {

TEST(ConnectCommand, PinsOnlyTheHubsOwnCertificate) {
  EXPECT_EQ(ConnectCommand({.public_url = "https://hub:8080/", .spki_sha256_base64 = "AbC="},
                           types::v1::TARGET_TYPE_HOST, "mcc_1"),
            "curl -sS -k --pinnedpubkey 'sha256//AbC=' 'https://hub:8080/connect/mcc_1' | sudo sh");
  EXPECT_EQ(ConnectCommand({.public_url = "http://hub:8080", .spki_sha256_base64 = ""}, types::v1::TARGET_TYPE_DOCKER,
                           "mcc_1"),
            "curl -sS 'http://hub:8080/connect/mcc_1' | sudo sh");
}

TEST(ConnectCommand, IsForKubectlWhereTheTargetIsACluster) {
  EXPECT_EQ(
      ConnectCommand({.public_url = "https://hub:8080", .spki_sha256_base64 = "AbC="},
                     types::v1::TARGET_TYPE_KUBERNETES, "mcc_1"),
      "curl -sS -k --pinnedpubkey 'sha256//AbC=' 'https://hub:8080/connect/mcc_1?scope=namespace' | kubectl apply "
      "-n NAMESPACE -f -");
}

}  // namespace
}  // namespace muster::hub
