#include "hub/cli/fleet_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

// In a pipe every change counts, not only those of the worst hundred targets.
constexpr int kPipeTargets = 10'000;

std::string Joined(const std::vector<std::string>& facts) { return fmt::format("{}", fmt::join(facts, "\x1f")); }

// Facts about a target that do not change by the mere passing of time.
std::string TargetFacts(const fleet::v1::Target& target) {
  return Joined({std::to_string(target.state()), target.name(), target.session().id(), target.session_end().reason(),
                 std::to_string(target.session_end().end_time().seconds()), target.observer_fault(),
                 target.identity_warning()});
}

std::string DeploymentFacts(const fleet::v1::Deployment& deployment) {
  return Joined({std::to_string(deployment.status()), deployment.name(), deployment.message(), deployment.application(),
                 deployment.application_version(), deployment.revision()});
}

Spans ChangeLine(const std::string& time, const std::string& subject, Spans state, const Spans& before,
                 const std::string& note) {
  Spans line = {Span(time + "  ", Tone::kQuiet), Span(subject, Tone::kStrong), Span("  ")};
  for (Span& span : state) line.push_back(std::move(span));
  if (!before.empty()) {
    line.emplace_back(" (was ");
    line.insert(line.end(), before.begin(), before.end());
    line.emplace_back(")");
  }
  if (!note.empty()) line.emplace_back("  " + note);
  return line;
}

}  // namespace

std::vector<Spans> FleetChanges::Next(const fleet::v1::FleetStatus& status) {
  const absl::Time now = FromProto(status.hub_time());
  const std::string time = TimeText(status.hub_time());
  std::vector<Spans> lines;
  Entries next;
  const auto note = [&](const std::string& key, Entry entry, const std::string& text) {
    const auto before = entries_.find(key);
    if (before == entries_.end() || before->second.facts != entry.facts) {
      const bool other_state =
          before != entries_.end() && before->second.state.front().text != entry.state.front().text;
      lines.push_back(ChangeLine(time, entry.subject, entry.state, other_state ? before->second.state : Spans{}, text));
    }
    next[key] = std::move(entry);
  };
  if (!status.store_fault().empty()) {
    note("hub", {"hub", status.store_fault(), {Span("✖ cannot store history", Tone::kBad)}}, status.store_fault());
  }
  if (!status.log_store_fault().empty()) {
    note("hub logs", {"hub", status.log_store_fault(), {Span("✖ cannot store log lines", Tone::kBad)}},
         status.log_store_fault());
  }
  for (const auto& entry : status.target_statuses()) {
    const auto& target = entry.target();
    note(target.id(), {target.name(), TargetFacts(target), {StateSpan(target.state())}}, TargetNote(target, now));
    for (const auto& deployment : entry.deployments()) {
      const std::string subject = fmt::format("{}/{}", target.name(), deployment.name());
      note(deployment.id(), {subject, DeploymentFacts(deployment), StatusCell(deployment)}, deployment.message());
    }
  }
  int total = 0;
  for (const auto& count : status.targets()) total += count.count();
  const bool all_listed = total <= status.target_statuses_size();
  for (auto& [key, entry] : entries_) {
    if (next.count(key) != 0) continue;
    if (!all_listed) {
      next[key] = std::move(entry);  // may only have left the list of the worst
    } else if (key == "hub") {
      lines.push_back(ChangeLine(time, "hub", {Span("● stores history again", Tone::kGood)}, {}, ""));
    } else {
      lines.push_back(ChangeLine(time, entry.subject, {Span("gone")}, entry.state, ""));
    }
  }
  entries_ = std::move(next);
  return lines;
}

FleetWatch::FleetWatch(const CommandContext& context, int target_limit, Backoff backoff)
    : context_(context),
      in_place_(!context.json() && context.console().OutputIsTerminal()),
      target_limit_(target_limit != 0 || in_place_ || context.json() ? target_limit : kPipeTargets),
      stream_(context, std::move(backoff),
              in_place_ ? std::function<absl::Status()>([this] { return Draw(); }) : nullptr) {}

absl::Status FleetWatch::Run() {
  fleet::v1::WatchFleetRequest request;
  request.set_target_limit(target_limit_);
  fleet::v1::WatchFleetResponse message;
  const FleetClient::StreamEvents events = {.on_message = [&] { return OnMessage(message); },
                                            .on_tick = [this] { return OnTick(); }};
  return Annotate(stream_.Run([&] { return context_.client().Stream("WatchFleet", request, &message, events); }),
                  "watch the fleet");
}

absl::Status FleetWatch::OnMessage(const fleet::v1::WatchFleetResponse& message) {
  stream_.NoteMessage();
  status_ = message.status();
  status_at_ = context_.clock().Monotonic();
  if (context_.json()) return context_.PrintJson(message);
  return in_place_ ? Draw() : PrintChanges();
}

absl::Status FleetWatch::OnTick() { return in_place_ && stream_.any_message() ? Draw() : absl::OkStatus(); }

absl::Status FleetWatch::PrintChanges() {
  Page page;
  for (Spans& line : changes_.Next(status_)) page.Line(std::move(line));
  return context_.console().Write(page.Render(context_.TextOptions()));
}

absl::Status FleetWatch::Draw() {
  const ScreenSize size = context_.console().Size();
  Page page;
  if (const auto away_since = stream_.away_since(); away_since.has_value()) {
    page.Line({Span(fmt::format("✖ hub away for {}: {}; trying again",
                                FormatAge(context_.clock().Monotonic() - *away_since), stream_.away_why()),
                    Tone::kBad)});
  }
  ShowFleet(status_, HubNow(), &page);
  std::vector<std::string> lines =
      page.Lines(RenderOptions{.color = context_.TextOptions().color, .columns = size.columns});
  // The cursor stands on a line of its own below, and must still be on the screen to go back up.
  const auto room = static_cast<std::size_t>(std::max(2, size.rows - 1));
  if (lines.size() > room) {
    const std::size_t left = lines.size() - room + 1;
    lines.resize(room - 1);
    lines.push_back(fmt::format("and {} more lines", left));
  }
  std::string out = drawn_lines_ > 0 ? fmt::format("\r\x1b[{}A", drawn_lines_) : "";
  for (const std::string& line : lines) out += fmt::format("{}\x1b[K\n", line);
  out += "\x1b[J";
  drawn_lines_ = static_cast<int>(lines.size());
  return context_.console().Write(out);
}

absl::Time FleetWatch::HubNow() const {
  // What is shown while the hub is away is how it was when it went.
  return FromProto(status_.hub_time()) + (stream_.away_since().value_or(context_.clock().Monotonic()) - status_at_);
}

}  // namespace muster::cli
