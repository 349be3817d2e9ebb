// Database files beside hub.db that a hub can do without: a damaged one is set aside as PATH.damaged (one is kept), and
// a new one begins. PATH.bad says that the run before met damage. Used by the stores of log lines and of host metrics
// when they are opened; MarkBad also by their writers.
#ifndef MUSTER_HUB_STORE_SET_ASIDE_H_
#define MUSTER_HUB_STORE_SET_ASIDE_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace muster::hub {

// Calls `try_open`, once more when the file was found damaged and is set aside. `consequence` ends the sentence in the
// hub's log: "agents send what they still hold".
absl::Status OpenOrSetAside(const std::string& path, std::string_view consequence,
                            absl::FunctionRef<absl::Status()> try_open);
// When `fault` is damage: the next OpenOrSetAside sets the file aside.
void MarkBad(const std::string& path, const absl::Status& fault);

}  // namespace muster::hub

#endif  // MUSTER_HUB_STORE_SET_ASIDE_H_
