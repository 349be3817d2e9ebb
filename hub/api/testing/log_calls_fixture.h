// Deployments that are archived and targets that are deleted, and their log lines; for tests of the calls about logs.
#ifndef MUSTER_HUB_API_TESTING_LOG_CALLS_FIXTURE_H_
#define MUSTER_HUB_API_TESTING_LOG_CALLS_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "hub/api/log_calls.h"
#include "hub/api/testing/past_fleet_fixture.h"

namespace muster::hub {

class LogCallsFixture : public PastFleetTest {
 protected:
  using TailStream = std::shared_ptr<FakeStreamOf<TailLogsResponse>>;
  using ExportStream = std::shared_ptr<FakeStreamOf<ExportLogsResponse>>;

  std::int64_t TimeUs(int second) const { return absl::ToUnixMicros(At(second)); }
  FoundLine LineAt(int second, const std::string& text, const std::string& resource = "web-1") const {
    FoundLine line;
    line.place.time_us = TimeUs(second);
    line.resource = resource;
    line.revision = "r1";
    line.text = text;
    return line;
  }
  // Lines of dep_1, one a second, whose texts are their numbers.
  void AddLines(int count, int first_second = 0) {
    for (int i = 0; i < count; ++i) log_reader_.Add(LineAt(first_second + i, std::to_string(++added_)));
  }
  static std::vector<std::string> Numbers(int first, int last) {
    std::vector<std::string> numbers;
    for (int i = first; i <= last; ++i) numbers.push_back(std::to_string(i));
    return numbers;
  }

  static QueryLogsRequest QueryOf(const std::string& deployment) {
    QueryLogsRequest request;
    request.mutable_selection()->set_deployment(deployment);
    return request;
  }
  static TailLogsRequest TailOf(int last_lines, const std::string& position = "") {
    TailLogsRequest request;
    request.mutable_selection()->set_deployment("dep_1");
    request.set_last_lines(last_lines);
    request.set_resume_position(position);
    return request;
  }
  TailLogsRequest TailFrom(int second) const {
    TailLogsRequest request = TailOf(0);
    *request.mutable_selection()->mutable_from_time() = ToProto(At(second));
    return request;
  }
  TailStream Tail(const TailLogsRequest& request, TailStream stream = nullptr) {
    return Open<TailLogsResponse>("TailLogs", request, viewer_, std::move(stream));
  }
  // As the writer says after a commit.
  void Stored() {
    handlers_->LogsStored();
    FinishScans();
  }
  void Tick() {
    handlers_->Tick();
    FinishScans();
  }
  template <typename Stream>
  void Drain(const Stream& stream) {
    stream->Drain();
    FinishScans();
  }
  template <typename Response>
  static std::vector<std::string> TextsOf(const Response& response) {
    std::vector<std::string> texts;
    for (const LogEntry& entry : response.entries()) texts.push_back(entry.has_line() ? entry.line().text() : "gap");
    return texts;
  }
  static std::vector<std::string> TextsOf(const TailStream& stream) {
    std::vector<std::string> texts;
    for (const TailLogsResponse& message : stream->written) {
      for (std::string& text : TextsOf(message)) texts.push_back(std::move(text));
    }
    return texts;
  }
  template <typename Response>
  static std::string EndOf(const std::shared_ptr<FakeStreamOf<Response>>& stream) {
    if (!stream->ended) return "";
    return stream->ended->ok() ? "OK" : ReasonOf(*stream->ended);
  }

  int added_ = 0;
  Caller viewer_ = RealCaller("viewer", ROLE_VIEWER);
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_API_TESTING_LOG_CALLS_FIXTURE_H_
