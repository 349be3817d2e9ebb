#include "hub/connect/kubernetes_manifest.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "common/status.h"

namespace muster::hub {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

KubernetesValues Values() {
  return {.hub_url = "https://hub.example.com:8080",
          .hub_grpc_address = "hub.example.com:7443",
          .target_id = "tgt_1",
          .target_name = "prod",
          .secret = Secret("mst_first"),
          .ca_pem = "-----BEGIN CERTIFICATE-----\nMIIB+/=\n-----END CERTIFICATE-----\n",
          .image = "registry.example.com/muster-agent:0.1.0"};
}

std::string Render(const KubernetesValues& values) {
  const auto manifest = RenderKubernetesManifest(values);
  EXPECT_TRUE(manifest.ok()) << manifest.status();
  return manifest.ok() ? *manifest : "";
}

std::vector<std::string> Lines(const std::string& text) { return absl::StrSplit(text, '\n'); }

// Lines of `b` that `a` does not have at the same place; the texts have as many lines.
std::vector<std::string> Changed(const std::string& a, const std::string& b) {
  const std::vector<std::string> before = Lines(a);
  const std::vector<std::string> after = Lines(b);
  EXPECT_EQ(before.size(), after.size());
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
    if (before[i] != after[i]) changed.push_back(after[i]);
  }
  return changed;
}

// ---- the choice

TEST(ReadKubernetesChoice, TakesWhatIsDocumented) {
  auto choice = ReadKubernetesChoice("");
  ASSERT_TRUE(choice.ok());
  EXPECT_FALSE(choice->cluster);
  EXPECT_EQ(choice->target_namespace, "");
  EXPECT_EQ(choice->storage, "");
  choice = ReadKubernetesChoice("scope=cluster&namespace=team-7&storage=10Gi");
  ASSERT_TRUE(choice.ok());
  EXPECT_TRUE(choice->cluster);
  EXPECT_EQ(choice->target_namespace, "team-7");
  EXPECT_EQ(choice->storage, "10Gi");
  EXPECT_EQ(ReadKubernetesChoice("scope=namespace&storage=emptydir")->storage, "");
  for (const std::string& good : std::vector<std::string>{"a", "0", "a-b", "123", std::string(63, 'n')}) {
    EXPECT_TRUE(ReadKubernetesChoice("namespace=" + good).ok()) << good;
  }
  for (const std::string good : {"512Mi", "99999Mi", "1Gi", "1024Gi"}) {
    EXPECT_TRUE(ReadKubernetesChoice("storage=" + good).ok()) << good;
  }
}

TEST(ReadKubernetesChoice, RefusesEverythingElseAndNamesIt) {
  const struct {
    std::string query, named;
  } cases[] = {
      {"scope=", "scope"},
      {"scope=Cluster", "scope"},
      {"scope=namespace%0A---", "scope"},
      {"scope=cluster", "namespace"},
      {"scope=cluster&namespace=", "namespace"},
      {"namespace=NAMESPACE", "namespace"},
      {"namespace=-a", "namespace"},
      {"namespace=a-", "namespace"},
      {"namespace=a.b", "namespace"},
      {"namespace=a_b", "namespace"},
      {"namespace=a%20b", "namespace"},
      {"namespace=a%0Ab", "namespace"},
      {"namespace=%22", "namespace"},
      {"namespace=%00", "namespace"},
      {"namespace=%C3%A4", "namespace"},
      {"namespace=" + std::string(64, 'a'), "namespace"},
      {"storage=", "storage"},
      {"storage=1", "storage"},
      {"storage=1G", "storage"},
      {"storage=1gi", "storage"},
      {"storage=0Gi", "storage"},
      {"storage=01Gi", "storage"},
      {"storage=-1Gi", "storage"},
      {"storage=1.5Gi", "storage"},
      {"storage=1e3Gi", "storage"},
      {"storage=511Mi", "storage"},
      {"storage=1025Gi", "storage"},
      {"storage=999999999999999999999Gi", "storage"},
      {"storage=1Gi%0A", "storage"},
      {"storage=EmptyDir", "storage"},
      {"scope=namespace&scope=cluster", "twice"},
      {"Scope=namespace", "Scope"},
      {"image=evil", "image"},
      {"&=x", "not known"},
  };
  for (const auto& c : cases) {
    const auto choice = ReadKubernetesChoice(c.query);
    ASSERT_FALSE(choice.ok()) << c.query;
    EXPECT_EQ(ReasonOf(choice.status()), "CONNECT_QUERY");
    EXPECT_EQ(choice.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(MessageOf(choice.status())), HasSubstr(c.named)) << c.query;
  }
}

TEST(IsForKubectl, IsToldByTheScopeOfThePrintedLine) {
  EXPECT_TRUE(IsForKubectl("scope=namespace"));
  EXPECT_TRUE(IsForKubectl("namespace=x&scope=nonsense"));
  EXPECT_FALSE(IsForKubectl(""));
  EXPECT_FALSE(IsForKubectl("namespace=scope"));
}

// ---- the manifest

TEST(RenderKubernetesManifest, LeavesTheNamespaceToKubectl) {
  const std::string manifest = Render(Values());
  EXPECT_THAT(manifest,
              AllOf(HasSubstr("\nkind: Role\n"), HasSubstr("\nkind: RoleBinding\n"), Not(HasSubstr("Cluster")),
                    Not(HasSubstr("\n  namespace:")), Not(HasSubstr("\n    namespace:")),
                    HasSubstr("- \"--namespace=$(POD_NAMESPACE)\"\n"), Not(HasSubstr("nodes"))));
  EXPECT_THAT(manifest, AllOf(HasSubstr("- \"--hub=hub.example.com:7443\"\n"), HasSubstr("- \"--target-id=tgt_1\"\n"),
                              HasSubstr("- \"--ca-file=/etc/muster-agent/hub/ca.pem\"\n"), Not(HasSubstr("insecure")),
                              HasSubstr("image: \"registry.example.com/muster-agent:0.1.0\"\n"),
                              HasSubstr("sizeLimit: 512Mi"), Not(HasSubstr("PersistentVolumeClaim"))));
  EXPECT_THAT(manifest, Not(HasSubstr("@")));
}

TEST(RenderKubernetesManifest, NamesTheNamespaceOfAClustersAgentInEveryObject) {
  KubernetesValues values = Values();
  values.choice = {.cluster = true, .target_namespace = "on", .storage = "1Gi"};
  const std::string manifest = Render(values);
  EXPECT_THAT(manifest, AllOf(HasSubstr("\nkind: ClusterRole\nmetadata:\n  name: \"muster-agent-on\"\n"),
                              HasSubstr("\nkind: ClusterRoleBinding\nmetadata:\n  name: \"muster-agent-on\"\n"),
                              HasSubstr("    name: muster-agent\n    namespace: \"on\"\n"), HasSubstr("\"--cluster\""),
                              Not(HasSubstr("--namespace")), HasSubstr("resources: [nodes]")));
  EXPECT_THAT(manifest,
              AllOf(HasSubstr("storage: \"1Gi\""), HasSubstr("claimName: muster-agent"), Not(HasSubstr("emptyDir"))));
  for (const char* const kind : {"ServiceAccount", "Secret", "ConfigMap", "PersistentVolumeClaim", "Deployment"}) {
    EXPECT_THAT(manifest,
                HasSubstr(fmt::format("\nkind: {}\nmetadata:\n  name: muster-agent\n  namespace: \"on\"\n", kind)));
  }
}

TEST(RenderKubernetesManifest, SaysWhatAHubWithoutOwnAuthorityNeeds) {
  KubernetesValues values = Values();
  values.ca_pem = "";
  EXPECT_THAT(Render(values), AllOf(Not(HasSubstr("ConfigMap")), Not(HasSubstr("configMap")), Not(HasSubstr("ca-file")),
                                    Not(HasSubstr("sha256"))));
  values.insecure = true;
  EXPECT_THAT(Render(values), HasSubstr("            - \"--insecure\"\n"));
}

TEST(RenderKubernetesManifest, AgainChangesTheSecretAlone) {
  KubernetesValues values = Values();
  const std::string first = Render(values);
  values.secret = Secret("mst_second");
  EXPECT_THAT(Changed(first, Render(values)), ::testing::ElementsAre("  secret: \"mst_second\""));
}

// The pod reads its authority at the start only, so it has to be another pod.
TEST(RenderKubernetesManifest, AnotherAuthorityChangesThePod) {
  KubernetesValues values = Values();
  const std::string first = Render(values);
  values.ca_pem[29] = 'N';
  const std::vector<std::string> changed = Changed(first, Render(values));
  ASSERT_EQ(changed.size(), 2U);
  EXPECT_THAT(changed[1], ::testing::StartsWith("        muster.ca-sha256: \""));
}

TEST(RenderKubernetesManifest, NoNameBreaksOut) {
  const std::string plain = Render(Values());
  for (const std::string& name : std::vector<std::string>{
           "a\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding",
           "a\r\n...\r\nb",
           "\"\nkind: Evil\n#",
           "\\\"\n  hostNetwork: true",
           "' # \" : - [ ] { } , & * ! | > % `",
           "@SECRET@ @ROLE@",
           "{{ .Release }} $(rm -rf /) $(POD_NAMESPACE)",
           "x\xE2\x80\xA8kind: Evil",
           "x\xC2\x85kind: Evil",
           "x\xE2\x80\xAEkind: Evil",
           "\xFF\xFE\xEF\xBB\xBF\xEF\xBF\xBF",
           std::string("nul\0here", 8),
           "Bäckerei 蓝色 \xF0\x9F\x8D\x9E",
           std::string(100'000, 'x'),
       }) {
    KubernetesValues values = Values();
    values.target_name = name;
    const std::string manifest = Render(values);
    const std::vector<std::string> changed = Changed(plain, manifest);
    ASSERT_EQ(changed.size(), 2U) << name;
    EXPECT_THAT(changed[0], AllOf(::testing::StartsWith("# The Muster agent for target \""),
                                  ::testing::EndsWith("\" of \"https://hub.example.com:8080\".")));
    EXPECT_THAT(changed[1], AllOf(::testing::StartsWith("    muster.target: \""), ::testing::EndsWith("\"")));
    EXPECT_LT(changed[1].size(), 1000U);
  }
}

TEST(RenderKubernetesManifest, RefusesAddressesThatAnArgumentCannotCarry) {
  for (const std::string bad : {"hub:7443 --insecure", "hub\n:7443", "$(SECRET):1", "\"", "hub,x"}) {
    KubernetesValues values = Values();
    values.hub_grpc_address = bad;
    EXPECT_EQ(ReasonOf(RenderKubernetesManifest(values).status()), "INSTALL_VALUE") << bad;
    values = Values();
    values.target_id = bad;
    EXPECT_FALSE(RenderKubernetesManifest(values).ok()) << bad;
  }
  KubernetesValues values = Values();
  values.hub_grpc_address = "[2001:db8::1]:7443";
  EXPECT_TRUE(RenderKubernetesManifest(values).ok());
  values.ca_pem = "-----BEGIN\"\n";
  EXPECT_FALSE(RenderKubernetesManifest(values).ok());
}

TEST(RefusalManifest, CarriesTheSentenceInAVersionThatCannotBe) {
  const std::string body = RefusalManifest("the \"code\"\nis used up [CONNECT_CODE_USED]");
  EXPECT_THAT(body, HasSubstr("\napiVersion: \"refused/by/muster: the \\\"code\\\"\\\\nis used up "
                              "[CONNECT_CODE_USED]\"\nkind: Refusal\n"));
  EXPECT_EQ(Lines(body).size(), 4U);
}

}  // namespace
}  // namespace muster::hub
