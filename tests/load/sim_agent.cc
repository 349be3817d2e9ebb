#include "tests/load/sim_agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "common/logs/kinds.h"
#include "common/time_format.h"
#include "common/version.h"

namespace muster::load {
namespace {

namespace v1 = agent::v1;

// A look at the presence at least this often; it takes 10 s without one for a pause of the agent.
constexpr absl::Duration kPresenceTick = absl::Seconds(4);

std::string KeyOf(int deployment) { return fmt::format("compose/app-{}", deployment); }

// What a small web application looks like: two containers.
v1::DeploymentState MakeDeployment(int i, absl::Time now) {
  v1::DeploymentState state;
  state.set_key(KeyOf(i));
  state.set_name(fmt::format("app-{}", i));
  state.set_kind(types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT);
  state.set_status(types::v1::DEPLOYMENT_STATUS_HEALTHY);
  state.set_application("shop");
  state.set_application_version("1.4.2");
  state.set_revision("3f9c2a7be01d");
  *state.mutable_status_time() = ToProto(now);
  for (const char* name : {"web", "db"}) {
    types::v1::Resource* resource = state.add_resources();
    resource->set_id(fmt::format("4c01db0b339c4a1f8d2e9b7a6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b{:04}", i));
    resource->set_name(name);
    resource->set_image(fmt::format("registry.example.com/shop/{}:1.4.2", name));
    resource->set_state("running");
  }
  return state;
}

v1::HostReport MakeReport(std::mt19937_64& random, int deployments) {
  const auto between = [&](double low, double high) { return std::uniform_real_distribution<>(low, high)(random); };
  v1::HostReport report;
  v1::HostSample* sample = report.mutable_sample();
  sample->set_cpu_cores(4);
  sample->set_cpu_usage_ratio(between(0.02, 0.4));
  sample->set_memory_total_bytes(16'000'000'000);
  sample->set_memory_used_bytes(static_cast<std::int64_t>(between(4e9, 5e9)));
  sample->set_swap_total_bytes(0);
  sample->set_swap_used_bytes(0);
  sample->set_load1(between(0, 2));
  sample->set_load5(between(0, 2));
  sample->set_load15(between(0, 2));
  *sample->mutable_uptime() = ToProto(absl::Hours(700));
  sample->set_network_receive_bytes_per_second(between(1e3, 1e5));
  sample->set_network_transmit_bytes_per_second(between(1e3, 1e5));
  sample->set_disk_read_bytes_per_second(between(0, 1e5));
  sample->set_disk_written_bytes_per_second(between(0, 1e6));
  for (const char* device : {"/dev/sda1", "/dev/sdb1"}) {
    v1::HostSample::Disk* disk = sample->add_disks();
    disk->set_device(device);
    disk->set_mount_path(device[7] == 'a' ? "/" : "/data");
    disk->set_filesystem_type("ext4");
    disk->set_total_bytes(200'000'000'000);
    disk->set_used_bytes(static_cast<std::int64_t>(between(5e10, 6e10)));
    disk->set_available_bytes(140'000'000'000);
    disk->set_files(13'000'000);
    disk->set_files_free(12'000'000);
  }
  v1::HostSample::ContainerCount* running = sample->add_containers();
  running->set_state("running");
  running->set_count(2 * deployments);
  for (int i = 0; i < deployments; ++i) {
    v1::HostSample::DeploymentUse* use = sample->add_deployments();
    use->set_deployment_key(KeyOf(i));
    use->set_cpu_cores(between(0.01, 0.3));
    use->set_memory_bytes(static_cast<std::int64_t>(between(1e8, 2e8)));
    for (const char* name : {"web", "db"}) {
      v1::ContainerUse* container = report.add_containers();
      container->set_deployment_key(KeyOf(i));
      container->set_container(name);
      container->set_cpu_seconds(between(100, 1000));
      container->set_memory_bytes(100'000'000);
    }
  }
  v1::HostTotals* totals = report.mutable_totals();
  for (int cpu = 0; cpu < 4; ++cpu) {
    v1::CpuTimes* times = totals->add_cpus();
    times->set_cpu(cpu);
    for (int mode = 0; mode < 8; ++mode) times->add_ticks(static_cast<std::int64_t>(between(1e6, 1e7)));
  }
  for (const char* name : {"MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "Active", "Inactive", "Dirty"}) {
    v1::MemoryValue* value = totals->add_memory();
    value->set_name(name);
    value->set_bytes(static_cast<std::int64_t>(between(1e8, 1e10)));
  }
  v1::NetworkDevice* network = totals->add_network_devices();
  network->set_device("eth0");
  network->set_receive_bytes(static_cast<std::int64_t>(between(1e9, 1e10)));
  network->set_transmit_bytes(static_cast<std::int64_t>(between(1e9, 1e10)));
  v1::BlockDevice* block = totals->add_block_devices();
  block->set_device("sda");
  block->set_read_bytes(static_cast<std::int64_t>(between(1e9, 1e10)));
  block->set_written_bytes(static_cast<std::int64_t>(between(1e9, 1e10)));
  *totals->mutable_boot_time() = ToProto(absl::FromUnixSeconds(1'790'000'000));
  return report;
}

float Milliseconds(absl::Duration duration) { return static_cast<float>(absl::ToDoubleMilliseconds(duration)); }

}  // namespace

// Events of one link; those of an earlier one no longer count. They come from the loop, never from inside a call.
class SimAgent::Events : public agent::LinkEvents {
 public:
  Events(SimAgent* agent, std::uint64_t link_number) : agent_(agent), link_number_(link_number) {}

  void OnSent() override {
    Do([&](Moment now) { agent_->logic_->OnSent(now); });
  }
  void OnFrame(v1::SessionResponse frame) override {
    Do([&](Moment now) {
      agent_->NoteAnswer(frame, now.monotonic);
      agent_->logic_->OnFrame(frame, now);
    });
  }
  void OnReadEnded() override {
    Do([&](Moment now) { agent_->logic_->OnReadEnded(now); });
  }
  void OnClosed(absl::Status status) override {
    Do([&](Moment now) { agent_->logic_->OnLinkClosed(status, now); });
  }

 private:
  template <typename Work>
  void Do(Work work) {
    // The link drops its events when the agent ends it, so a live link number means a live agent.
    if (agent_->link_ == nullptr || agent_->link_number_ != link_number_) return;
    const Moment now = agent_->context_.clock->Read();
    work(now);
    agent_->Settle(now);
  }

  SimAgent* const agent_;
  const std::uint64_t link_number_;
};

SimAgent::SimAgent(const FleetContext& context, int number, TargetName target, int deployments,
                   std::unique_ptr<agent::Dialer> dialer)
    : context_(context),
      number_(number),
      dialer_(std::move(dialer)),
      records_(fmt::format("load-{}-{:x}", number, (*context.random)()), context.clock, &context.counts->records,
               [io = context.io](std::function<void()> work) { boost::asio::post(*io, std::move(work)); }),
      timer_(*context.io) {
  for (int i = 0; i < deployments; ++i) present_.deployments.push_back(MakeDeployment(i, context_.clock->Now()));
  logic_ = std::make_unique<agent::SessionLogic>(
      agent::SessionLogic::Options{.target_id = std::move(target.id), .secret = std::move(target.secret)},
      agent::HostView{.facts = [this] { return Facts(); },
                      .use = [] { return agent::OwnUse{.cpu_seconds_total = 1, .resident_bytes = 16 << 20}; },
                      .records = &records_,
                      .jobs = nullptr},
      [random = context.random] { return std::uniform_real_distribution<>(0, 1)(*random); }, this);
}

SimAgent::~SimAgent() { link_.reset(); }

void SimAgent::Start() {
  const Moment now = context_.clock->Read();
  logic_->Start(now);
  Publish(now);
}

void SimAgent::Stop(v1::GoodbyeReason reason) {
  const Moment now = context_.clock->Read();
  logic_->Stop(reason, now);
  Settle(now);
}

void SimAgent::ChangeStatus() {
  if (present_.deployments.empty()) return;
  const Moment now = context_.clock->Read();
  v1::DeploymentState& state =
      present_.deployments[static_cast<std::size_t>(status_changes_) % present_.deployments.size()];
  const bool was_error = state.status() == types::v1::DEPLOYMENT_STATUS_ERROR;
  state.set_status(was_error ? types::v1::DEPLOYMENT_STATUS_HEALTHY : types::v1::DEPLOYMENT_STATUS_ERROR);
  state.set_message(was_error ? "" : "web: exited with code 1");
  *state.mutable_status_time() = ToProto(now.wall);
  ++status_changes_;
  Publish(now);
}

void SimAgent::SampleHost() {
  if (!metrics_enabled_) return;
  const Moment now = context_.clock->Read();
  v1::HostReport report = MakeReport(*context_.random, static_cast<int>(present_.deployments.size()));
  v1::Record record;
  *record.mutable_host_sample() = report.sample();
  logic_->OnHostReport(std::move(report), now.monotonic);
  Record(std::move(record), now);
}

void SimAgent::Log(int lines) {
  if (present_.deployments.empty()) return;
  const Moment now = context_.clock->Read();
  v1::Record record;
  v1::LogLines* log = record.mutable_log_lines();
  log->set_deployment_key(present_.deployments[0].key());
  log->set_resource("web");
  log->set_revision(present_.deployments[0].revision());
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += fmt::format(
        "line {} of agent {}: GET /api/orders/{} 200 {} ms, customer {:x}, cache hit, served by worker 3 of 8\n",
        ++lines_, number_, (*context_.random)() % 100'000, (*context_.random)() % 500, (*context_.random)());
    if (i > 0) log->add_time_delta_us(1000);
  }
  log->set_text(std::move(text));
  log->set_kinds(std::string(static_cast<std::size_t>(lines), KindByte({.level = LogLevel::kInfo})));
  *log->mutable_base_time() = ToProto(now.wall);
  Record(std::move(record), now);
}

void SimAgent::SetPace(ReadPace pace) {
  pace_ = pace;
  if (link_ != nullptr) SetReadPace(link_.get(), pace);
}

void SimAgent::Cut() {
  if (link_ == nullptr) return;
  const Moment now = context_.clock->Read();
  link_.reset();
  logic_->OnLinkClosed(absl::UnavailableError("cut by the simulator"), now);
  Settle(now);
}

void SimAgent::Connect() {
  link_.reset();
  ++link_number_;
  beats_sent_.clear();
  for (auto& sent : batches_sent_) sent.clear();
  link_ = dialer_->Dial(std::make_shared<Events>(this, link_number_));
  if (pace_ != ReadPace::kNormal) SetReadPace(link_.get(), pace_);
  link_->Receive();
}

void SimAgent::Send(const v1::SessionRequest& frame) {
  if (frame.has_heartbeat()) {
    ++context_.counts->heartbeats;
    beats_sent_.emplace_back(frame.heartbeat().number(), context_.clock->Monotonic());
  } else if (frame.has_record_batch()) {
    ++context_.counts->batches;
    batches_sent_[frame.record_batch().lane() == v1::LANE_LOGS ? 1 : 0].push_back(context_.clock->Monotonic());
  }
  link_->Send(frame);
}

void SimAgent::HalfClose() { link_->HalfClose(); }

void SimAgent::Disconnect() { link_.reset(); }

void SimAgent::ReadRecords(const agent::ReadRequest& request) {
  records_.Read(request, [this](v1::RecordBatch batch) {
    const Moment now = context_.clock->Read();
    logic_->OnRecords(std::move(batch), now);
    Settle(now);
  });
}

v1::Hello SimAgent::Facts() const {
  v1::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_agent_version(kVersion);
  hello.set_boot_id(fmt::format("b0070000-0000-4000-8000-{:012x}", number_));
  hello.set_machine_id(fmt::format("{:032x}", number_ + 1));
  types::v1::MachineFacts* machine = hello.mutable_machine();
  machine->set_hostname(fmt::format("load-{}", number_));
  machine->set_os("Debian GNU/Linux 12 (bookworm)");
  machine->set_kernel("6.1.0-28-amd64");
  machine->set_architecture("x86_64");
  machine->set_cpu_cores(4);
  machine->set_memory_bytes(16'000'000'000);
  machine->set_runtime("docker 20.10.24");
  return hello;
}

void SimAgent::Publish(Moment now) {
  agent::Present present = present_;
  for (v1::Record& record : book_.Update(now.wall, &present)) records_.Append(std::move(record));
  logic_->OnPresent(present, now);
  logic_->OnRecordsChanged(now);
  Settle(now);
}

void SimAgent::Record(v1::Record record, Moment now) {
  *record.mutable_observed_at() = ToProto(now.wall);
  records_.Append(std::move(record));
  logic_->OnRecordsChanged(now);
  Settle(now);
}

void SimAgent::NoteAnswer(const v1::SessionResponse& frame, Instant now) {
  if (frame.has_heartbeat_ack()) {
    while (!beats_sent_.empty() && beats_sent_.front().first < frame.heartbeat_ack().number()) beats_sent_.pop_front();
    if (beats_sent_.empty() || beats_sent_.front().first != frame.heartbeat_ack().number()) return;
    context_.counts->round_trips_ms.push_back(Milliseconds(now - beats_sent_.front().second));
    beats_sent_.pop_front();
  } else if (frame.has_batch_ack() || frame.has_batch_refusal()) {
    const v1::Lane lane = frame.has_batch_ack() ? frame.batch_ack().lane() : frame.batch_refusal().lane();
    auto& sent = batches_sent_[lane == v1::LANE_LOGS ? 1 : 0];
    if (frame.has_batch_refusal()) ++context_.counts->batch_refusals;
    if (sent.empty()) return;
    if (frame.has_batch_ack()) context_.counts->commits_ms.push_back(Milliseconds(now - sent.front()));
    sent.pop_front();
  } else if (frame.has_farewell()) {
    ++context_.counts->farewells[v1::FarewellReason_Name(frame.farewell().reason())];
  }
}

void SimAgent::Settle(Moment now) {
  const bool connected = logic_->status().connected;
  if (connected != is_counted_) {
    is_counted_ = connected;
    context_.counts->connected += connected ? 1 : -1;
    if (!connected && !logic_->stopped()) ++context_.counts->sessions_lost;
  }
  if (logic_->stopped()) {
    timer_.cancel();
    return;
  }
  const Instant due = std::min(logic_->NextDeadline(), ticked_at_ + kPresenceTick);
  if (due >= armed_for_) return;
  armed_for_ = due;
  timer_.expires_after(absl::ToChronoMicroseconds(std::max(due - now.monotonic, absl::ZeroDuration())));
  timer_.async_wait([this](boost::system::error_code failed) {
    if (!failed) OnTimer();
  });
}

void SimAgent::OnTimer() {
  const Moment now = context_.clock->Read();
  armed_for_ = Instant::FromDuration(absl::InfiniteDuration());
  if (now.monotonic >= ticked_at_ + kPresenceTick) {
    ticked_at_ = now.monotonic;
    for (v1::Record& record : presence_.OnTick({.now = now,
                              .connected = logic_->status().connected,
                              .heard_at = logic_->status().heard_at,
                              .observed = true})) {
      records_.Append(std::move(record));
    }
    logic_->OnRecordsChanged(now);
  }
  if (now.monotonic >= logic_->NextDeadline()) logic_->OnTimer(now);
  Settle(now);
}

}  // namespace muster::load
