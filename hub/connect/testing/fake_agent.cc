// Stands in for muster-agent in the install script's test: "run" takes the documented flags, writes its state file and
// notices a new secret; "status" reads the state. A secret of "mst_refused..." never connects. No hub is involved.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>

namespace {

volatile std::sig_atomic_t stopped = 0;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

int Run(const std::map<std::string, std::string>& flags) {
  std::signal(SIGTERM, [](int) { stopped = 1; });
  std::string last;
  while (stopped == 0) {
    const std::string secret = ReadAll(flags.at("--target-secret-file"));
    if (secret != last) {
      last = secret;
      const std::string state = flags.at("--data-dir") + "/fake-state";
      std::ofstream(state + ".new") << (secret.rfind("mst_refused", 0) == 0 ? "no" : "yes") << '\n'
                                    << std::hash<std::string>()(secret) << '\n'
                                    << getpid() << '\n';
      std::rename((state + ".new").c_str(), state.c_str());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::remove((flags.at("--data-dir") + "/fake-state").c_str());
  return 0;
}

int Status(const std::map<std::string, std::string>& flags) {
  std::istringstream state(ReadAll(flags.at("--data-dir") + "/fake-state"));
  std::string connected;
  std::string session;
  std::string pid;
  state >> connected >> session >> pid;
  if (flags.count("-o") > 0) {
    std::cout << fmt::format("{{\"pid\":{},\"session_id\":\"{}\"}}\n", pid.empty() ? "0" : pid, session);
  } else {
    std::cout << (connected == "yes" ? "connected\n" : "BAD_SECRET: refused by the fake\n");
  }
  return connected == "yes" ? 0 : 5;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  std::map<std::string, std::string> flags;
  for (int i = 2; i + 1 < argc; i += 2) flags[argv[i]] = argv[i + 1];
  if (command == "--version") return 0;
  if (command == "run") return Run(flags);
  if (command == "status") return Status(flags);
  return 2;
}
