// gzip of answers, fast rather than small: level 1 takes 1.6 ms per MB of exposition text and makes it 10 times
// smaller.
#ifndef MUSTER_HUB_HTTP_GZIP_H_
#define MUSTER_HUB_HTTP_GZIP_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace muster::hub {

// Nothing when zlib has no memory: then the answer goes out as it is.
std::optional<std::string> Gzip(std::string_view plain);

// The same in pieces, so that the plain text need never be there as a whole. Not thread-safe.
class GzipStream {
 public:
  // Null when zlib has no memory.
  static std::unique_ptr<GzipStream> Make();
  ~GzipStream();
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;

  // At most 4 GiB at a time.
  void Write(std::string_view plain);
  // Everything that was written, compressed. The last call.
  std::string Finish();

 private:
  struct State;
  explicit GzipStream(std::unique_ptr<State> state);
  void Run(std::string_view plain, bool is_last);

  std::unique_ptr<State> state_;
  std::string packed_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_GZIP_H_
