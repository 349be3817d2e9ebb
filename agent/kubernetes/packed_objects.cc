#include "agent/kubernetes/packed_objects.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace muster::agent {
namespace {

// The three archives have the same methods, so that one list of fields serves all: Own for a text of this object alone,
// Shared for one that others have too.
class Writer {
 public:
  explicit Writer(StringPool* pool) : pool_(pool) {}
  std::string Take() {
    out_.shrink_to_fit();
    return std::move(out_);
  }

  void Unsigned(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<char>(value | 0x80));
    out_.push_back(static_cast<char>(value));
  }
  void Int(const std::int64_t& value) {
    Unsigned((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
  }
  void Own(const std::string& text) {
    Unsigned(text.size());
    out_ += text;
  }
  void Shared(const std::string& text) { Unsigned(pool_->Intern(text)); }
  template <typename T>
  bool Has(const std::optional<T>& value) {
    Unsigned(value.has_value() ? 1 : 0);
    return value.has_value();
  }
  template <typename T>
  void Size(const std::vector<T>& values) {
    Unsigned(values.size());
  }

 private:
  StringPool* const pool_;
  std::string out_;
};

class Reader {
 public:
  Reader(std::string_view in, const StringPool* pool) : in_(in), pool_(pool) {}

  std::uint64_t Unsigned() {
    std::uint64_t value = 0;
    for (int shift = 0; !in_.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(in_.front());
      in_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) break;
    }
    return value;
  }
  void Int(std::int64_t& value) {
    const std::uint64_t raw = Unsigned();
    value = static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  }
  void Own(std::string& text) {
    text = in_.substr(0, Unsigned());
    in_.remove_prefix(text.size());
  }
  void Shared(std::string& text) { text = pool_->Get(static_cast<StringPool::Id>(Unsigned())); }
  template <typename T>
  bool Has(std::optional<T>& value) {
    if (Unsigned() == 0) return false;
    value.emplace();
    return true;
  }
  template <typename T>
  void Size(std::vector<T>& values) {
    values.resize(Unsigned());
  }

 private:
  std::string_view in_;
  const StringPool* const pool_;
};

// Reads, and gives back what is shared.
class Releaser : public Reader {
 public:
  Releaser(std::string_view in, StringPool* pool) : Reader(in, pool), pool_(pool) {}
  void Shared(std::string& /*text*/) { pool_->Release(static_cast<StringPool::Id>(Unsigned())); }

 private:
  StringPool* const pool_;
};

constexpr std::int64_t kMicrosPerSecond = 1'000'000;

// Most times of the API are whole seconds: an even number is twice those, an odd one microseconds. 0: InfinitePast.
void Time(Writer& ar, const absl::Time& time) {
  if (time == absl::InfinitePast() || time == absl::InfiniteFuture()) return ar.Int(0);
  const std::int64_t micros = absl::ToUnixMicros(time);
  ar.Int(micros % kMicrosPerSecond == 0 ? micros / kMicrosPerSecond * 2 : micros * 2 + 1);
}
void Time(Reader& ar, absl::Time& time) {
  std::int64_t value = 0;
  ar.Int(value);
  time = value == 0         ? absl::InfinitePast()
         : (value & 1) == 0 ? absl::FromUnixSeconds(value / 2)
                            : absl::FromUnixMicros((value - 1) / 2);
}

void Flag(Writer& ar, const bool& flag) { ar.Unsigned(flag ? 1 : 0); }
void Flag(Reader& ar, bool& flag) { flag = ar.Unsigned() != 0; }

template <typename Enum>
void Word(Writer& ar, const Enum& value) {
  ar.Unsigned(static_cast<std::uint64_t>(value));
}
template <typename Enum>
void Word(Reader& ar, Enum& value) {
  value = static_cast<Enum>(ar.Unsigned());
}

void Code(Writer& ar, const int& value) { ar.Int(value); }
void Code(Reader& ar, int& value) {
  std::int64_t wide = 0;
  ar.Int(wide);
  value = static_cast<int>(wide);
}

template <typename Ar, typename Meta>
void VisitMeta(Ar& ar, Meta& meta) {
  ar.Shared(meta.name_space);
  ar.Int(meta.generation);
  Time(ar, meta.created);
  Flag(ar, meta.is_deleted);
  ar.Shared(meta.labels.instance);
  ar.Shared(meta.labels.name);
  ar.Shared(meta.labels.version);
  ar.Shared(meta.labels.managed_by);
  ar.Shared(meta.labels.muster_application);
  ar.Shared(meta.labels.muster_version);
  ar.Shared(meta.labels.pod_template_hash);
  ar.Shared(meta.labels.controller_revision);
  if (!ar.Has(meta.controller)) return;
  ar.Shared(meta.controller->kind);
  ar.Shared(meta.controller->api_group);
  ar.Shared(meta.controller->name);
  ar.Shared(meta.controller->uid);
}

template <typename Ar, typename Conditions>
void VisitConditions(Ar& ar, Conditions& conditions) {
  ar.Size(conditions);
  for (auto& condition : conditions) {
    ar.Shared(condition.type);
    ar.Shared(condition.status);
    ar.Shared(condition.reason);
    ar.Shared(condition.message);
    Time(ar, condition.since);
  }
}

template <typename Ar, typename Spec>
void VisitSpec(Ar& ar, Spec& spec) {
  ar.Shared(spec.name);
  ar.Shared(spec.image);
  Flag(ar, spec.has_probe);
  Flag(ar, spec.is_sidecar);
}

template <typename Ar, typename Termination>
void VisitTermination(Ar& ar, Termination& end) {
  Code(ar, end.exit_code);
  ar.Shared(end.reason);
  ar.Own(end.message);
  Time(ar, end.started);
  Time(ar, end.finished);
  ar.Own(end.container_id);
}

template <typename Ar, typename Container>
void VisitContainer(Ar& ar, Container& container) {
  VisitSpec(ar, container.spec);
  Flag(ar, container.is_init);
  Word(ar, container.state);
  if (container.state == KubeContainerState::kWaiting) {
    ar.Shared(container.waiting_reason);
    ar.Own(container.waiting_message);
  }
  Time(ar, container.started);
  if (container.state == KubeContainerState::kTerminated) VisitTermination(ar, container.terminated);
  if (ar.Has(container.last)) VisitTermination(ar, *container.last);
  Flag(ar, container.is_ready);
  Flag(ar, container.has_started);
  ar.Int(container.restart_count);
  ar.Own(container.container_id);
  ar.Shared(container.image_id);
}

template <typename Ar, typename Pod>
void VisitPod(Ar& ar, Pod& pod) {
  VisitMeta(ar, pod.meta);
  ar.Shared(pod.node);
  ar.Shared(pod.phase);
  ar.Shared(pod.reason);
  ar.Own(pod.message);
  ar.Shared(pod.restart_policy);
  Flag(ar, pod.is_mirror);
  VisitConditions(ar, pod.conditions);
  ar.Size(pod.containers);
  for (auto& container : pod.containers) VisitContainer(ar, container);
  Time(ar, pod.started);
}

template <typename Ar, typename Workload>
void VisitWorkload(Ar& ar, Workload& workload) {
  Word(ar, workload.kind);
  VisitMeta(ar, workload.meta);
  ar.Size(workload.containers);
  for (auto& spec : workload.containers) VisitSpec(ar, spec);
  VisitConditions(ar, workload.conditions);
  for (auto* number :
       {&workload.observed_generation, &workload.replicas, &workload.status_replicas, &workload.updated_replicas,
        &workload.ready_replicas, &workload.available_replicas, &workload.progress_deadline_seconds, &workload.revision,
        &workload.active, &workload.succeeded, &workload.failed}) {
    ar.Int(*number);
  }
  ar.Shared(workload.update_revision);
  ar.Shared(workload.current_revision);
  for (auto* flag : {&workload.is_paused, &workload.keeps_old_pods, &workload.is_suspended, &workload.removes_itself}) {
    Flag(ar, *flag);
  }
  for (auto* time : {&workload.started, &workload.completed, &workload.last_scheduled}) Time(ar, *time);
}

}  // namespace

std::string PackPod(const KubePod& pod, StringPool& pool) {
  Writer writer(&pool);
  VisitPod(writer, pod);
  return writer.Take();
}

KubePod UnpackPod(std::string_view packed, const StringPool& pool) {
  KubePod pod;
  Reader reader(packed, &pool);
  VisitPod(reader, pod);
  return pod;
}

void ReleasePod(std::string_view packed, StringPool& pool) {
  KubePod pod;
  Releaser releaser(packed, &pool);
  VisitPod(releaser, pod);
}

std::string PackWorkload(const KubeWorkload& workload, StringPool& pool) {
  Writer writer(&pool);
  VisitWorkload(writer, workload);
  return writer.Take();
}

KubeWorkload UnpackWorkload(std::string_view packed, const StringPool& pool) {
  KubeWorkload workload;
  Reader reader(packed, &pool);
  VisitWorkload(reader, workload);
  return workload;
}

void ReleaseWorkload(std::string_view packed, StringPool& pool) {
  KubeWorkload workload;
  Releaser releaser(packed, &pool);
  VisitWorkload(releaser, workload);
}

}  // namespace muster::agent
