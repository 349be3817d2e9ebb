// What a large cluster costs: 5,000 pods of 250 Deployments with ten ReplicaSets each. Memory by the allocator's own
// count, and the time of a change, of a picture and of the list of logs.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <malloc.h>

#include <memory>

#include "agent/kubernetes/cluster_book.h"
#include "agent/kubernetes/testing/make_objects.h"
#include "common/testing/benchmark_main.h"

namespace muster::agent {
namespace {

constexpr int kDeployments = 250;
constexpr int kPodsEach = 20;
constexpr int kOldSets = 9;
constexpr Moment kNow{.monotonic = Instant::FromDuration(absl::Hours(1)), .wall = kTestNow};

std::string Uid(int a, int b, int c) { return fmt::format("{:08x}-{:04x}-4{:03x}-8a3f-0123456789ab", a * 7919, b, c); }

KubePod BenchPod(int d, int p) {
  KubeWorkload set = MakeWorkload(KubeKind::kReplicaSet, fmt::format("checkout-service-{}-7d4b9c6f8", d));
  set.meta.uid = Uid(d, 2, 0);
  KubePod pod = MakePod(fmt::format("checkout-service-{}-7d4b9c6f8-{:05x}", d, p), fmt::format("team-{}", d % 20));
  pod.meta.uid = Uid(d, 3, p);
  pod.meta.resource_version = "123456789";
  pod.meta.labels.name = "checkout";
  pod.meta.labels.version = "2026.11.3";
  pod.meta.labels.pod_template_hash = "7d4b9c6f8";
  Own(set, pod.meta);
  pod.node = fmt::format("ip-10-0-{}-17.eu-central-1.compute.internal", p % 100);
  for (const char* type : {"Initialized", "PodReadyToStartContainers"}) {
    SetCondition(pod.conditions, type, "True", pod.meta.created);
  }
  pod.containers.clear();
  for (const char* name : {"server", "istio-proxy"}) {
    KubeContainer container = MakeContainer(name, pod.meta.created);
    container.spec.image = fmt::format("registry.example.com/team-{}/{}:2026.11.3", d % 20, name);
    container.spec.has_probe = true;
    container.image_id = container.spec.image + "@sha256:" + std::string(64, 'a');
    container.container_id = fmt::format("containerd://{:032x}{:032x}", d, p);
    pod.containers.push_back(std::move(container));
  }
  return pod;
}

void Fill(ClusterBook& book) {
  for (int d = 0; d < kDeployments; ++d) {
    const std::string name_space = fmt::format("team-{}", d % 20);
    KubeWorkload web =
        MakeWorkload(KubeKind::kDeployment, fmt::format("checkout-service-{}", d), kPodsEach, name_space);
    web.meta.uid = Uid(d, 1, 0);
    book.Put(web.kind, web, kNow);
    for (int s = 0; s <= kOldSets; ++s) {
      KubeWorkload set = MakeWorkload(KubeKind::kReplicaSet, fmt::format("checkout-service-{}-7d4b9c6f{}", d, 8 - s),
                                      s == 0 ? kPodsEach : 0, name_space);
      set.meta.uid = Uid(d, 2, s);
      Own(web, set.meta);
      book.Put(set.kind, set, kNow);
    }
    for (int p = 0; p < kPodsEach; ++p) book.Put(KubeKind::kPod, BenchPod(d, p), kNow);
  }
}

std::size_t InUse() { return mallinfo2().uordblks; }

void Memory(benchmark::State& state) {
  for (auto _ : state) {
    const std::size_t before = InUse();
    ClusterBook book;
    Fill(book);
    const std::size_t filled = InUse();
    (void)book.Look(kNow);
    const std::size_t looked = InUse();
    constexpr double kPods = kDeployments * kPodsEach;
    state.counters["bytes_per_pod"] = static_cast<double>(filled - before) / kPods;
    state.counters["bytes_per_pod_judged"] = static_cast<double>(looked - before) / kPods;
    state.counters["resources_told"] = book.Look(kNow).deployments.front().resources_size();
  }
}
BENCHMARK(Memory)->Iterations(1)->Unit(benchmark::kMillisecond);

// One pod changes, and a picture is made: what happens up to 50 times a second when nothing is gathered.
void ChangeAndLook(benchmark::State& state) {
  ClusterBook book;
  Fill(book);
  (void)book.Look(kNow);
  int i = 0;
  for (auto _ : state) {
    KubePod pod = BenchPod(i % kDeployments, i % kPodsEach);
    SetReady(pod, (i / kDeployments) % 2 == 0, kTestNow);
    ++i;
    book.Put(KubeKind::kPod, pod, kNow);
    benchmark::DoNotOptimize(book.Look(kNow));
  }
}
BENCHMARK(ChangeAndLook)->Unit(benchmark::kMicrosecond);

void ChangeOnly(benchmark::State& state) {
  ClusterBook book;
  Fill(book);
  const KubePod pod = BenchPod(3, 7);
  for (auto _ : state) book.Put(KubeKind::kPod, pod, kNow);
}
BENCHMARK(ChangeOnly)->Unit(benchmark::kMicrosecond);

void Logs(benchmark::State& state) {
  ClusterBook book;
  Fill(book);
  (void)book.Look(kNow);
  for (auto _ : state) benchmark::DoNotOptimize(book.LogContainers());
}
BENCHMARK(Logs)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace muster::agent

int main(int argc, char** argv) {
  return muster::RunBenchmarks(argc, argv,
                               {{.benchmark = "Memory", .counter = "bytes_per_pod_judged", .unit = "bytes a pod"},
                                {.benchmark = "ChangeOnly"},
                                {.benchmark = "ChangeAndLook"},
                                {.benchmark = "Logs"}});
}
