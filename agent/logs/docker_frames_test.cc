#include "agent/logs/docker_frames.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "common/status.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Format = DockerFrames::Format;

constexpr std::string_view kT1 = "2026-11-21T05:24:21.123456789Z";
constexpr std::string_view kT2 = "2026-11-21T05:24:21.123456790Z";
constexpr std::string_view kLocalT1 = "2026-11-21T06:24:21.123456789+01:00";
constexpr std::int64_t kT1Ns = 1'795'238'661'123'456'789;

struct Message {
  LogStream stream = LogStream::kStdout;
  std::int64_t time_ns = 0;
  std::string text;
  bool ends_line = false;
  bool operator==(const Message&) const = default;
};

void PrintTo(const Message& message, std::ostream* out) {
  *out << static_cast<int>(message.stream) << ' ' << message.time_ns << " '" << message.text.substr(0, 60) << "' ("
       << message.text.size() << ')' << (message.ends_line ? "\\n" : "");
}

Message Out(std::string_view text, std::int64_t time_ns = kT1Ns) {
  return {LogStream::kStdout, time_ns, std::string(text), true};
}
Message Err(std::string_view text) { return {LogStream::kStderr, kT1Ns, std::string(text), true}; }
Message Piece(std::string_view text, std::int64_t time_ns = kT1Ns) {
  return {LogStream::kStdout, time_ns, std::string(text), false};
}

// As write_log_stream.go and stdcopy.go write a message.
std::string Frame(int stream, std::string_view content) {
  std::string frame(8, '\0');
  frame[0] = static_cast<char>(stream);
  for (std::size_t i = 0; i < 4; ++i) frame[7 - i] = static_cast<char>(content.size() >> (8 * i));
  return frame.append(content);
}

std::string Join(std::initializer_list<std::string_view> parts) {
  std::string joined;
  for (const std::string_view part : parts) joined += part;
  return joined;
}

struct Result {
  std::vector<Message> messages;
  absl::Status status;
};

Result Parse(Format format, const std::vector<std::string_view>& reads, bool finishes = true) {
  DockerFrames frames(format);
  Result result;
  const auto visit = [&](const DockerMessage& message) {
    EXPECT_LE(message.text.size(), kMaxMessageTextBytes);
    result.messages.push_back({message.stream, message.time_ns, std::string(message.text), message.ends_line});
  };
  for (const std::string_view read : reads) {
    result.status = frames.Feed(read, visit);
    if (!result.status.ok()) return result;
  }
  if (finishes) result.status = frames.Finish(visit);
  return result;
}

Result Parse(Format format, std::string_view bytes) { return Parse(format, std::vector<std::string_view>{bytes}); }

std::vector<Message> Messages(Format format, std::string_view bytes) {
  Result result = Parse(format, bytes);
  EXPECT_EQ(result.status, absl::OkStatus());
  return std::move(result.messages);
}

std::string ReasonFor(Format format, std::string_view bytes) { return ReasonOf(Parse(format, bytes).status); }

const std::string kX(16'384, 'x');
const std::string kZ(16'382, 'z');

// What Docker sent for a container that wrote, on stdout: "ready", "", 16,384 x and a y, 16,384 x, 16,382 z and a euro
// sign, "bin" and two bytes that are no UTF-8, "half" without a newline; on stderr: "bad". Recorded from 20.10.24 in
// Europe/Berlin; only the times are made even.
struct Recording {
  const char* name;
  Format format;
  std::string bytes;
  std::vector<Message> messages;
};

std::string Frames(std::initializer_list<std::pair<int, std::string>> contents) {
  std::string frames;
  for (const auto& [stream, content] : contents) frames += Frame(stream, content);
  return frames;
}

std::string At(int second, std::string_view text) {
  return fmt::format("2026-11-21T19:41:{:02}.657806587Z {}", second, text);
}
std::string LocalAt(int second, std::string_view text) {
  return fmt::format("2026-11-21T20:41:{:02}.657806587+01:00 {}", second, text);
}
std::int64_t NsAt(int second) { return 1'795'290'060'657'806'587 + second * std::int64_t{1'000'000'000}; }

Message LineAt(int second, std::string_view text) { return Out(text, NsAt(second)); }
Message PieceAt(int second, std::string_view text) { return Piece(text, NsAt(second)); }
Message BadAt(int second) { return {LogStream::kStderr, NsAt(second), "bad", true}; }

std::vector<Recording> Recordings() {
  return {
      {"json-file",
       Format::kMultiplexed,
       Frames({{2, At(1, "bad\n")},
               {1, At(2, "ready\n")},
               {1, At(3, "\n")},
               {1, At(4, kX)},
               {1, At(4, "y\n")},
               {1, At(5, kX)},
               {1, At(5, "\n")},
               {1, At(6, kZ + "\uFFFD\uFFFD")},
               {1, At(6, "\uFFFD\n")},
               {1, At(7, "bin\uFFFD\uFFFD\n")},
               {1, At(8, "half")}}),
       {BadAt(1), LineAt(2, "ready"), LineAt(3, ""), PieceAt(4, kX), LineAt(4, "y"), PieceAt(5, kX), LineAt(5, ""),
        PieceAt(6, kZ + "\xEF\xBF"), PieceAt(6, "\xBD\uFFFD"), LineAt(6, "\uFFFD"), LineAt(7, "bin\uFFFD\uFFFD"),
        LineAt(8, "half")}},
      {"local",
       Format::kMultiplexed,
       Frames({{2, LocalAt(1, "bad\n")},
               {1, LocalAt(2, "ready\n")},
               {1, LocalAt(3, "\n")},
               {1, LocalAt(4, kX)},
               {1, LocalAt(4, "y")},
               {1, LocalAt(5, kX)},
               {1, LocalAt(5, "")},
               {1, LocalAt(6, kZ + "\xE2\x82")},
               {1, LocalAt(6, "\xAC")},
               {1, LocalAt(7, "bin\xFF\x80\n")},
               {1, LocalAt(8, "half")}}),
       {BadAt(1), LineAt(2, "ready"), LineAt(3, ""), PieceAt(4, kX), LineAt(4, "y"), PieceAt(5, kX), LineAt(5, ""),
        PieceAt(6, kZ + "\xE2\x82"), LineAt(6, "\xAC"), LineAt(7, "bin\xFF\x80"), LineAt(8, "half")}},
      // The container was started a second time.
      {"json-file with TTY",
       Format::kTty,
       At(1, "ready\r\n") + At(2, "bad\r\n") + At(3, "\r\n") + At(4, kX) + At(4, "y\r\n") + At(5, kX) + At(5, "\r\n") +
           At(6, kZ + "\uFFFD\uFFFD") + At(6, "\uFFFD\r\n") + At(7, "bin\uFFFD\uFFFD\r\n") + At(8, "half") +
           At(9, "ready\r\n"),
       {LineAt(1, "ready\r"), LineAt(2, "bad\r"), LineAt(3, "\r"), PieceAt(4, kX), LineAt(4, "y\r"), PieceAt(5, kX),
        LineAt(5, "\r"), PieceAt(6, kZ + "\xEF\xBF"), PieceAt(6, "\xBD\uFFFD"), LineAt(6, "\uFFFD\r"),
        LineAt(7, "bin\uFFFD\uFFFD\r"), LineAt(8, "half"), LineAt(9, "ready\r")}},
      {"local with TTY",
       Format::kTty,
       LocalAt(1, "ready\r\n") + LocalAt(2, "bad\r\n") + LocalAt(3, "\r\n") + LocalAt(4, kX) + LocalAt(4, "y\r") +
           LocalAt(5, kX) + LocalAt(5, "\r") + LocalAt(6, kZ + "\xE2\x82") + LocalAt(6, "\xAC\r") +
           LocalAt(7, "bin\xFF\x80\r\n") + LocalAt(8, "half") + LocalAt(9, "ready\r\n"),
       {LineAt(1, "ready\r"), LineAt(2, "bad\r"), LineAt(3, "\r"), PieceAt(4, kX), LineAt(4, "y\r"), PieceAt(5, kX),
        LineAt(5, "\r"), PieceAt(6, kZ + "\xE2\x82"), LineAt(6, "\xAC\r"), LineAt(7, "bin\xFF\x80\r"),
        LineAt(8, "half"), LineAt(9, "ready\r")}},
      // From 25.0 on (and 23.0.8, 24.0.8), as its source says: UTC, and a newline behind the last piece.
      {"local of 25",
       Format::kMultiplexed,
       Frames({{1, At(4, kX)}, {1, At(4, "y\n")}, {1, At(5, kX)}, {1, At(5, "\n")}, {1, At(8, "half")}}),
       {PieceAt(4, kX), LineAt(4, "y"), PieceAt(5, kX), LineAt(5, ""), LineAt(8, "half")}},
  };
}

TEST(DockerFrames, ReadsWhatAnEngineSends) {
  for (const Recording& recording : Recordings()) {
    EXPECT_EQ(Messages(recording.format, recording.bytes), recording.messages) << recording.name;
  }
}

TEST(DockerFrames, CutAtEveryByteGivesTheSame) {
  for (const Recording& recording : Recordings()) {
    const std::string_view all = recording.bytes;
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
      // Far within the x one cut in a hundred will do: each costs as much as all the rest of a recording.
      const std::string_view around = all.substr(cut - std::min<std::size_t>(cut, 64), 128);
      if (cut % 100 != 0 && around.find_first_not_of(around[0]) == std::string_view::npos) continue;
      const Result result = Parse(recording.format, {all.substr(0, cut), all.substr(cut)});
      ASSERT_EQ(result.status, absl::OkStatus()) << recording.name << " cut at " << cut;
      ASSERT_EQ(result.messages, recording.messages) << recording.name << " cut at " << cut;
    }
    std::vector<std::string_view> bytewise;
    for (std::size_t i = 0; i < all.size(); ++i) bytewise.push_back(all.substr(i, 1));
    EXPECT_EQ(Parse(recording.format, bytewise).messages, recording.messages) << recording.name;
  }
}

TEST(DockerFrames, CutAnyhowGivesTheSame) {
  constexpr std::uint32_t kSeed = 7;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 200; ++round) {
    for (const Recording& recording : Recordings()) {
      std::vector<std::string_view> reads;
      for (std::string_view rest = recording.bytes; !rest.empty();) {
        reads.push_back(rest.substr(0, 1 + random() % 5000));
        rest.remove_prefix(reads.back().size());
      }
      ASSERT_EQ(Parse(recording.format, reads).messages, recording.messages) << "seed " << kSeed << ", round " << round;
    }
  }
}

TEST(DockerFrames, GivesAMessageAsSoonAsItIsThere) {
  EXPECT_THAT(Parse(Format::kMultiplexed, {Frame(1, Join({kT1, " a\n"}))}, false).messages, ElementsAre(Out("a")));
  EXPECT_THAT(Parse(Format::kTty, {Join({kT1, " a\n"})}, false).messages, ElementsAre(Out("a")));
  const std::string long_line = Join({kT1, " ", std::string(16'390, 'x'), "\n"});
  EXPECT_THAT(Parse(Format::kTty, {long_line}, false).messages,
              ElementsAre(Piece(std::string(16'384, 'x')), Out("xxxxxx")));
}

TEST(DockerFrames, ReadsTheTimesOfAnEngineInItsOwnTimeZone) {
  EXPECT_THAT(Messages(Format::kMultiplexed, Frame(1, Join({kLocalT1, " a\n"}))), ElementsAre(Out("a")));
  const std::string west = "2026-11-20T23:54:21.123456789-05:30";
  const std::string tty = Join({kLocalT1, " a", kLocalT1, " b\n", west, " c\n"});
  EXPECT_THAT(Messages(Format::kTty, tty), ElementsAre(Piece("a"), Out("b"), Out("c")));
}

TEST(DockerFrames, TimesAreThoseOfTheCalendar) {
  for (const std::string_view time : {"1970-01-01T00:00:00.000000000Z", "2000-02-29T23:59:59.999999999Z",
                                      "2100-03-01T00:00:00.000000001Z", "2262-01-01T12:00:00.000000000Z"}) {
    const auto messages = Messages(Format::kTty, Join({time, " x\n"}));
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0].time_ns, absl::ToUnixNanos(*ParseRfc3339(time))) << time;
  }
  EXPECT_THAT(Messages(Format::kTty, "0001-01-01T00:00:00.000000000Z x\n9999-12-31T23:59:59.999999999Z y\n"),
              ElementsAre(Out("x", 0), Out("y", std::numeric_limits<std::int64_t>::max())));
}

TEST(DockerFrames, TimesThatATtyApplicationWritesItselfAreText) {
  // Earlier than the engine's, or not as the engine writes them.
  const std::string text = Join({kT1, " x ", kT1, " at ", kT2, ": [", kT2, "] 2026-11-21T05:24:22Z no"});
  EXPECT_THAT(Messages(Format::kTty, Join({kT2, " ", text, "\n"})), ElementsAre(Out(text, kT1Ns + 1)));
}

TEST(DockerFrames, KubernetesLinesEndAtNewlinesOnly) {
  const std::string text = Join({kT2, " what an application writes itself, ", kT2, " too"});
  EXPECT_THAT(Messages(Format::kLines, Join({kT1, " ", text, "\n", kT2, " b\n"})),
              ElementsAre(Out(text), Out("b", kT1Ns + 1)));
  EXPECT_THAT(Messages(Format::kLines, Join({kT1, " \n", kT1, " half"})), ElementsAre(Out(""), Out("half")));
  const std::string line(20'000, 'x');
  EXPECT_THAT(Messages(Format::kLines, Join({kT1, " ", line, "\n"})),
              ElementsAre(Piece(line.substr(0, 16'384)), Out(line.substr(16'384))));
  EXPECT_EQ(ReasonFor(Format::kLines, "unable to retrieve container logs for containerd://abc"), "ENGINE_LOG_ERROR");
  EXPECT_EQ(ReasonFor(Format::kLines, "no stamp\n"), "BAD_LOG_STREAM");
}

TEST(DockerFrames, LargerMessagesThanDockersComeInSeveral) {
  // awslogs has 256 KiB.
  const std::string line(40'000, 'x');
  const auto parts = {Piece(line.substr(0, 16'384)), Piece(line.substr(0, 16'384)),
                      Out(line.substr(0, 40'000 - 32'768))};
  EXPECT_THAT(Messages(Format::kMultiplexed, Frame(1, Join({kT1, " ", line, "\n"}))), testing::ElementsAreArray(parts));
  EXPECT_THAT(Messages(Format::kTty, Join({kT1, " ", line, "\n"})), testing::ElementsAreArray(parts));
  const std::string exact(16'384, 'x');
  EXPECT_THAT(Messages(Format::kMultiplexed, Frame(1, Join({kT1, " ", exact, "\n"}))), ElementsAre(Out(exact)));
  EXPECT_THAT(Messages(Format::kTty, Join({kT1, " ", exact, "\n"})), ElementsAre(Out(exact)));
}

TEST(DockerFrames, ANewlineWithinAMessageEndsALine) {
  EXPECT_THAT(Messages(Format::kMultiplexed, Frame(2, Join({kT1, " a\n\nb\n"}))),
              ElementsAre(Err("a"), Err(""), Err("b")));
}

TEST(DockerFrames, KeepsBinaryGarbageAsItIs) {
  const std::string garbage("\0\x01\xFF\xFE\r\x80", 6);
  EXPECT_THAT(Messages(Format::kMultiplexed, Frame(1, Join({kT1, " ", garbage, "\n"}))), ElementsAre(Out(garbage)));
  EXPECT_THAT(Messages(Format::kTty, Join({kT1, " ", garbage, "\n"})), ElementsAre(Out(garbage)));
}

TEST(DockerFrames, RefusesWhatNoEngineSends) {
  const std::string good = Frame(1, Join({kT1, " a\n"}));
  for (const std::string& bad :
       {Frame(0, Join({kT1, " a\n"})), Frame(4, Join({kT1, " a\n"})),
        std::string("\x01\x00\x01\x00\x00\x00\x00\x20", 8), std::string("\x01\x00\x00\x00\x00\x10\x00\x01", 8),
        Frame(1, ""), Frame(1, "no time\n"), Frame(1, kT1), Frame(1, Join({"2026-02-30T05:24:21.123456789Z", " a\n"})),
        Frame(1, Join({"2026-11-21T24:00:00.000000000Z", " a\n"})),
        Frame(1, Join({"2026-11-21T05:24:21.123456Z", " a\n"})),
        Frame(1, Join({"2026-11-21 05:24:21.123456789Z", " a\n"})),
        Frame(1, Join({"2026-11-21T05:24:21.123456789 ", " a\n"})), Frame(1, Join({kT1, "a\n"})), good.substr(0, 12),
        std::string("HTTP/1.1 500 Internal Server Error")}) {
    const Result result = Parse(Format::kMultiplexed, good + bad);
    EXPECT_EQ(ReasonOf(result.status), "BAD_LOG_STREAM") << bad;
    EXPECT_THAT(result.messages, ElementsAre(Out("a"))) << "what came before counts: " << bad;
  }
  for (const std::string& bad :
       {std::string("no time\n"), Join({kT1, "a\n"}), std::string("E"), std::string(kT1), good}) {
    EXPECT_EQ(ReasonFor(Format::kTty, Join({kT1, " a\n", bad})), "BAD_LOG_STREAM") << bad;
  }
}

TEST(DockerFrames, FrameOfOneMebibyteIsTheLargest) {
  const std::string prefix = Join({kT1, " "});
  const std::string most(kMaxFrameBytes - prefix.size(), 'x');
  EXPECT_EQ(Messages(Format::kMultiplexed, Frame(1, prefix + most)).size(), 64U);
  EXPECT_EQ(ReasonFor(Format::kMultiplexed, Frame(1, prefix + most + "x")), "BAD_LOG_STREAM");
}

TEST(DockerFrames, ErrorsAreFoundBeforeTheirFrameIsThere) {
  EXPECT_EQ(ReasonOf(Parse(Format::kMultiplexed, {Frame(1, "not a time at all").substr(0, 9)}, false).status),
            "BAD_LOG_STREAM");
  EXPECT_EQ(ReasonOf(Parse(Format::kTty, {"x"}, false).status), "BAD_LOG_STREAM");
}

TEST(DockerFrames, TheEnginesErrorIsToldInItsWords) {
  const std::string words = "Error grabbing logs: unexpected EOF\n";
  const Result multiplexed = Parse(Format::kMultiplexed, Frame(1, Join({kT1, " a\n"})) + Frame(3, words));
  EXPECT_THAT(multiplexed.messages, ElementsAre(Out("a")));
  EXPECT_EQ(ReasonOf(multiplexed.status), "ENGINE_LOG_ERROR");
  EXPECT_EQ(MessageOf(multiplexed.status), "the engine cannot read the log: Error grabbing logs: unexpected EOF");
  const Result tty = Parse(Format::kTty, Join({kT1, " a\n", words}));
  EXPECT_THAT(tty.messages, ElementsAre(Out("a")));
  EXPECT_EQ(tty.status, multiplexed.status);
  for (std::size_t cut = 0; cut < words.size(); ++cut) {
    EXPECT_EQ(Parse(Format::kTty, {std::string_view(words).substr(0, cut), std::string_view(words).substr(cut)}).status,
              tty.status);
  }
  EXPECT_LT(Parse(Format::kMultiplexed, Frame(3, std::string(100'000, 'x'))).status.message().size(), 600U);
}

TEST(DockerFrames, NothingComesAfterAnError) {
  DockerFrames frames(Format::kMultiplexed);
  const auto never = [](const DockerMessage&) { ADD_FAILURE() << "a message"; };
  const absl::Status error = frames.Feed(Frame(9, "x"), never);
  EXPECT_FALSE(error.ok());
  EXPECT_EQ(frames.Feed(Frame(1, Join({kT1, " a\n"})), never), error);
  EXPECT_EQ(frames.Finish(never), error);
}

TEST(DockerFrames, ATtyStreamThatDoesNotEndProperlyKeepsItsRest) {
  EXPECT_THAT(Parse(Format::kTty, {Join({kT1, " half"})}, false).messages, IsEmpty());
  EXPECT_THAT(Parse(Format::kTty, Join({kT1, " half"})).messages, ElementsAre(Out("half")));
}

}  // namespace
}  // namespace muster::agent
