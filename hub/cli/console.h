// Where the CLI's words go and where its questions are answered. TerminalConsole is the process's own; tests hand in a
// fake. Takes text as it is: whoever calls has escaped it (page.h). Called from one thread.
#ifndef MUSTER_HUB_CLI_CONSOLE_H_
#define MUSTER_HUB_CLI_CONSOLE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace muster::cli {

struct ScreenSize {
  int columns = 80;
  int rows = 24;
};

class Console {
 public:
  virtual ~Console() = default;
  // stdout. FAILED when it cannot be written: a closed pipe, a full disk.
  virtual absl::Status Write(std::string_view text) = 0;
  // stderr, best effort.
  virtual void WriteError(std::string_view text) = 0;
  // One line of stdin without its end; an error at its end or when interrupted.
  virtual absl::StatusOr<std::string> ReadLine() = 0;
  virtual bool OutputIsTerminal() const = 0;
  virtual bool ErrorIsTerminal() const = 0;
  virtual bool InputIsTerminal() const = 0;
  // Asked again before every drawing: windows are resized.
  virtual ScreenSize Size() const = 0;
};

// Ctrl-C and its kin, as something that can be asked and waited for.
class Interrupt {
 public:
  virtual ~Interrupt() = default;
  virtual bool Raised() const = 0;
  // True when raised before `duration` has passed.
  virtual bool WaitFor(absl::Duration duration) = 0;
  // Readable once raised; -1: none.
  virtual int fd() const = 0;
};

class TerminalConsole : public Console {
 public:
  explicit TerminalConsole(const Interrupt* interrupt) : interrupt_(interrupt) {}
  absl::Status Write(std::string_view text) override;
  void WriteError(std::string_view text) override;
  absl::StatusOr<std::string> ReadLine() override;
  bool OutputIsTerminal() const override;
  bool ErrorIsTerminal() const override;
  bool InputIsTerminal() const override;
  ScreenSize Size() const override;

 private:
  const Interrupt* const interrupt_;
};

// From the first SIGINT or SIGTERM on Raised() is true; the second one ends the process. One per process.
class SignalInterrupt : public Interrupt {
 public:
  SignalInterrupt();
  ~SignalInterrupt() override;
  SignalInterrupt(const SignalInterrupt&) = delete;
  SignalInterrupt& operator=(const SignalInterrupt&) = delete;

  bool Raised() const override;
  bool WaitFor(absl::Duration duration) override;
  int fd() const override { return read_fd_; }

 private:
  int read_fd_ = -1;
};

}  // namespace muster::cli

#endif  // MUSTER_HUB_CLI_CONSOLE_H_
