#include "agent/jobs/push_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/jobs/push_parser.h"
#include "agent/jobs/unix_socket.h"
#include "common/clock.h"
#include "common/secret.h"
#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

enum ExitCode { kExitDurable = 0, kExitRefused = 1, kExitUsage = 2, kExitTimedOut = 6, kExitNoAgent = 7 };

constexpr absl::Duration kFirstPause = absl::Milliseconds(50);
constexpr absl::Duration kLongestPause = absl::Seconds(1);
// An agent that took a push and says nothing is asked again on a new connection.
constexpr absl::Duration kAnswerPatience = absl::Seconds(10);
constexpr std::size_t kMaxAnswerBytes = 8192;

absl::Status Usage(std::string_view sentence) {
  return MakeError(absl::StatusCode::kInvalidArgument, "USAGE", sentence);
}

// "NAME=REST" as "WORD NAME REST"; the last = of a sample, whose labels have others, and the first of the rest.
absl::Status AddStatement(std::string_view word, std::string_view text, bool is_sample, std::string* request) {
  const std::size_t equals = is_sample ? text.rfind('=') : text.find('=');
  if (equals == std::string_view::npos || equals == 0 || text.find('\n') != std::string_view::npos) {
    return Usage(
        fmt::format("--{} \"{}\" is not of the form NAME=VALUE; for example --counter 'rows_total{{table=\"a\"}}=5'",
                    word == "histogram" ? "observe" : word, text));
  }
  std::string rest(text.substr(equals + 1));
  if (word == "histogram" || word == "buckets") std::replace(rest.begin(), rest.end(), ',', ' ');
  fmt::format_to(std::back_inserter(*request), "{} {} {}\n", word, text.substr(0, equals), rest);
  return absl::OkStatus();
}

absl::Status AddStatements(const RawPush& raw, std::string* request) {
  const std::pair<std::string_view, const std::vector<std::string>*> kinds[] = {
      {"buckets", &raw.buckets},        {"counter", &raw.counters}, {"gauge", &raw.gauges},
      {"histogram", &raw.observations}, {"help", &raw.help_texts},  {"unit", &raw.units}};
  for (const auto& [word, texts] : kinds) {
    const bool is_sample = word == "counter" || word == "gauge" || word == "histogram";
    for (const std::string& text : *texts) RETURN_IF_ERROR(AddStatement(word, text, is_sample, request));
  }
  return absl::OkStatus();
}

// What the agent would say to it; also that it is one push and not several.
absl::Status CheckRequest(const std::string& request) {
  PushParser parser;
  std::vector<PushRequest> requests;
  parser.Feed(request, &requests);
  for (const PushRequest& read : requests) {
    if (!read.error.ok()) return read.error;
  }
  if (requests.size() == 1) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInvalidArgument, "BAD_PUSH",
                   "standard input holds more than the statements of one push");
}

std::string NewId() {
  std::array<std::uint8_t, 16> bytes{};
  randombytes_buf(bytes.data(), bytes.size());
  return ToHex(bytes.data(), bytes.size());
}

bool SaysLater(std::string_view answer) {
  return answer.starts_with("error BUSY") || answer.starts_with("error DISK_FULL") ||
         answer.starts_with("error STORE_FAILED");
}

void Pause(absl::Duration pause) { poll(nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(pause)) + 1); }

// Waits until `fd` takes or gives something.
bool Await(int fd, short what, Instant deadline) {
  const absl::Duration left = deadline - Clock::System()->Monotonic();
  if (left <= absl::ZeroDuration()) return false;
  pollfd poll_fd{.fd = fd, .events = what, .revents = 0};
  return poll(&poll_fd, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1) > 0;
}

// The answer's line, or empty: the connection ended, or time is up.
std::string Exchange(int fd, std::string_view request, Instant deadline) {
  while (!request.empty()) {
    if (!Await(fd, POLLOUT, deadline)) return "";
    const ssize_t sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return "";
    if (sent > 0) request.remove_prefix(static_cast<std::size_t>(sent));
  }
  std::string answer;
  while (answer.find('\n') == std::string::npos && answer.size() < kMaxAnswerBytes) {
    if (!Await(fd, POLLIN, deadline)) return "";
    std::array<char, 1024> bytes{};
    const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0) return "";
    answer.append(bytes.data(), static_cast<std::size_t>(got));
  }
  return answer.substr(0, answer.find('\n'));
}

std::string ReadStdin() {
  std::string text;
  std::array<char, 65536> bytes{};
  // One byte more than is taken tells that it is too much.
  while (std::cin && text.size() <= kMaxPushBytes) {
    std::cin.read(bytes.data(), bytes.size());
    text.append(bytes.data(), static_cast<std::size_t>(std::cin.gcount()));
  }
  return text;
}

int Tell(const RawPush& raw, const std::string& id, std::string_view result, const absl::Status& error, int exit_code) {
  if (raw.output == "json") {
    nlohmann::json document = {{"group", raw.group}, {"id", id}, {"result", result}};
    if (!error.ok()) document["reason"] = ReasonOf(error);
    if (!error.ok()) document["message"] = MessageOf(error);
    fmt::print("{}\n", document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else if (error.ok()) {
    fmt::print("{} {}\n", raw.group, result);
  }
  if (!error.ok()) fmt::print(stderr, "muster-agent: {} [{}]\n", EscapeControl(MessageOf(error)), ReasonOf(error));
  return exit_code;
}

}  // namespace

absl::StatusOr<PushText> MakePushText(const RawPush& raw, const std::string& statements) {
  PushText text;
  if (raw.success && raw.failure) return Usage("--success and --failure contradict each other");
  if (raw.deletes) {
    text.request = fmt::format("delete {}\n", raw.group);
  } else {
    text.id = raw.id.empty() ? NewId() : raw.id;
    text.request = fmt::format("push {} id={}", raw.group, text.id);
    if (!raw.time_to_live.empty()) text.request += " ttl=" + raw.time_to_live;
    if (!raw.period.empty()) text.request += " period=" + raw.period;
    if (raw.success) text.request += " success";
    if (raw.failure) text.request += " failure";
    text.request += "\n";
    RETURN_IF_ERROR(AddStatements(raw, &text.request));
    text.request += statements;
    if (!text.request.ends_with('\n')) text.request += "\n";
    text.request += "end\n";
  }
  RETURN_IF_ERROR(CheckRequest(text.request));
  return text;
}

std::vector<std::string> PushSocketPaths(const std::string& given) {
  if (!given.empty()) return {given};
  return {"/run/muster-agent/push.sock", "/var/lib/muster-agent/push.sock"};
}

absl::StatusOr<std::string> SendPush(const std::vector<std::string>& paths, const std::string& request,
                                     absl::Duration wait) {
  const Instant deadline = Clock::System()->Monotonic() + wait;
  absl::Duration pause = kFirstPause;
  absl::Status last = absl::OkStatus();
  std::string later;
  bool reached = false;
  while (true) {
    later.clear();
    for (const std::string& path : paths) {
      auto socket = ConnectUnix(path);
      if (!socket.ok()) {
        // Of several places the first that is there and does not work says most.
        if (last.ok() || !absl::IsNotFound(socket.status())) last = socket.status();
        continue;
      }
      reached = true;
      const std::string answer =
          Exchange(socket->get(), request, std::min(deadline, Clock::System()->Monotonic() + kAnswerPatience));
      if (!answer.empty() && !SaysLater(answer)) return answer;
      later = answer;
      break;
    }
    const absl::Duration left = deadline - Clock::System()->Monotonic();
    if (left <= absl::ZeroDuration()) break;
    Pause(std::min(pause, left));
    pause = std::min(2 * pause, kLongestPause);
  }
  if (!later.empty()) return later;
  if (reached) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "TIMED_OUT",
                     "the agent did not answer in time: whether the push counts is not known; the same push with the "
                     "same --id settles it");
  }
  return MakeError(
      absl::StatusCode::kUnavailable, "NO_AGENT",
      fmt::format("no agent takes pushes: {}; start it, or give its socket with --socket", MessageOf(last)));
}

int RunPush(const RawPush& raw) {
  absl::Duration wait;
  if (!absl::ParseDuration(raw.wait, &wait) || wait < absl::ZeroDuration()) {
    return Tell(raw, raw.id, "usage", Usage(fmt::format("--wait \"{}\" is not a duration, such as 30s", raw.wait)),
                kExitUsage);
  }
  const absl::StatusOr<PushText> text = MakePushText(raw, raw.from_stdin ? ReadStdin() : "");
  if (!text.ok()) {
    const bool is_usage = ReasonOf(text.status()) == "USAGE";
    return Tell(raw, raw.id, is_usage ? "usage" : "refused", text.status(), is_usage ? kExitUsage : kExitRefused);
  }
  const absl::StatusOr<std::string> answer = SendPush(PushSocketPaths(raw.socket), text->request, wait);
  if (!answer.ok()) {
    const bool no_agent = absl::IsUnavailable(answer.status());
    return Tell(raw, text->id, no_agent ? "no_agent" : "timed_out", answer.status(),
                no_agent ? kExitNoAgent : kExitTimedOut);
  }
  if (answer->starts_with("ok")) return Tell(raw, text->id, *answer, absl::OkStatus(), kExitDurable);
  std::string_view rest = *answer;
  rest.remove_prefix(std::min(rest.size(), std::string_view("error ").size()));
  const std::size_t space = std::min(rest.find(' '), rest.size());
  const std::string reason(rest.substr(0, space));
  rest.remove_prefix(std::min(rest.size(), space + 1));
  const bool later = SaysLater(*answer);
  return Tell(raw, text->id, later ? "timed_out" : "refused",
              MakeError(absl::StatusCode::kFailedPrecondition, reason.empty() ? "BAD_ANSWER" : reason, rest),
              later ? kExitTimedOut : kExitRefused);
}

}  // namespace muster::agent
