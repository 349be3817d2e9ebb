#include "hub/api/log_tail.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "hub/api/testing/log_calls_fixture.h"

namespace muster::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LogTailTest : public LogCallsFixture {
 protected:
  // Runs once, when a tail reads for the `call`-th time from now on.
  void OnceInCall(int call, std::function<void()> work) {
    log_reader_.OnCall([this, at = log_reader_.calls() + call, work = std::move(work)] {
      if (log_reader_.calls() == at) work();
    });
  }
  std::string LastPosition(const TailStream& stream) { return stream->written.back().position(); }
};

TEST_F(LogTailTest, BeginsWithTheLastLinesOrAWindowOrNothing) {
  AddLines(20);
  const struct {
    std::string what;
    TailLogsRequest request;
    std::vector<std::string> before;
  } cases[] = {{"nothing", TailOf(0), {}},
               {"one", TailOf(1), Numbers(20, 20)},
               {"some", TailOf(7), Numbers(14, 20)},
               {"all", TailOf(20), Numbers(1, 20)},
               {"more than there are", TailOf(1000), Numbers(1, 20)},
               {"from a time", TailFrom(15), Numbers(16, 20)},
               {"from the future", TailFrom(100), {}}};
  std::vector<TailStream> streams;
  for (const std::size_t stop_after : {0U, 3U}) {
    log_reader_.stop_after = stop_after;
    for (const auto& c : cases) {
      streams.push_back(Tail(c.request));
      EXPECT_EQ(TextsOf(streams.back()), c.before) << c.what << ' ' << stop_after;
      EXPECT_THAT(streams.back()->written, Not(IsEmpty())) << c.what << ": the first message comes at once";
      for (const TailLogsResponse& message : streams.back()->written) EXPECT_NE(message.position(), "");
    }
  }
  AddLines(2, 20);
  Stored();
  for (std::size_t i = 0; i < streams.size(); ++i) {
    std::vector<std::string> all = cases[i % std::size(cases)].before;
    all.insert(all.end(), {"21", "22"});
    EXPECT_EQ(TextsOf(streams[i]), all) << cases[i % std::size(cases)].what;
    EXPECT_EQ(EndOf(streams[i]), "");
  }
}

// A line that is stored while the tail reads what was stored before is sent once, whenever it comes.
TEST_F(LogTailTest, LinesStoredMeanwhileComeOnce) {
  AddLines(10);
  for (int call = 1; call <= 5; ++call) {
    const int had = added_;
    log_reader_.stop_after = 4;
    // One is late: its time is among those that are being read.
    OnceInCall(call, [this] {
      AddLines(1, 5);
      AddLines(1, 500);
    });
    const TailStream stream = Tail(TailFrom(0));
    log_reader_.OnCall(nullptr);
    Tick();
    ASSERT_EQ(added_, had + 2) << call;
    std::vector<std::string> texts = TextsOf(stream);
    std::sort(texts.begin(), texts.end());
    std::vector<std::string> all = Numbers(1, added_);
    std::sort(all.begin(), all.end());
    EXPECT_EQ(texts, all) << call;
    stream->GoAway();
  }
}

TEST_F(LogTailTest, LateLinesComeWhenTheyCome) {
  AddLines(3, 100);
  const TailStream stream = Tail(TailFrom(101));
  AddLines(1, 50);
  AddLines(1, 200);
  Stored();
  EXPECT_THAT(TextsOf(stream), ElementsAre("2", "3", "4", "5")) << "also of a time before the window";
  EXPECT_EQ(FromProto(stream->written.back().entries(0).line().time()), At(50));
}

TEST_F(LogTailTest, OthersLinesAreLookedAtOnce) {
  TailLogsRequest request = TailOf(0);
  request.mutable_selection()->add_resources("web-1");
  request.mutable_selection()->set_text("needle");
  const TailStream stream = Tail(request);
  log_reader_.Add(LineAt(1, "a needle", "web-2"));
  log_reader_.Add(LineAt(1, "hay"));
  log_reader_.Add(LineAt(1, "a Needle"));
  Stored();
  const int calls = log_reader_.calls();
  Stored();
  EXPECT_EQ(log_reader_.calls(), calls + 1) << "the last number alone";
  EXPECT_THAT(TextsOf(stream), ElementsAre("a Needle"));
}

TEST_F(LogTailTest, WhatIsMoreThanAStepComesInSteps) {
  const TailStream stream = Tail(TailOf(0));
  AddLines(2500);
  for (int i = 0; i < 70'000; ++i) log_reader_.Add(LineAt(1, "another's"), "dep_2", "tgt_2");
  AddLines(1);
  Stored();
  EXPECT_EQ(TextsOf(stream), Numbers(1, 2501));
}

TEST_F(LogTailTest, AHintThatComesWhileItLooksIsNotLost) {
  const TailStream stream = Tail(TailOf(0));
  log_reader_.Add(LineAt(1, "another's"), "dep_2", "tgt_2");
  // It has asked for the last number, and reads up to there.
  OnceInCall(2, [this] {
    AddLines(1);
    handlers_->LogsStored();
  });
  Stored();
  EXPECT_THAT(TextsOf(stream), ElementsAre("1"));
}

TEST_F(LogTailTest, AQuietTailSaysSoEveryFifteenSeconds) {
  AddLines(1);
  const TailStream stream = Tail(TailOf(0));
  ASSERT_THAT(stream->written, SizeIs(1));
  for (int second = 0; second < 14; ++second) {
    clock_.Advance(absl::Seconds(1));
    Tick();
  }
  EXPECT_THAT(stream->written, SizeIs(1));
  log_reader_.Add(LineAt(1, "another's"), "dep_2", "tgt_2");
  clock_.Advance(absl::Seconds(1));
  Tick();
  ASSERT_THAT(stream->written, SizeIs(2));
  EXPECT_EQ(stream->written[1].entries_size(), 0);
  EXPECT_NE(stream->written[1].position(), stream->written[0].position()) << "another's line was passed";
  clock_.Advance(absl::Seconds(15));
  AddLines(1);
  Tick();
  ASSERT_THAT(stream->written, SizeIs(3)) << "a line is a sign of life, too";
  EXPECT_EQ(stream->written[2].entries_size(), 1);
}

TEST_F(LogTailTest, AClientThatDoesNotReadHoldsNothing) {
  AddLines(5);
  auto slow = std::make_shared<FakeStreamOf<TailLogsResponse>>();
  slow->reading = false;
  Tail(TailOf(5), slow);
  EXPECT_THAT(TextsOf(slow), SizeIs(5));
  AddLines(20, 5);
  const int calls = log_reader_.calls();
  for (int i = 0; i < 10; ++i) {
    Stored();
    clock_.Advance(absl::Seconds(15));
    Tick();
  }
  EXPECT_EQ(log_reader_.calls(), calls) << "nothing is read for it";
  EXPECT_THAT(slow->written, SizeIs(1));
  slow->reading = true;
  Drain(slow);
  EXPECT_EQ(TextsOf(slow), Numbers(1, 25));
}

// What a stream did not take in the middle of a page was skipped, or sent twice.
TEST_F(LogTailTest, WhatIsNotTakenIsReadAgain) {
  const std::string filler(60'000, 'x');
  std::vector<std::string> all;
  for (int i = 0; i < 40; ++i) {
    all.push_back(fmt::format("{} {}", i, filler));
    log_reader_.Add(LineAt(i, all.back()));
  }
  for (const int last_lines : {0, 40}) {
    auto slow = std::make_shared<FakeStreamOf<TailLogsResponse>>();
    slow->reading = false;
    Tail(last_lines == 0 ? TailFrom(0) : TailOf(last_lines), slow);
    for (int i = 40; i < 60; ++i) {
      if (all.size() < 60) all.push_back(fmt::format("{} {}", i, filler));
      if (last_lines == 0) log_reader_.Add(LineAt(i, all[static_cast<std::size_t>(i)]));
    }
    for (int i = 0; i < 100; ++i) Drain(slow);
    std::vector<std::string> wanted = all;
    if (last_lines > 0) wanted.erase(wanted.begin(), wanted.begin() + 20);
    EXPECT_TRUE(TextsOf(slow) == wanted) << TextsOf(slow).size();
    for (const TailLogsResponse& message : slow->written) {
      EXPECT_LE(message.ByteSizeLong(), LineStream::kMessageBytes + 70'000);
    }
    slow->GoAway();
  }
}

TEST_F(LogTailTest, GoesOnBehindEveryPosition) {
  AddLines(30);
  log_reader_.stop_after = 7;
  for (const TailLogsRequest& request : {TailFrom(0), TailOf(30), TailOf(30)}) {
    const TailStream whole = Tail(request);
    AddLines(10, 30);
    Stored();
    ASSERT_GT(whole->written.size(), 4U);
    const std::vector<std::string> all = TextsOf(whole);
    std::size_t had = 0;
    for (const TailLogsResponse& message : whole->written) {
      had += static_cast<std::size_t>(message.entries_size());
      TailLogsRequest again = request;
      again.set_resume_position(message.position());
      const TailStream rest = Tail(again);
      EXPECT_EQ(TextsOf(rest), std::vector<std::string>(all.begin() + static_cast<std::ptrdiff_t>(had), all.end()))
          << had;
      rest->GoAway();
    }
    whole->GoAway();
  }
}

TEST_F(LogTailTest, APositionThatTheLogsDoNotKnowIsRefused) {
  AddLines(10);
  const TailStream stream = Tail(TailOf(3));
  const std::string position = LastPosition(stream);
  EXPECT_EQ(EndOf(Tail(TailOf(3, position))), "");
  EXPECT_EQ(EndOf(Tail(TailOf(5, position))), "") << "how it began is no part of it";
  EXPECT_EQ(EndOf(Tail(TailOf(3, "rubbish"))), "BAD_POSITION");
  TailLogsRequest other = TailOf(3, position);
  other.mutable_selection()->set_text("x");
  EXPECT_EQ(EndOf(Tail(other)), "BAD_POSITION");
  log_reader_.Forget(9);
  EXPECT_EQ(EndOf(Tail(TailOf(3, position))), "BAD_POSITION") << "restored from a backup that ends before";
  AddLines(1);
  log_reader_.epoch = "another";
  EXPECT_EQ(EndOf(Tail(TailOf(3, position))), "BAD_POSITION") << "a new file, whose numbers mean other lines";
}

TEST_F(LogTailTest, NoMoreThanSixtyFour) {
  std::vector<TailStream> streams;
  for (std::size_t i = 0; i < LogCalls::kMaxTails; ++i) streams.push_back(Tail(TailOf(0)));
  EXPECT_EQ(EndOf(streams.back()), "");
  EXPECT_EQ(EndOf(Tail(TailOf(0))), "API_BUSY");
  Tick();
  EXPECT_EQ(open_tails_, 64U);
  streams[5]->GoAway();
  EXPECT_EQ(EndOf(Tail(TailOf(0))), "");
  EXPECT_EQ(EndOf(Tail(TailOf(0))), "API_BUSY");
  Tick();
  EXPECT_EQ(open_tails_, 64U);
}

TEST_F(LogTailTest, EndsWithItsToken) {
  const TailStream stream = Tail(TailOf(0));
  const Caller other = RealCaller("other", ROLE_VIEWER);
  const auto kept = Open<TailLogsResponse>("TailLogs", TailOf(0), other);
  ASSERT_TRUE(tokens_->Revoke("viewer", CallerOf(ROLE_ADMIN)).ok());
  Tick();
  EXPECT_EQ(EndOf(stream), "TOKEN_REVOKED");
  EXPECT_EQ(EndOf(kept), "");
  EXPECT_EQ(stream.use_count(), 1) << "it is let go";
  EXPECT_EQ(open_tails_, 1U);
}

TEST_F(LogTailTest, EndsWithTheHub) {
  const TailStream stream = Tail(TailOf(0));
  handlers_->Stop();
  EXPECT_EQ(EndOf(stream), "HUB_STOPPING");
  EXPECT_EQ(EndOf(Tail(TailOf(0))), "HUB_STOPPING");
}

TEST_F(LogTailTest, AClientThatHasGoneIsLetGo) {
  TailStream stream = Tail(TailOf(0));
  stream->GoAway();
  const int calls = log_reader_.calls();
  AddLines(1);
  Stored();
  Tick();
  EXPECT_EQ(log_reader_.calls(), calls);
  EXPECT_EQ(stream.use_count(), 1);
}

// A client that never reads again kept one of the 64 for ever, where its transport does not notice.
TEST_F(LogTailTest, AClientThatNeverReadsIsLetGo) {
  auto slow = std::make_shared<FakeStreamOf<TailLogsResponse>>();
  slow->reading = false;
  Tail(TailOf(0), slow);
  clock_.Advance(LineStream::kPatience);
  Tick();
  EXPECT_EQ(EndOf(slow), "");
  clock_.Advance(absl::Seconds(1));
  Tick();
  EXPECT_EQ(EndOf(slow), "CLIENT_TOO_SLOW");
  Drain(slow);
  EXPECT_EQ(slow.use_count(), 1);
}

TEST_F(LogTailTest, AnErrorOfTheStoreEndsIt) {
  AddLines(3);
  log_reader_.failure = MakeError(absl::StatusCode::kUnavailable, "STORE_BUSY", "not now");
  EXPECT_EQ(EndOf(Tail(TailOf(3))), "STORE_BUSY");
}

// Lines come, also late ones, clients stall, go, and come back at their last position: each line once.
TEST_F(LogTailTest, HistoriesLoseAndRepeatNothing) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937 random(seed);
    const auto dice = [&](unsigned sides) { return static_cast<unsigned>(random() % sides); };
    const int first = added_ + 1;
    log_reader_.stop_after = dice(3) == 0 ? 0 : 1 + dice(9);
    const std::string resource = fmt::format("r{}", seed);
    const auto store = [&] {
      for (unsigned i = dice(6); i > 0; --i) {
        const std::string text = std::to_string(++added_) + std::string(dice(40) == 0 ? 200'000 : 0, 'x');
        log_reader_.Add(LineAt(static_cast<int>(dice(1000)), text, resource));
      }
    };
    store();
    log_reader_.OnCall([&] {
      if (dice(4) == 0) store();
    });
    TailLogsRequest request = TailFrom(0);
    request.mutable_selection()->add_resources(resource);
    std::map<int, int> seen;
    auto stream = std::make_shared<FakeStreamOf<TailLogsResponse>>();
    std::size_t looked_at = 0;
    const auto look = [&] {
      for (; looked_at < stream->written.size(); ++looked_at) {
        for (const std::string& text : TextsOf(stream->written[looked_at])) ++seen[std::stoi(text)];
        request.set_resume_position(stream->written[looked_at].position());
      }
    };
    Tail(request, stream);
    for (int step = 0; step < 40; ++step) {
      switch (dice(5)) {
        case 0:
          stream->reading = !stream->reading;
          break;
        case 1:
          Drain(stream);
          break;
        case 2:
          look();
          stream->GoAway();
          stream = std::make_shared<FakeStreamOf<TailLogsResponse>>();
          stream->room = 1 + dice(3);
          looked_at = 0;
          Tail(request, stream);
          break;
        default:
          store();
          Stored();
      }
    }
    log_reader_.OnCall(nullptr);
    stream->reading = true;
    for (int i = 0; i < 3; ++i) Drain(stream);
    Tick();
    look();
    EXPECT_EQ(EndOf(stream), "");
    stream->GoAway();
    ASSERT_EQ(seen.size(), static_cast<std::size_t>(added_ - first + 1));
    for (const auto& [number, times] : seen) EXPECT_EQ(times, 1) << number;
  }
}

}  // namespace
}  // namespace muster::hub
