#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "common/time_format.h"
#include "hub/cli/views.h"
#include "hub/cli/words.h"

namespace muster::cli {
namespace {

using fleet::v1::Target;

// Why the hub hears nothing, or how it came to the state.
void AddPresenceNotes(const Target& target, absl::Time now, std::vector<std::string>* notes) {
  if (target.has_session_end()) {
    const auto& end = target.session_end();
    notes->push_back(fmt::format("session closed {} ago{}{}", AgeText(end.end_time(), now),
                                 end.reason().empty() ? "" : ": ", end.reason()));
    if (end.has_expected_return()) {
      const absl::Duration left = FromProto(end.expected_return()) - now;
      notes->push_back(left > absl::ZeroDuration() ? fmt::format("expected back in {}", FormatAge(left))
                                                   : fmt::format("was expected back {} ago", FormatAge(-left)));
    }
  }
  if (target.state() == types::v1::TARGET_STATE_STALE) {
    notes->push_back(target.has_last_seen_time()
                         ? fmt::format("last seen {} ago", AgeText(target.last_seen_time(), now))
                         : "not seen since the hub started");
  }
  if (target.state() == types::v1::TARGET_STATE_CONNECTED && !target.has_session() && !target.has_session_end()) {
    notes->emplace_back("no session since the hub started");
  }
  if (!target.state_reason().empty() && target.state() != types::v1::TARGET_STATE_CONNECTED) {
    notes->push_back(target.state_reason());
  }
}

std::string Counts(const Target& target) {
  std::vector<std::string> parts;
  for (const auto& count : target.deployments()) parts.push_back(CountSpan(count.status(), count.count()).text);
  return fmt::format("{}", fmt::join(parts, "  "));
}

std::string Bytes(std::int64_t bytes) {
  constexpr double kGibibyte = 1024.0 * 1024 * 1024;
  return bytes <= 0 ? "" : fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGibibyte);
}

std::string DurationText(const google::protobuf::Duration& duration) {
  return absl::FormatDuration(absl::Trunc(FromProto(duration), absl::Microseconds(100)));
}

class Facts {
 public:
  void Add(std::string_view name, const std::string& value) {
    if (!value.empty()) table_.Add({{Span(name, Tone::kQuiet)}, {Span(value)}});
  }
  void Add(std::string_view name, Spans value) { table_.Add({{Span(name, Tone::kQuiet)}, std::move(value)}); }
  const Table& table() const { return table_; }

 private:
  Table table_{{"", ""}};
};

void AddMachine(const types::v1::MachineFacts& machine, Facts* facts) {
  facts->Add("host name", machine.hostname());
  facts->Add("system", machine.os());
  facts->Add("kernel", machine.kernel().empty() ? "" : fmt::format("{} {}", machine.kernel(), machine.architecture()));
  if (machine.cpu_cores() > 0) facts->Add("CPU cores", std::to_string(machine.cpu_cores()));
  facts->Add("memory", Bytes(machine.memory_bytes()));
  facts->Add("runtime", machine.runtime());
}

void AddSession(const Target& target, absl::Time now, Facts* facts) {
  if (!target.has_session()) return;
  const auto& session = target.session();
  facts->Add("session",
             fmt::format("{}, open for {}, from {}", session.id(), AgeText(session.start_time(), now), session.peer()));
  if (session.has_round_trip()) facts->Add("round trip", DurationText(session.round_trip()));
  if (session.has_clock_skew()) facts->Add("clock skew", DurationText(session.clock_skew()));
}

}  // namespace

std::string TargetNote(const Target& target, absl::Time now) {
  std::vector<std::string> notes;
  if (!target.identity_warning().empty()) notes.push_back(fmt::format("identity: {}", target.identity_warning()));
  AddPresenceNotes(target, now, &notes);
  if (!target.observer_fault().empty()) {
    notes.push_back(fmt::format("cannot see deployments: {}", target.observer_fault()));
  }
  if (target.omitted_deployments() > 0) {
    notes.push_back(fmt::format("{} more deployments than are listed", target.omitted_deployments()));
  }
  return fmt::format("{}", fmt::join(notes, "; "));
}

void ShowTargets(const fleet::v1::ListTargetsResponse& response, absl::Time now, Page* page) {
  if (response.targets().empty()) {
    page->Line("No targets. Make one with: muster target create NAME --type docker");
    return;
  }
  Table table({"NAME", "TYPE", "CUSTOMER", "STATE", "LAST SEEN", "DEPLOYMENTS", "NOTE"});
  for (const Target& target : response.targets()) {
    const std::string seen =
        target.has_last_seen_time() ? AgeText(target.last_seen_time(), now) + " ago" : std::string("-");
    table.Add({{Span(target.name(), Tone::kStrong)},
               {Span(TypeWord(target.type()))},
               {Span(target.customer())},
               {StateSpan(target.state())},
               {Span(seen)},
               {Span(Counts(target))},
               {Span(TargetNote(target, now))}});
  }
  page->Add(table);
}

void ShowTarget(const Target& target, const fleet::v1::GetHostMetricsResponse* host, absl::Time now, Page* page) {
  Facts facts;
  facts.Add("target", {Span(target.name(), Tone::kStrong)});
  facts.Add("id", target.id());
  facts.Add("type", TypeWord(target.type()));
  facts.Add("customer", target.customer());
  Spans state = {StateSpan(target.state())};
  if (target.has_state_time()) {
    state.emplace_back(
        fmt::format(" for {}, since {}", AgeText(target.state_time(), now), TimeText(target.state_time())));
  }
  facts.Add("state", state);
  facts.Add("note", TargetNote(target, now));
  if (target.has_last_seen_time()) {
    facts.Add("last seen",
              fmt::format("{} ago, {}", AgeText(target.last_seen_time(), now), TimeText(target.last_seen_time())));
  }
  AddSession(target, now, &facts);
  facts.Add("deployments", Counts(target));
  facts.Add("agent", target.agent_version());
  if (target.has_machine()) AddMachine(target.machine(), &facts);
  if (host != nullptr) facts.Add("host", HostText(*host));
  facts.Add("metrics", target.metrics_enabled() ? "on" : "off");
  if (target.has_create_time()) facts.Add("created", TimeText(target.create_time()));
  page->Add(facts.table());
}

void ShowConnect(const std::string& target_id, const std::string& secret, const std::string& command,
                 const google::protobuf::Timestamp& expires, Page* page) {
  if (!command.empty()) {
    // As the hub wrote the command: an answer to reconnect does not have the target's type.
    const bool cluster = command.find("| kubectl ") != std::string::npos;
    page->Line(fmt::format("Run this {} (good until {}, void after the first use):",
                           cluster
                               ? "where kubectl reaches the customer's cluster, with a namespace of it for NAMESPACE"
                               : "on the customer's host",
                           TimeText(expires)));
    page->Blank();
    page->Line(command);
    page->Blank();
    page->Line("Or start the agent by hand with:");
  } else {
    page->Line("Start the agent with:");
  }
  page->Line(fmt::format("  target id      {}", target_id));
  page->Line(fmt::format("  target secret  {}", secret));
  page->Blank();
  page->Line(command.empty() ? "The secret is shown this once." : "The command and the secret are shown this once.");
}

}  // namespace muster::cli
