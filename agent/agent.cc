#include "agent/agent.h"

#include <unistd.h>

#include <memory>
#include <thread>
#include <utility>

#include "agent/host/data_dir.h"
#include "agent/host/facts.h"
#include "agent/host/notify.h"
#include "agent/host/own_use.h"
#include "agent/host/secret_file.h"
#include "agent/host/state_keeper.h"
#include "agent/link/grpc_dialer.h"
#include "agent/make_observer.h"
#include "agent/session/session_runner.h"
#include "common/log.h"
#include "common/signals.h"
#include "common/status.h"
#include "common/version.h"

namespace muster::agent {
namespace {

class AgentHousekeeping : public Housekeeping {
 public:
  AgentHousekeeping(const RunConfig& config, StateKeeper* keeper, ServiceNotifier notifier)
      : secret_(config.secret_file, config.secret), keeper_(keeper), notifier_(std::move(notifier)) {
    notifier_.Ready();
  }

  // The observer is made after the session it publishes to.
  void set_observer(Observer* observer) { observer_ = observer; }

  std::optional<Secret> PollSecret() override { return secret_.Poll(); }
  void KeepSessionCounter(std::int64_t counter) override { keeper_->KeepSessionCounter(counter); }
  void SessionIs(const SessionStatus& status) override {
    if (status.changes == told_changes_) return;
    told_changes_ = status.changes;
    keeper_->Update(status);
    notifier_.Status(status.connected ? "connected" : status.last_error);
  }
  void Alive(Instant now) override { notifier_.Alive(now); }
  void RelistIntervalChanged(absl::Duration interval) override { observer_->SetRelistInterval(interval); }
  void Stopping() { notifier_.Stopping(); }

 private:
  SecretFileWatch secret_;
  StateKeeper* const keeper_;
  ServiceNotifier notifier_;
  Observer* observer_ = nullptr;
  std::uint64_t told_changes_ = 0;
};

AgentState InitialState(const DataDir& dir, const RunConfig& config) {
  const AgentState last = dir.LoadState();
  AgentState state;
  // A counter belongs to its target.
  if (last.target_id == config.target_id) state.session_counter = last.session_counter;
  state.target_id = config.target_id;
  state.hub = config.hub.address;
  state.agent_version = kVersion;
  state.pid = getpid();
  state.start_time = Clock::System()->Now();
  return state;
}

}  // namespace

absl::Status RunAgent(const RunConfig& config) {
  ASSIGN_OR_RETURN(const DataDir dir, DataDir::Open(config.data_dir));
  if (const auto warning = SecretFileWarning(config.secret_file)) log::Warning("{}", *warning);
  if (config.hub.insecure) log::Warning("--insecure: the target secret and all reports travel unencrypted");

  const AgentState state = InitialState(dir, config);
  StateKeeper keeper(&dir, Clock::System(), state);
  AgentHousekeeping housekeeping(config, &keeper, ServiceNotifier::FromEnvironment());
  GrpcDialer dialer({.hub = config.hub.address, .ca_pem = config.hub.ca_pem, .insecure = config.hub.insecure});

  std::unique_ptr<Observer> observer;
  const HostView host{.facts =
                          [&observer] {
                            const HostFacts facts = ReadHostFacts();
                            v1::Hello hello;
                            *hello.mutable_machine() = facts.machine;
                            hello.mutable_machine()->set_runtime(observer->RuntimeName());
                            hello.set_boot_id(facts.boot_id);
                            hello.set_machine_id(facts.machine_id);
                            return hello;
                          },
                      .use = ReadOwnUse};
  SessionRunner runner(
      {.target_id = config.target_id, .secret = config.secret, .session_counter = state.session_counter}, host,
      SystemUniform(), Clock::System(), &dialer, &housekeeping);
  observer = MakeObserver(config, &runner);
  housekeeping.set_observer(observer.get());

  log::Info("muster-agent {} reports target {} to the hub {}", kVersion, config.target_id, config.hub.address);
  std::thread signals([&runner] {
    WaitForTermination();
    log::Info("stopping: saying goodbye to the hub");
    runner.Stop(v1::GOODBYE_REASON_STOPPED);
  });
  runner.Run();
  housekeeping.Stopping();
  observer.reset();
  signals.join();
  return absl::OkStatus();
}

}  // namespace muster::agent
