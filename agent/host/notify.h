// Tells the service manager how the agent is (sd_notify(3)), by hand because the agent links no libsystemd. Without
// $NOTIFY_SOCKET every call does nothing. Not thread-safe; never blocks.
#ifndef MUSTER_AGENT_HOST_NOTIFY_H_
#define MUSTER_AGENT_HOST_NOTIFY_H_

#include <optional>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "common/clock.h"

namespace muster::agent {

class ServiceNotifier {
 public:
  // `socket_path` as $NOTIFY_SOCKET has it ("/run/...", or "@name" for the abstract namespace); empty: nobody listens.
  // `watchdog` is the time after which the manager kills a silent service; zero: never.
  ServiceNotifier(std::string socket_path, absl::Duration watchdog);
  // From $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID.
  static ServiceNotifier FromEnvironment();

  void Ready();
  void Stopping();
  // One line for `systemctl status`.
  void Status(std::string_view text);
  // To be called by the loop that does the work at each pass; tells the manager twice per watchdog time.
  void Alive(Instant now);

 private:
  void Send(std::string_view message);

  std::string socket_path_;
  absl::Duration alive_every_;
  std::optional<Instant> last_alive_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_HOST_NOTIFY_H_
