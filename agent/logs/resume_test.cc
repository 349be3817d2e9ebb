#include "agent/logs/resume.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace muster::agent {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kT = 1'800'000'000 * kSecond;
const absl::Time kNow = absl::FromUnixSeconds(1'800'000'100);

struct Message {
  LogStream stream = LogStream::kStdout;
  std::int64_t time_ns = 0;
  std::string text;

  DockerMessage Get() const { return {.stream = stream, .time_ns = time_ns, .text = text, .ends_line = true}; }
};
Message Out(std::int64_t time_ns, std::string text) { return {LogStream::kStdout, time_ns, std::move(text)}; }
Message Err(std::int64_t time_ns, std::string text) { return {LogStream::kStderr, time_ns, std::move(text)}; }

LogPlace PlaceAt(const Message& last, std::int64_t count) {
  LogPlace place{.last = IdOf(last.Get()), .streams = {}, .clock_us = 1000, .boot_id = "boot-1"};
  place.Of(last.stream).run = {.time_ns = last.time_ns, .count = count};
  return place;
}

// ---- beginning

TEST(ChooseBeginTest, ByPositionCreationAndSwitch) {
  const absl::Time settings = kNow;
  const auto at = [&](int minutes) { return settings + absl::Minutes(minutes); };
  using Time = std::optional<absl::Time>;
  struct Case {
    const char* name;
    absl::Time created;
    Time position;
    Time switched_on;
    Time lost_since;
    BeginAt begin;
  };
  const std::vector<Case> cases = {
      {"has a position", at(-9), at(1), {}, {}, BeginAt::kPosition},
      {"has one, and positions of others are lost", at(-9), at(1), {}, at(2), BeginAt::kPosition},
      {"created after the first settings", at(1), {}, {}, {}, BeginAt::kFirstLine},
      {"created with them", at(0), {}, {}, {}, BeginAt::kFirstLine},
      {"older", at(-1), {}, {}, {}, BeginAt::kLastLines},
      {"switched on again", at(1), {}, at(5), {}, BeginAt::kSwitchedOn},
      {"switched on again, older than settings", at(-1), {}, at(5), {}, BeginAt::kSwitchedOn},
      {"switched on again, a position from before", at(1), at(2), at(5), {}, BeginAt::kSwitchedOn},
      {"switched on again, a position since", at(1), at(6), at(5), {}, BeginAt::kPosition},
      {"switched on again, the position that says so", at(1), at(5), at(5), {}, BeginAt::kPosition},
      {"created after the switch", at(6), {}, at(5), {}, BeginAt::kFirstLine},
      {"positions lost", at(1), {}, {}, at(3), BeginAt::kLostSince},
      {"positions lost, older than settings", at(-1), {}, {}, at(3), BeginAt::kLostSince},
      {"created since they were lost", at(4), {}, {}, at(3), BeginAt::kFirstLine},
  };
  for (const Case& c : cases) {
    LogContainer container;
    container.created = c.created;
    const BeginFacts facts{.position_time = c.position,
                           .first_settings = settings,
                           .switched_on = c.switched_on,
                           .lost_since = c.lost_since};
    EXPECT_EQ(ChooseBegin(container, facts), c.begin) << c.name;
  }
}

// ---- asking

TEST(LogTargetTest, NamesWhatIsAsked) {
  LogContainer container;
  container.id = "abc";
  EXPECT_EQ(LogTarget(container, {.follow = true, .since_ns = kT + 5, .tail = 1001}),
            "/containers/abc/logs?follow=1&stdout=1&stderr=1&timestamps=1&since=1800000000.000000005&tail=1001");
  EXPECT_EQ(LogTarget(container, {}), "/containers/abc/logs?follow=0&stdout=1&stderr=1&timestamps=1&tail=all");
  container.log_path = "/api/v1/namespaces/shop/pods/web-0/log?container=web";
  EXPECT_EQ(LogTarget(container, {.follow = true, .since_ns = kT + 999'999'999, .tail = 1001}),
            "/api/v1/namespaces/shop/pods/web-0/log?container=web&timestamps=true&follow=true"
            "&sinceTime=2027-01-15T08:00:00Z&tailLines=1001");
  EXPECT_EQ(LogTarget(container, {}), container.log_path + "&timestamps=true");
  EXPECT_EQ(RunsPath(container), container.log_path);
  LogContainer before = container;
  before.log_path += "&previous=true";
  EXPECT_EQ(RunsPath(before), container.log_path);
}

TEST(SinceTest, IsBeforeWhateverMayStandBehindTheLastMessage) {
  const LogPlace place = PlaceAt(Out(kT, "x"), 1);
  EXPECT_EQ(SinceNs(place, kNow, 1000, "boot-1"), kT - kSecond);
  EXPECT_EQ(SinceNs(place, kNow, 5000, "boot-1"), kT - kSecond) << "set forward";
  EXPECT_EQ(SinceNs(place, kNow, 1000 - 7'000'000, "boot-1"), kT - 8 * kSecond) << "set back by 7 s";
  EXPECT_EQ(SinceNs(place, absl::FromUnixNanos(kT - 9 * kSecond), 1000, "boot-1"), kT - 10 * kSecond)
      << "in the future";

  const std::int64_t boot_us = kT / 1000 - 60'000'000;
  EXPECT_EQ(SinceNs(place, kNow, boot_us, "boot-2"), kT - 60 * kSecond) << "booted, by today's clock, before L";
  LogPlace unknown = place;
  unknown.boot_id.clear();
  EXPECT_EQ(SinceNs(unknown, kNow, boot_us, ""), kT - 60 * kSecond) << "a boot that nobody knows is no boot";
  EXPECT_EQ(SinceNs(place, kNow, kT / 1000 + 1, "boot-2"), kT - kSecond) << "booted behind L";

  LogPlace open = place;
  open.Of(LogStream::kStderr).state.open_line_ns = kT - 30 * kSecond;
  EXPECT_EQ(SinceNs(open, kNow, 1000, "boot-1"), kT - 30 * kSecond) << "an open line began before";
  EXPECT_EQ(SinceNs(PlaceAt(Out(5, "x"), 1), kNow, 1000, "boot-1"), 0) << "1970";
}

// ---- finding

struct SearchCase {
  const char* name;
  Message last;
  std::int64_t count;
  std::optional<std::int64_t> tail;
  std::vector<Message> answer;
  // -1: not found.
  std::int64_t behind;
  std::int64_t found_count;
};

TEST(PlaceSearchTest, FindsTheMessageByStreamTimeCountAndContent) {
  const Message a = Out(kT, "a");
  const Message b = Out(kT, "b");
  const Message before = Out(kT - 5, "before");
  const std::vector<SearchCase> cases = {
      {"the only one", a, 1, 1000, {a}, 0, 1},
      {"nothing there", a, 1, 1000, {}, -1, 0},
      {"in the middle", a, 1, 1000, {before, a, Out(kT + 1, "c"), Err(kT - 7, "d")}, 2, 1},
      {"another text", a, 1, 1000, {b}, -1, 0},
      {"another length", a, 1, 1000, {Out(kT, "aa")}, -1, 0},
      {"the other stream", a, 1, 1000, {Err(kT, "a")}, -1, 0},
      {"the second of three alike", a, 2, 1000, {a, a, a}, 1, 2},
      {"the other stream does not count", a, 2, 1000, {a, Err(kT, "a"), a, a}, 1, 2},
      {"counted with those of other texts", a, 3, 1000, {before, b, b, a}, 0, 3},
      {"fewer are there than were counted", a, 4, 1000, {before, b, b, a}, -1, 0},
      {"rotated away within the time", a, 5, std::nullopt, {b, a, Out(kT + 1, "c")}, 1, 2},
      {"cut, so counts tell nothing", a, 1, 3, {a, b, b}, -1, 0},
      {"cut in front of another time", a, 1, 3, {before, a, b}, 1, 1},
      {"cut within the time", a, 5, 2, {b, a}, -1, 0},
      {"the clock came to the same time twice", a, 1, 1000, {a, before, a}, 0, 1},
  };
  for (const SearchCase& c : cases) {
    PlaceSearch search(PlaceAt(c.last, c.count), c.tail);
    for (const Message& message : c.answer) search.See(message.Get());
    const std::optional<PlaceSearch::Found> found = search.Finish();
    EXPECT_EQ(found.has_value(), c.behind >= 0) << c.name;
    if (!found.has_value()) continue;
    EXPECT_EQ(found->behind, c.behind) << c.name;
    EXPECT_EQ(found->count, c.found_count) << c.name;
  }
}

TEST(ProveAbsenceTest, ByTheOldestMessage) {
  EXPECT_EQ(ProveAbsence(kT, std::nullopt), Absence::kRotated);
  EXPECT_EQ(ProveAbsence(kT, kT), Absence::kRotated);
  EXPECT_EQ(ProveAbsence(kT, kT + 1), Absence::kRotated);
  EXPECT_EQ(ProveAbsence(kT, kT - 1), Absence::kLostEnd);
}

// ---- skipping

std::string NewOf(Skipper skipper, const std::vector<Message>& messages) {
  std::string texts;
  for (const Message& message : messages) {
    if (skipper.IsNew(message.Get())) texts += message.text;
  }
  return texts;
}

TEST(SkipperTest, AllBehindTheMessageIsNewWhateverItsTime) {
  const std::vector<Message> messages = {Out(kT - 1, "a"), Out(kT, "b"), Err(kT, "b"), Out(kT, "b"),
                                         Err(kT - 9, "c"), Out(0, "d"),  Out(kT, "b")};
  EXPECT_EQ(NewOf(Skipper(PlaceAt(Out(kT, "b"), 1)), messages), "bbcdb");
  EXPECT_EQ(NewOf(Skipper(PlaceAt(Out(kT, "b"), 2)), messages), "cdb");
  EXPECT_EQ(NewOf(Skipper(PlaceAt(Out(kT, "b"), 3)), messages), "");
  EXPECT_EQ(NewOf(Skipper(), messages), "abbbcdb");
  EXPECT_TRUE(Skipper(PlaceAt(Out(kT, "b"), 3)).waits());
  EXPECT_FALSE(Skipper().waits());
}

TEST(SkipperTest, FromAMomentOnTheFirstLaterOneIsNew) {
  LogPlace moment = PlaceAt(Out(kT, ""), 1);
  moment.is_moment = true;
  EXPECT_EQ(NewOf(Skipper(moment), {Out(kT - 1, "a"), Err(kT, "b"), Err(kT + 1, "c"), Out(kT - 1, "d")}), "cd");
  EXPECT_FALSE(Skipper(moment).waits());
}

}  // namespace
}  // namespace muster::agent
