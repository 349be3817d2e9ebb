// AgentState as JSON: what docs/agent.md describes.
#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "agent/host/data_dir.h"
#include "common/status.h"
#include "common/time_format.h"

namespace muster::agent {
namespace {

using Json = nlohmann::json;

absl::Status Broken(std::string_view what) {
  return MakeError(absl::StatusCode::kDataLoss, "BROKEN_STATE",
                   fmt::format("not a state file of the agent ({})", what));
}

std::string Text(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t Number(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_integer()) return 0;
  // Larger than the type can hold: as good as absent.
  if (found->is_number_unsigned() &&
      found->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return 0;
  }
  return found->get<std::int64_t>();
}

bool Flag(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

std::optional<absl::Time> TimeOf(const Json& json, const char* key) {
  const auto time = ParseRfc3339(Text(json, key));
  return time.ok() ? std::optional<absl::Time>(*time) : std::nullopt;
}

void PutTime(Json* json, const char* key, const std::optional<absl::Time>& time) {
  (*json)[key] = time.has_value() ? Json(FormatRfc3339(*time)) : Json(nullptr);
}

}  // namespace

absl::StatusOr<AgentState> ParseAgentState(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded() || !json.is_object()) return Broken("not a JSON object");
  const auto counter = json.find("session_counter");
  if (counter == json.end() || !counter->is_number_integer()) return Broken("no session_counter");
  AgentState state;
  state.session_counter = Number(json, "session_counter");
  if (state.session_counter < 0) return Broken("negative session_counter");
  state.target_id = Text(json, "target_id");
  state.hub = Text(json, "hub");
  state.agent_version = Text(json, "agent_version");
  state.pid = Number(json, "pid");
  state.start_time = TimeOf(json, "start_time");
  state.update_time = TimeOf(json, "update_time");
  state.session.connected = Flag(json, "connected");
  state.session.session_id = Text(json, "session_id");
  state.session.target_name = Text(json, "target_name");
  state.session.last_ack_time = TimeOf(json, "last_ack_time");
  state.session.last_farewell_reason = Text(json, "last_farewell_reason");
  state.session.last_farewell_message = Text(json, "last_farewell_message");
  state.session.last_farewell_time = TimeOf(json, "last_farewell_time");
  state.session.last_error = Text(json, "last_error");
  state.journal.records = Number(json, "journal_records");
  state.journal.bytes = Number(json, "journal_bytes");
  state.journal.dropped_total = Number(json, "journal_dropped_records_total");
  state.journal.poisoned_total = Number(json, "journal_poisoned_records_total");
  state.journal.fault = Text(json, "journal_fault");
  state.jobs.groups = Number(json, "jobs_groups");
  state.jobs.series = Number(json, "jobs_series");
  state.jobs.fault = Text(json, "jobs_fault");
  state.jobs.socket = Text(json, "jobs_socket");
  return state;
}

std::string FormatAgentState(const AgentState& state) {
  Json json = {{"session_counter", state.session_counter},
               {"target_id", state.target_id},
               {"hub", state.hub},
               {"agent_version", state.agent_version},
               {"pid", state.pid},
               {"connected", state.session.connected},
               {"session_id", state.session.session_id},
               {"target_name", state.session.target_name},
               {"last_farewell_reason", state.session.last_farewell_reason},
               {"last_farewell_message", state.session.last_farewell_message},
               {"last_error", state.session.last_error},
               {"journal_records", state.journal.records},
               {"journal_bytes", state.journal.bytes},
               {"journal_dropped_records_total", state.journal.dropped_total},
               {"journal_poisoned_records_total", state.journal.poisoned_total},
               {"journal_fault", state.journal.fault},
               {"jobs_groups", state.jobs.groups},
               {"jobs_series", state.jobs.series},
               {"jobs_fault", state.jobs.fault},
               {"jobs_socket", state.jobs.socket}};
  PutTime(&json, "start_time", state.start_time);
  PutTime(&json, "update_time", state.update_time);
  PutTime(&json, "last_ack_time", state.session.last_ack_time);
  PutTime(&json, "last_farewell_time", state.session.last_farewell_time);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace muster::agent
