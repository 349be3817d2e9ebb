#include "hub/connect/connect_endpoint.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/files.h"
#include "common/status.h"
#include "common/testing/fake_clock.h"
#include "common/testing/temp_dir.h"
#include "hub/connect/connect_command.h"
#include "hub/connect/install_script.h"
#include "hub/http/server.h"
#include "hub/http/testing/raw_client.h"
#include "hub/tls/authority.h"

namespace muster::hub {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// "good" works and mints "mst_1", "mst_2", ... with a prefix. Thread-safe.
class FakeConnectService : public ConnectService {
 public:
  absl::StatusOr<ConnectGrant> Redeem(std::string_view code) override {
    ASSIGN_OR_RETURN(const types::v1::TargetType type, TypeOf(code));
    MutexLock lock(&mutex_);
    return ConnectGrant{.target_id = target_id_,
                        .target_name = "it's \"mine\"; $(touch /tmp/pwned) `x`",
                        .type = type,
                        .secret = Secret(fmt::format("{}{}", prefix_, ++minted_))};
  }
  absl::StatusOr<types::v1::TargetType> TypeOf(std::string_view code) override {
    ++asked_;
    if (code == "good") return types::v1::TARGET_TYPE_HOST;
    if (code == "cluster") return types::v1::TARGET_TYPE_KUBERNETES;
    if (code == "used") return MakeError(absl::StatusCode::kFailedPrecondition, "CONNECT_CODE_USED", "used up");
    if (code == "old") return MakeError(absl::StatusCode::kFailedPrecondition, "CONNECT_CODE_EXPIRED", "too old");
    return MakeError(absl::StatusCode::kNotFound, "CONNECT_CODE_UNKNOWN", "never heard of it");
  }
  void Grant(std::string target_id, std::string prefix) {
    MutexLock lock(&mutex_);
    target_id_ = std::move(target_id);
    prefix_ = std::move(prefix);
  }
  int minted() const {
    MutexLock lock(&mutex_);
    return minted_;
  }
  int asked() const { return asked_; }

 private:
  std::atomic<int> asked_ = 0;
  mutable Mutex mutex_;
  std::string target_id_ ABSL_GUARDED_BY(mutex_) = "tgt_1";
  std::string prefix_ ABSL_GUARDED_BY(mutex_) = "mst_";
  int minted_ ABSL_GUARDED_BY(mutex_) = 0;
};

// The server must run before the routes can be made, because they contain its port.
class LateRouter : public HttpHandler {
 public:
  void Publish(std::unique_ptr<HttpRouter> router) {
    MutexLock lock(&mutex_);
    router_ = std::move(router);
  }
  void Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) override {
    MutexLock lock(&mutex_);
    router_->Handle(std::move(request), std::move(responder));
  }

 private:
  Mutex mutex_;
  std::unique_ptr<HttpRouter> router_ ABSL_GUARDED_BY(mutex_);
};

struct Ran {
  int code = 0;
  std::string output;
};

Ran Shell(const std::string& command) {
  Ran ran;
  FILE* pipe = popen(("( " + command + " ) 2>&1").c_str(), "r");
  char buffer[512];
  while (fgets(buffer, sizeof buffer, pipe) != nullptr) ran.output += buffer;
  const int status = pclose(pipe);
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

mode_t ModeOf(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? info.st_mode & 0777 : 0;
}

class ConnectTest : public ::testing::Test {
 protected:
  ConnectTest() : binary_(dir_.path() + "/muster-agent"), pool_(2) {}

  void SetUp() override {
    std::filesystem::copy_file(FAKE_AGENT, dir_.path() + "/muster-agent");
    Start(/*with_tls=*/false);
  }
  void TearDown() override {
    Shell(fmt::format("{}/bin/muster-agent-supervise stop", Host()));
    Shell(fmt::format("{}/bin/muster-agent-supervise stop", Host() + "2"));
    server_.reset();
    pool_.Stop();
  }

  void Start(bool with_tls) {
    server_.reset();
    HttpServerOptions options{.address = {.host = "127.0.0.1", .port = 0}};
    ServerTls tls;
    if (with_tls) {
      tls = *EnsureTls(dir_.path() + "/tls", {}, absl::Now());
      options.tls = HttpTls{.cert_chain_pem = tls.cert_chain_pem, .key_pem = tls.key_pem};
    }
    auto router = std::make_unique<HttpRouter>();
    router->Add("GET", "/healthz", [](const HttpRequest&, const std::unique_ptr<HttpResponder>& responder) {
      responder->Send({.body = "ok\n"});
    });
    server_ = *HttpServer::Start(std::move(options), &handler_);
    url_ = fmt::format("{}://127.0.0.1:{}", with_tls ? "https" : "http", server_->address().port);
    endpoint_ = std::make_unique<ConnectEndpoint>(ConnectEndpointOptions{
        .public_url = url_,
        .hub_grpc_address = "127.0.0.1:7443",
        .ca_pem = tls.ca_pem,
        .spki_sha256_base64 = tls.spki_sha256_base64,
        .insecure = !with_tls,
        .agent_image = "registry/muster-agent:7",
        .service = &service_,
        .binary = &binary_,
        .workers = &pool_,
        .clock = &clock_,
    });
    endpoint_->AddTo(router.get());
    handler_.Publish(std::move(router));
    pin_ = tls.spki_sha256_base64;
  }

  std::string Host() const { return dir_.path() + "/host"; }

  // What the operator pastes, without sudo and into a folder of its own.
  Ran Install(const std::string& environment = "", const std::string& code = "good") {
    std::string command =
        ConnectCommand({.public_url = url_, .spki_sha256_base64 = pin_}, types::v1::TARGET_TYPE_HOST, code);
    command.replace(command.find("sudo sh"), 7,
                    fmt::format("MUSTER_INSTALL_WAIT=2 MUSTER_AGENT_DIR={} {} sh", Host(), environment));
    return Shell(command);
  }

  std::string Fetch(const std::string& path, const std::string& verb = "GET") {
    RawClient client(server_->address().port);
    client.Send(fmt::format("{} {} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", verb, path));
    return client.ReadAll();
  }

  std::string AgentPid() {
    return Shell(fmt::format("{0}/bin/muster-agent status --data-dir {0}/data -o json", Host())).output;
  }

  TempDir dir_;
  FakeClock clock_;
  FakeConnectService service_;
  AgentBinary binary_;
  WorkerPool pool_;
  LateRouter handler_;
  std::unique_ptr<ConnectEndpoint> endpoint_;
  std::unique_ptr<HttpServer> server_;
  std::string url_;
  std::string pin_;
};

TEST_F(ConnectTest, ThePastedLineInstallsAndWaitsForTheHub) {
  const Ran ran = Install("HTTPS_PROXY=\"http://u:p'w@proxy\" NO_PROXY=127.0.0.1");
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("● connected: this host is target it's \"mine\"; $(touch /tmp/pwned) `x` (tgt_1)"));
  EXPECT_FALSE(std::filesystem::exists("/tmp/pwned"));
  EXPECT_EQ(*ReadFile(Host() + "/etc/secret"), "mst_1\n");
  EXPECT_EQ(ModeOf(Host() + "/etc/secret"), 0600);
  EXPECT_EQ(ModeOf(Host() + "/etc/proxy.env"), 0600);
  EXPECT_EQ(ModeOf(Host() + "/data"), 0700);
  EXPECT_THAT(*ReadFile(Host() + "/etc/proxy.env"), HasSubstr("HTTPS_PROXY='http://u:p'\\''w@proxy'"));
  EXPECT_THAT(*ReadFile(Host() + "/etc/agent.env"), HasSubstr("--runtime none --insecure"));
  EXPECT_THAT(*ReadFile(Host() + "/etc/agent.env"), Not(HasSubstr("mst_")));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(Host())) {
    EXPECT_THAT(entry.path().string(), Not(::testing::EndsWith(".new")));
    EXPECT_THAT(entry.path().string(), Not(::testing::EndsWith(".old")));
  }
}

TEST_F(ConnectTest, WorksOverTlsWithTheHubsOwnAuthority) {
  Start(/*with_tls=*/true);
  const Ran ran = Install();
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_THAT(*ReadFile(Host() + "/etc/ca.pem"), StartsWith("-----BEGIN CERTIFICATE-----"));
  EXPECT_THAT(*ReadFile(Host() + "/etc/agent.env"), HasSubstr(fmt::format("--ca-file {}/etc/ca.pem", Host())));
}

TEST_F(ConnectTest, AgainOnlyReplacesTheSecretWithoutARestart) {
  ASSERT_EQ(Install().code, 0);
  const std::string before = AgentPid();
  const Ran again = Install();
  EXPECT_EQ(again.code, 0) << again.output;
  EXPECT_THAT(again.output, HasSubstr("only gets its new secret"));
  EXPECT_THAT(again.output, Not(HasSubstr("downloading")));
  EXPECT_EQ(*ReadFile(Host() + "/etc/secret"), "mst_2\n");
  // Same process, another session.
  const std::string after = AgentPid();
  EXPECT_EQ(before.substr(0, before.find(',')), after.substr(0, after.find(',')));
  EXPECT_NE(before, after);
}

TEST_F(ConnectTest, ANewBinaryIsInstalledAndStarted) {
  ASSERT_EQ(Install().code, 0);
  const std::string before = AgentPid();
  // Replaced as an upgrade of the hub does: another file under the same name.
  std::string grown = *ReadFile(dir_.path() + "/muster-agent", 100 << 20) + "upgraded";
  ASSERT_TRUE(WriteFileAtomically(dir_.path() + "/muster-agent", grown, 0755).ok());
  const Ran ran = Install();
  EXPECT_EQ(ran.code, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("downloading"));
  EXPECT_TRUE(*ReadFile(Host() + "/bin/muster-agent", 100 << 20) == grown);
  const std::string after = AgentPid();
  EXPECT_NE(before.substr(0, before.find(',')), after.substr(0, after.find(',')));
}

TEST_F(ConnectTest, ARefusedSecretIsReportedWithTheAgentsReason) {
  service_.Grant("tgt_1", "mst_refused");
  const Ran ran = Install();
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("did not acknowledge a heartbeat within 2 s"));
  EXPECT_THAT(ran.output, HasSubstr("BAD_SECRET"));
  EXPECT_THAT(ran.output, HasSubstr("what to do"));
  EXPECT_THAT(ran.output, Not(HasSubstr("mst_")));
}

TEST_F(ConnectTest, AFailedMoveToAnotherTargetGoesBackToTheFirst) {
  ASSERT_EQ(Install().code, 0);
  ASSERT_TRUE(WriteFileAtomically(Host() + "/data/journal", "precious", 0600).ok());
  service_.Grant("tgt_2", "mst_refused");
  const Ran ran = Install();
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("going back"));
  EXPECT_EQ(*ReadFile(Host() + "/etc/secret"), "mst_1\n");
  EXPECT_THAT(*ReadFile(Host() + "/etc/agent.env"), HasSubstr("tgt_1"));
  EXPECT_EQ(*ReadFile(Host() + "/data/journal"), "precious");
  EXPECT_EQ(Shell(fmt::format("sleep 0.5; {0}/bin/muster-agent status --data-dir {0}/data", Host())).code, 0);
}

TEST_F(ConnectTest, TheSupervisorStartsAgainWhatWasKilled) {
  ASSERT_EQ(Install().code, 0);
  const std::string json = AgentPid();
  const auto pid = static_cast<pid_t>(std::strtol(json.c_str() + json.find(':') + 1, nullptr, 10));
  ASSERT_GT(pid, 1);
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  EXPECT_EQ(
      Shell(fmt::format("for i in $(seq 50); do {0}/bin/muster-agent status --data-dir {0}/data -o json | grep -q "
                        "'\"pid\":{1},' || exit 0; sleep 0.1; done; exit 1",
                        Host(), pid))
          .code,
      0);
  EXPECT_THAT(*ReadFile(Host() + "/data/agent.log"), HasSubstr("starting it again in 1 s"));
}

TEST_F(ConnectTest, ADownloadThatWasTamperedWithIsNotInstalled) {
  std::string script = Fetch("/connect/good");
  script = script.substr(script.find("\r\n\r\n") + 4);
  const std::size_t at = script.find("SHA256='") + 8;
  script[at] = script[at] == 'a' ? 'b' : 'a';
  ASSERT_TRUE(WriteFileAtomically(dir_.path() + "/script", script, 0600).ok());
  const Ran ran = Shell(fmt::format("MUSTER_AGENT_DIR={} sh {}/script", Host(), dir_.path()));
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("sha256 differs"));
  EXPECT_FALSE(std::filesystem::exists(Host() + "/bin/muster-agent"));
  EXPECT_FALSE(std::filesystem::exists(Host() + "/etc/secret"));
}

TEST_F(ConnectTest, ATruncatedScriptRunsNothing) {
  std::string script = Fetch("/connect/good");
  script = script.substr(script.find("\r\n\r\n") + 4);
  for (const double part : {0.2, 0.5, 0.9, 0.99}) {
    const auto size = static_cast<std::size_t>(static_cast<double>(script.size()) * part);
    ASSERT_TRUE(WriteFileAtomically(dir_.path() + "/script", script.substr(0, size), 0600).ok());
    Shell(fmt::format("MUSTER_AGENT_DIR={} sh {}/script", Host(), dir_.path()));
    EXPECT_FALSE(std::filesystem::exists(Host())) << part;
  }
}

TEST_F(ConnectTest, WhatIsMissingIsSaidBeforeAnythingChanges) {
  EXPECT_THAT(Install("MUSTER_AGENT_DIR=relative").output, HasSubstr("absolute path"));
  EXPECT_EQ(Install("MUSTER_AGENT_DIR=relative").code, 1);
  server_->Stop(absl::ZeroDuration());
  EXPECT_FALSE(std::filesystem::exists(Host()));
}

TEST_F(ConnectTest, RefusesCodesWithAScriptThatFails) {
  const struct {
    const char *code, *status, *message;
  } cases[] = {{"used", "410", "used up"},
               {"old", "410", "too old"},
               {"other", "404", "never heard of it"},
               {"a/b", "404", "does not know"},
               {"", "404", "does not know"}};
  for (const auto& c : cases) {
    const std::string answer = Fetch(fmt::format("/connect/{}", c.code));
    EXPECT_THAT(answer, StartsWith(fmt::format("HTTP/1.1 {}", c.status))) << c.code;
    EXPECT_THAT(answer, HasSubstr(c.message));
    ASSERT_TRUE(WriteFileAtomically(dir_.path() + "/refusal", answer.substr(answer.find("\r\n\r\n") + 4), 0600).ok());
    const Ran ran = Shell(fmt::format("sh {}/refusal", dir_.path()));
    EXPECT_EQ(ran.code, 1);
    EXPECT_THAT(ran.output, HasSubstr(c.message));
  }
  EXPECT_EQ(service_.minted(), 0);
}

TEST_F(ConnectTest, AClusterGetsAManifest) {
  // No binary is needed.
  std::filesystem::remove(dir_.path() + "/muster-agent");
  for (const char* const query : {"?scope=namespace", ""}) {
    const std::string answer = Fetch(fmt::format("/connect/cluster{}", query));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: application/yaml\r\n"));
    EXPECT_THAT(answer, HasSubstr(fmt::format("\n  secret: \"mst_{}\"\n", service_.minted())));
    EXPECT_THAT(answer, HasSubstr("muster.target: \"it's \\\"mine\\\"; $(touch /tmp/pwned) `x`\"\n"));
    EXPECT_THAT(answer, HasSubstr("image: \"registry/muster-agent:7\"\n"));
  }
  EXPECT_THAT(Fetch("/connect/cluster?scope=cluster&namespace=muster"), HasSubstr("kind: ClusterRoleBinding"));
  EXPECT_EQ(service_.minted(), 3);
}

TEST_F(ConnectTest, RefusesKubectlWithADocumentThatItRefuses) {
  const struct {
    const char *path, *status, *message;
  } cases[] = {{"used?scope=namespace", "410", "used up"},
               {"old?scope=cluster&namespace=x", "410", "too old"},
               {"other?scope=namespace", "404", "never heard of it"},
               {"cluster?scope=cluster", "400", "needs the namespace"},
               {"cluster?scope=everything", "400", "scope=namespace or scope=cluster"},
               {"good?scope=namespace", "400", "is a host"}};
  for (const auto& c : cases) {
    const std::string answer = Fetch(fmt::format("/connect/{}", c.path));
    EXPECT_THAT(answer, StartsWith(fmt::format("HTTP/1.1 {}", c.status))) << c.path;
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: application/yaml\r\n"));
    EXPECT_THAT(answer, HasSubstr("\napiVersion: \"refused/by/muster: "));
    EXPECT_THAT(answer, HasSubstr(c.message));
  }
  EXPECT_EQ(service_.minted(), 0);
}

TEST_F(ConnectTest, AMisspeltChoiceIsNoGuessAtACode) {
  for (int i = 0; i <= FailureLimiter::kMaxFailures; ++i) Fetch("/connect/cluster?scope=x");
  EXPECT_THAT(Fetch("/connect/cluster"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ConnectTest, KubectlShowsARefusalsReason) {
  if (Shell("command -v kubectl").code != 0) GTEST_SKIP() << "skipped: kubectl is not installed";
  // Without a cluster: what would validate asks one first. tests/packaging/kubernetes_test.py has one.
  const Ran ran =
      Shell(fmt::format("curl -sS '{}/connect/used?scope=namespace' | HOME={} KUBECONFIG=/dev/null kubectl apply "
                        "--validate=false -n shop -f -",
                        url_, dir_.path()));
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("muster: used up [CONNECT_CODE_USED]"));
}

TEST_F(ConnectTest, APastedLineWithADeadCodeFailsWithTheReason) {
  const Ran ran = Install("", "used");
  EXPECT_EQ(ran.code, 1);
  EXPECT_THAT(ran.output, HasSubstr("used up"));
  EXPECT_FALSE(std::filesystem::exists(Host()));
}

TEST_F(ConnectTest, AHeadRequestMintsNothing) {
  EXPECT_THAT(Fetch("/connect/good", "HEAD"), StartsWith("HTTP/1.1 405"));
  EXPECT_EQ(service_.asked(), 0);
}

TEST_F(ConnectTest, WithoutABinaryTheSecretStays) {
  std::filesystem::remove(dir_.path() + "/muster-agent");
  const std::string answer = Fetch("/connect/good");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(answer, HasSubstr("--agent-binary"));
  EXPECT_EQ(service_.minted(), 0);
}

TEST_F(ConnectTest, SlowsDownGuessing) {
  for (int i = 0; i < FailureLimiter::kMaxFailures; ++i) Fetch("/connect/guess");
  EXPECT_THAT(Fetch("/connect/good"), StartsWith("HTTP/1.1 429"));
  clock_.Advance(FailureLimiter::kWindow);
  EXPECT_THAT(Fetch("/connect/good"), StartsWith("HTTP/1.1 200"));
}

TEST_F(ConnectTest, ServesTheBinaryOfItsOwnArchitectureOnly) {
  const auto content = binary_.Get();
  ASSERT_TRUE(content.ok());
  const std::string answer = Fetch("/download/muster-agent/linux-" + content->arch);
  EXPECT_TRUE(answer.substr(answer.find("\r\n\r\n") + 4) == content->file->content());
  EXPECT_THAT(Fetch("/download/muster-agent/linux-vax"), StartsWith("HTTP/1.1 404"));
  EXPECT_EQ(Shell(fmt::format("sha256sum {}/muster-agent", dir_.path())).output.substr(0, 64), content->sha256_hex);
}

TEST(RenderInstallScript, RefusesAnAddressThatASettingsFileCannotCarry) {
  InstallScriptValues values{.hub_grpc_address = "hub:7443 --insecure", .target_id = "tgt_1"};
  EXPECT_FALSE(RenderInstallScript(values).ok());
  values.hub_grpc_address = "[2001:db8::1]:7443";
  EXPECT_TRUE(RenderInstallScript(values).ok());
  values.target_id = "x\ny";
  EXPECT_FALSE(RenderInstallScript(values).ok());
}

TEST(RenderInstallScript, IsCleanForShellcheck) {
  if (Shell("command -v shellcheck").code != 0) GTEST_SKIP() << "skipped: shellcheck is not installed";
  const TempDir dir;
  const auto script =
      RenderInstallScript({.hub_url = "https://hub", .target_name = "@CA_PEM@ 'x'", .ca_pem = "a\nb\n"});
  ASSERT_TRUE(script.ok());
  EXPECT_THAT(*script, HasSubstr("TARGET_NAME='@CA_PEM@ '\\''x'\\'''"));
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/install.sh", *script, 0600).ok());
  const Ran ran = Shell(fmt::format("shellcheck -s sh {}/install.sh", dir.path()));
  EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST(SystemdUnit, IsHardened) {
  if (Shell("command -v systemd-analyze").code != 0) GTEST_SKIP() << "skipped: systemd-analyze is not installed";
  const Ran ran = Shell(fmt::format("systemd-analyze security --offline=true --threshold=20 {}", AGENT_UNIT));
  EXPECT_EQ(ran.code, 0) << ran.output;
}

}  // namespace
}  // namespace muster::hub
