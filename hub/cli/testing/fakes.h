// Fakes of the CLI's seams for its tests: a hub that answers from a script, a console that remembers.
#ifndef MUSTER_HUB_CLI_TESTING_FAKES_H_
#define MUSTER_HUB_CLI_TESTING_FAKES_H_

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/testing/fake_clock.h"
#include "hub/cli/app.h"
#include "hub/cli/connect_protocol.h"
#include "hub/cli/console.h"
#include "hub/cli/exit_code.h"
#include "hub/cli/fleet_client.h"
#include "hub/cli/http_transport.h"

namespace muster::cli {

class FakeConsole : public Console {
 public:
  absl::Status Write(std::string_view text) override {
    out += text;
    return write_status;
  }
  void WriteError(std::string_view text) override { err += text; }
  absl::StatusOr<std::string> ReadLine() override {
    if (!answer.has_value()) return absl::OutOfRangeError("the input ended before an answer came");
    return *answer;
  }
  bool OutputIsTerminal() const override { return output_is_terminal; }
  bool ErrorIsTerminal() const override { return error_is_terminal; }
  bool InputIsTerminal() const override { return input_is_terminal; }
  ScreenSize Size() const override { return size; }

  std::string out;
  std::string err;
  std::optional<std::string> answer;
  bool output_is_terminal = false;
  bool error_is_terminal = false;
  bool input_is_terminal = false;
  ScreenSize size{.columns = 80, .rows = 24};
  absl::Status write_status;
};

// Time passes only by waiting.
class FakeInterrupt : public Interrupt {
 public:
  explicit FakeInterrupt(FakeClock* clock) : clock_(clock) {}
  bool Raised() const override { return raised; }
  bool WaitFor(absl::Duration duration) override {
    clock_->Advance(duration);
    return raised;
  }
  int fd() const override { return -1; }

  bool raised = false;

 private:
  FakeClock* const clock_;
};

class FakeHub : public HttpTransport {
 public:
  // What a method answers; the last answer stays.
  void Answer(const std::string& method, const google::protobuf::Message& message) {
    Reply(method, 200, "application/json", *ToJson(message));
  }
  void Reply(const std::string& method, long status, const std::string& content_type, const std::string& body) {
    answers_[method].push_back(
        HttpReply{.head = {.status = status, .content_type = content_type, .date = {}}, .body = body});
  }
  void Fail(const absl::Status& status) { failure_ = status; }

  absl::StatusOr<HttpReply> Post(const HttpRequest& request) override {
    requests.push_back(request);
    if (!failure_.ok()) return failure_;
    std::deque<HttpReply>& answers = answers_[MethodOf(request)];
    if (answers.empty()) return absl::InternalError("no answer was prepared for " + MethodOf(request));
    HttpReply reply = answers.front();
    if (answers.size() > 1) answers.pop_front();
    return reply;
  }
  absl::Status PostStream(const HttpRequest& request, StreamHandler* handler) override {
    requests.push_back(request);
    if (streams.empty()) return absl::InternalError("no stream was prepared");
    const auto stream = std::move(streams.front());
    streams.pop_front();
    return stream(handler);
  }

  static std::string MethodOf(const HttpRequest& request) { return request.url.substr(request.url.rfind('/') + 1); }

  std::vector<HttpRequest> requests;
  // Each plays one stream.
  std::deque<std::function<absl::Status(StreamHandler*)>> streams;

 private:
  std::map<std::string, std::deque<HttpReply>> answers_;
  absl::Status failure_;
};

// A command line with everything around it faked.
struct FakeApp {
  FakeClock clock;
  FakeConsole console;
  FakeInterrupt interrupt{&clock};
  FakeHub hub;
  std::map<std::string, std::string> environment = {{"MUSTER_TOKEN", "mtk_test"}, {"MUSTER_HUB", "https://hub:8080"}};

  int Run(const std::vector<std::string>& args) {
    console.out.clear();
    console.err.clear();
    return RunApp(args, {.transport = &hub,
                         .console = &console,
                         .interrupt = &interrupt,
                         .clock = &clock,
                         .environment = [this](const std::string& name) -> std::optional<std::string> {
                           const auto it = environment.find(name);
                           return it == environment.end() ? std::nullopt : std::optional(it->second);
                         }});
  }
  // The last request, as the message it carried.
  template <typename Request>
  Request LastRequest() const {
    Request request;
    if (hub.requests.empty() || !FromJson(hub.requests.back().body, &request).ok()) std::abort();
    return request;
  }
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_TESTING_FAKES_H_
