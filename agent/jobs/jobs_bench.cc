// How many pushes a second the socket takes: real connections to a server and a store in this process, on a real disk,
// each push durable before its answer; beside it plain SQLite commits of the same rows, as many at a time. Clients,
// server and store share the machine. Exit code 1: fewer than must be.
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <thread>
#include <vector>

#include "agent/jobs/job_store.h"
#include "agent/jobs/push_server.h"
#include "agent/jobs/unix_socket.h"
#include "common/clock.h"
#include "common/sqlite/database.h"
#include "common/testing/figures.h"
#include "common/testing/must.h"
#include "common/testing/temp_dir.h"

namespace muster::agent {
namespace {

constexpr double kMustPushesPerSecond = 20'000;
constexpr int kConnections = 8;
// Sent at a time by one connection, and answered before the next.
constexpr int kPipelined = 128;
constexpr int kSeries = 40;

// Sends `pushes` and waits for their answers, so many at a time.
void RunClient(const std::string& path, int client, int pushes) {
  const Descriptor fd = Must(ConnectUnix(path));
  for (int sent = 0; sent < pushes; sent += kPipelined) {
    const int count = std::min(kPipelined, pushes - sent);
    std::string text;
    for (int i = 0; i < count; ++i) {
      fmt::format_to(std::back_inserter(text), "push job-{} id={}\ncounter rows_total{{table=\"{}\"}} 1\nend\n", client,
                     sent + i, i % (kSeries / kConnections));
    }
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t written = send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (written <= 0) Check(absl::UnavailableError("the server hung up"));
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    std::string answers;
    std::array<char, 4096> bytes{};
    while (std::count(answers.begin(), answers.end(), '\n') < count) {
      const ssize_t got = recv(fd.get(), bytes.data(), bytes.size(), 0);
      if (got <= 0) Check(absl::UnavailableError("the server hung up"));
      answers.append(bytes.data(), static_cast<std::size_t>(got));
    }
    if (answers.find("error") != std::string::npos) Check(absl::InternalError(answers));
  }
}

struct Measured {
  double per_second = 0;
  // Series that were written, one for each commit and series.
  std::int64_t commits = 0;
};

Measured MeasureSocket(int pushes) {
  const TempDir dir("/var/tmp");
  const Clock* const clock = Clock::SinceBoot();
  JobStore store({.path = dir.path() + "/jobs.db", .boot_id = "bench", .vfs = ""}, clock);
  const std::string path = dir.path() + "/push.sock";
  PushServer server({.path = path, .mode = 0600}, &store, clock);
  for (int i = 0; i < 5000 && !server.Fault().empty(); ++i) poll(nullptr, 0, 1);
  const Instant begin = clock->Monotonic();
  std::vector<std::thread> clients;
  clients.reserve(kConnections);
  for (int i = 0; i < kConnections; ++i) clients.emplace_back(RunClient, path, i, pushes / kConnections);
  for (std::thread& client : clients) client.join();
  const double seconds = absl::ToDoubleSeconds(clock->Monotonic() - begin);
  store.Flush();
  const v1::JobReport report = store.Report(0, kMaxJobReportBytes, clock->Read());
  double counted = 0;
  for (const v1::JobGroup& group : report.groups()) {
    for (const v1::JobSeries& series : group.families(0).series()) counted += series.value();
  }
  if (counted != pushes) Check(absl::DataLossError(fmt::format("{} pushes were counted, not {}", counted, pushes)));
  return {.per_second = pushes / seconds, .commits = store.Commits()};
}

// The rows of as many commits: the ids of their pushes, and the series and groups that change.
double MeasurePlain(int pushes, std::int64_t commits) {
  const TempDir dir("/var/tmp");
  const auto database = Must(sqlite::Database::Open(dir.path() + "/plain.db", sqlite::OpenMode::kWriter));
  Check(
      database->Execute("CREATE TABLE ids (id INTEGER PRIMARY KEY, digests BLOB) STRICT;"
                        "CREATE TABLE series (id INTEGER PRIMARY KEY, body BLOB) STRICT;"
                        "CREATE TABLE groups (id INTEGER PRIMARY KEY, body BLOB) STRICT"));
  const std::string ids(static_cast<std::size_t>(16 * pushes / commits), 'x');
  const std::string body(30, 'x');
  const std::string group(90, 'x');
  const Clock* const clock = Clock::SinceBoot();
  const Instant begin = clock->Monotonic();
  for (std::int64_t commit = 1; commit <= commits; ++commit) {
    Check(database->Execute("BEGIN IMMEDIATE"));
    Check(sqlite::RunBound(*database, "INSERT INTO ids (digests) VALUES (?)",
                           [&](auto& s) { s.BindBlob(1, ids.data(), ids.size()); }));
    for (int i = 0; i < kSeries; ++i) {
      Check(sqlite::RunBound(*database, "INSERT OR REPLACE INTO series (id, body) VALUES (?, ?)",
                             [&](auto& s) { s.Bind(1, std::int64_t{i}).BindBlob(2, body.data(), body.size()); }));
    }
    for (int i = 0; i < kConnections; ++i) {
      Check(sqlite::RunBound(*database, "INSERT OR REPLACE INTO groups (id, body) VALUES (?, ?)",
                             [&](auto& s) { s.Bind(1, std::int64_t{i}).BindBlob(2, group.data(), group.size()); }));
    }
    Check(database->Execute("COMMIT"));
    if (commit % 256 == 0) Check(database->Checkpoint());
  }
  return pushes / absl::ToDoubleSeconds(clock->Monotonic() - begin);
}

int Main(int pushes) {
  const Measured socket = MeasureSocket(pushes);
  const double plain = MeasurePlain(pushes, socket.commits);
  fmt::print("{:.0f} pushes in a commit\n", static_cast<double>(pushes) / static_cast<double>(socket.commits));
  Figures figures;
  figures.Tell({.name = "pushes through the socket",
                .value = socket.per_second,
                .unit = "/s",
                .beside = Beside{.what = "plain SQLite, the same rows", .value = plain},
                .must = AtLeast(kMustPushesPerSecond)});
  return figures.ExitCode();
}

}  // namespace
}  // namespace muster::agent

int main(int argc, char** argv) {
  const std::string text = argc > 1 ? argv[1] : "400000";
  int pushes = 0;
  std::from_chars(text.data(), text.data() + text.size(), pushes);
  if (argc > 2 || pushes < 8) {
    fmt::print(stderr, "usage: agent_jobs_bench [PUSHES]\n");
    return 2;
  }
  return muster::agent::Main(pushes - pushes % muster::agent::kConnections);
}
