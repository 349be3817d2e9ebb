#include "hub/cli/console.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "common/status.h"
#include "hub/cli/exit_code.h"

namespace muster::cli {
namespace {

// A name is a few hundred bytes; more on one line is not an answer.
constexpr std::size_t kMaxAnswerBytes = 4096;

// Written by the signal handler only.
volatile std::sig_atomic_t g_raised = 0;
int g_write_fd = -1;

extern "C" void OnSignal(int /*number*/) {
  const int saved_errno = errno;
  g_raised = 1;
  [[maybe_unused]] const ssize_t ignored = write(g_write_fd, "!", 1);
  errno = saved_errno;
}

absl::Status WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return MakeError(absl::StatusCode::kAborted, "OUTPUT_FAILED", MessageOf(ErrnoError(errno, "write the output")));
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TerminalConsole::Write(std::string_view text) {
  absl::Status written = WriteAll(STDOUT_FILENO, text);
  if (!written.ok() && errno == EPIPE) {
    // `muster ... | head`: end as programs do whose reader has gone, also where libcurl holds the signal back.
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
  }
  return written;
}

void TerminalConsole::WriteError(std::string_view text) { WriteAll(STDERR_FILENO, text).IgnoreError(); }

absl::StatusOr<std::string> TerminalConsole::ReadLine() {
  std::string line;
  while (line.size() < kMaxAnswerBytes) {
    pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                     {.fd = interrupt_->fd(), .events = POLLIN, .revents = 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) return ErrnoError(errno, "wait for an answer");
    if (interrupt_->Raised()) {
      WriteError("\n");  // the shell's prompt begins a line of its own
      return Interrupted();
    }
    if (fds[0].revents == 0) continue;
    char c = 0;
    const ssize_t got = read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read the answer");
    if (got == 0) return absl::OutOfRangeError("the input ended before an answer came");
    if (c == '\n') return line;
    line += c;
  }
  return absl::ResourceExhaustedError("the answer is too long");
}

bool TerminalConsole::OutputIsTerminal() const { return isatty(STDOUT_FILENO) == 1; }

bool TerminalConsole::ErrorIsTerminal() const { return isatty(STDERR_FILENO) == 1; }

bool TerminalConsole::InputIsTerminal() const { return isatty(STDIN_FILENO) == 1; }

ScreenSize TerminalConsole::Size() const {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return ScreenSize{.columns = size.ws_col, .rows = size.ws_row};
}

SignalInterrupt::SignalInterrupt() {
  g_raised = 0;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) std::abort();
  read_fd_ = fds[0];
  g_write_fd = fds[1];
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

SignalInterrupt::~SignalInterrupt() {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  close(read_fd_);
  close(g_write_fd);
}

bool SignalInterrupt::Raised() const { return g_raised != 0; }

bool SignalInterrupt::WaitFor(absl::Duration duration) {
  pollfd fd{.fd = read_fd_, .events = POLLIN, .revents = 0};
  const absl::Duration bounded = std::min(duration, absl::Hours(24));
  if (!Raised()) poll(&fd, 1, static_cast<int>(absl::ToInt64Milliseconds(bounded)));
  return Raised();
}

}  // namespace muster::cli
