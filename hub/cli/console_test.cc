#include "hub/cli/console.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "common/status.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

// Puts a pipe in the place of stdin.
class StdinPipe {
 public:
  StdinPipe() : saved_(dup(STDIN_FILENO)) {
    if (pipe(fds_) != 0) std::abort();
    dup2(fds_[0], STDIN_FILENO);
    close(fds_[0]);
  }
  ~StdinPipe() {
    dup2(saved_, STDIN_FILENO);
    close(saved_);
    Close();
  }
  void Type(std::string_view text) { EXPECT_EQ(write(fds_[1], text.data(), text.size()), ssize_t(text.size())); }
  void Close() {
    if (fds_[1] >= 0) close(fds_[1]);
    fds_[1] = -1;
  }

 private:
  const int saved_;
  int fds_[2];
};

TEST(SignalInterrupt, IsRaisedBySigintAndEndsEveryWait) {
  SignalInterrupt interrupt;
  EXPECT_FALSE(interrupt.Raised());
  EXPECT_FALSE(interrupt.WaitFor(absl::ZeroDuration()));
  raise(SIGINT);
  EXPECT_TRUE(interrupt.Raised());
  EXPECT_TRUE(interrupt.WaitFor(absl::InfiniteDuration()));
}

TEST(SignalInterrupt, BeginsAfresh) {
  SignalInterrupt interrupt;
  EXPECT_FALSE(interrupt.Raised());
  raise(SIGTERM);
  EXPECT_TRUE(interrupt.WaitFor(absl::InfiniteDuration()));
}

TEST(TerminalConsole, ReadsOneLineAndLeavesTheRest) {
  SignalInterrupt interrupt;
  TerminalConsole console(&interrupt);
  StdinPipe input;
  input.Type("web-01\nrest\n");
  EXPECT_EQ(*console.ReadLine(), "web-01");
  EXPECT_EQ(*console.ReadLine(), "rest");
  EXPECT_FALSE(console.InputIsTerminal());
}

TEST(TerminalConsole, TheEndOfTheInputIsNoAnswer) {
  SignalInterrupt interrupt;
  TerminalConsole console(&interrupt);
  StdinPipe input;
  input.Type("web-0");
  input.Close();
  EXPECT_FALSE(console.ReadLine().ok());
}

TEST(TerminalConsole, AnEndlessAnswerIsRefused) {
  SignalInterrupt interrupt;
  TerminalConsole console(&interrupt);
  StdinPipe input;
  input.Type(std::string(5000, 'x'));
  EXPECT_EQ(console.ReadLine().status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(TerminalConsole, CtrlCEndsTheQuestion) {
  SignalInterrupt interrupt;
  TerminalConsole console(&interrupt);
  StdinPipe input;
  raise(SIGINT);
  EXPECT_TRUE(IsInterrupted(console.ReadLine().status()));
}

}  // namespace
}  // namespace muster::cli
