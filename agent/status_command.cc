#include "agent/status_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/text.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

std::string Ago(absl::Time then, absl::Time now) {
  return fmt::format("{} ago", FormatAge(std::max(now - then, absl::ZeroDuration())));
}

std::string Headline(const ObservedState& observed) {
  const SessionStatus& session = observed.state.session;
  if (!observed.agent_running) return "○ not running";
  if (IsConnected(observed)) return fmt::format("● connected as {}", EscapeControl(session.target_name));
  if (session.last_error.empty()) return "○ connecting";
  return "○ not connected";
}

}  // namespace

bool IsConnected(const ObservedState& observed) { return observed.agent_running && observed.state.session.connected; }

std::string DescribeState(const ObservedState& observed, absl::Time now) {
  const AgentState& state = observed.state;
  const SessionStatus& session = state.session;
  std::string text = fmt::format("{}\n", Headline(observed));
  text +=
      fmt::format("  hub           {}\n  target        {}\n", EscapeControl(state.hub), EscapeControl(state.target_id));
  if (session.last_ack_time.has_value()) text += fmt::format("  last ack      {}\n", Ago(*session.last_ack_time, now));
  if (!session.last_error.empty() && !session.connected) {
    text += fmt::format("  last error    {}\n", EscapeControl(session.last_error));
  }
  if (session.last_farewell_time.has_value()) {
    text += fmt::format("  last farewell {}, {}: {}\n", EscapeControl(session.last_farewell_reason),
                        Ago(*session.last_farewell_time, now), EscapeControl(session.last_farewell_message));
  }
  const JournalStatus& journal = state.journal;
  text += fmt::format("  journal       {} records, {} bytes wait for the hub\n", journal.records, journal.bytes);
  if (journal.dropped_total > 0 || journal.poisoned_total > 0) {
    text += fmt::format("                {} were dropped, {} refused\n", journal.dropped_total, journal.poisoned_total);
  }
  if (!journal.fault.empty()) text += fmt::format("  journal fault {}\n", EscapeControl(journal.fault));
  return text;
}

std::string DescribeStateAsJson(const ObservedState& observed) {
  nlohmann::json json = nlohmann::json::parse(FormatAgentState(observed.state));
  json["running"] = observed.agent_running;
  json["connected"] = IsConnected(observed);
  return json.dump() + "\n";
}

std::string DescribeLife(const ObservedLife& life, Instant now) {
  if (!life.agent_running) return "○ not alive: no agent runs with this data folder\n";
  if (!life.turned.has_value()) return "○ not alive: an agent holds this data folder, and has shown no sign of life\n";
  const std::string age = FormatAge(now - *life.turned);
  if (IsAlive(life, now)) return fmt::format("● alive: the agent's loop turned {} ago\n", age);
  return fmt::format("○ not alive: the agent runs, but its loop has not turned for {}; {} are allowed\n", age,
                     FormatAge(kAliveWithin));
}

std::string DescribeLifeAsJson(const ObservedLife& life, Instant now) {
  nlohmann::json json = {{"alive", IsAlive(life, now)}, {"running", life.agent_running}, {"loop_age_seconds", nullptr}};
  if (life.turned.has_value()) {
    json["loop_age_seconds"] = absl::ToDoubleSeconds(std::max(now - *life.turned, absl::ZeroDuration()));
  }
  return json.dump() + "\n";
}

}  // namespace muster::agent
