// Plain values of HTTP and the two interfaces between the server and what answers. No Beast here.
#ifndef MUSTER_HUB_HTTP_HTTP_H_
#define MUSTER_HUB_HTTP_HTTP_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace muster::hub {

class MappedFile;

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;      // as sent: "GET", "POST"; HEAD arrives as "GET", the server leaves the body out
  bool head_only = false;  // it was HEAD: for handlers whose GET has an effect
  std::string path;        // percent-decoded, begins with '/', valid UTF-8 without control characters
  std::string query;       // behind '?', not decoded
  std::vector<HttpHeader> headers;
  std::string body;
  std::string peer;  // the client's IP address

  // The first header of that name, whatever its case; empty when absent.
  std::string_view Header(std::string_view name) const;
  // What follows "Bearer " in Authorization; empty when absent or of another scheme.
  std::string_view BearerToken() const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
  // Sent instead of `body` when set; many answers may share it.
  std::shared_ptr<const std::string> shared_body = {};
  // Sent instead of `body` when set, without a copy in memory.
  std::shared_ptr<const MappedFile> file = {};
  std::vector<HttpHeader> headers = {};
  // May be compressed when the client asks. Never for answers that carry a secret beside text the client chose.
  bool compressible = false;
};

enum class StreamWrite {
  kTaken,
  kFull,  // not taken: the client reads too slowly, kMaxStreamBuffer is used up. Later ones may be taken.
  kGone,  // not taken: the client is gone
};

// Answers one request: either Send once, or StartStream, Write any number of times, End. Callable from any thread;
// every call returns at once and is harmless when the client is gone. Destroyed without an answer it sends 500.
class HttpResponder {
 public:
  virtual ~HttpResponder() = default;

  virtual void Send(HttpResponse response) = 0;

  // Sends the head of a chunked answer. `on_gone` runs at most once, on a thread of the server, when the client has
  // gone or the server stops before End; at once when that has already happened.
  virtual void StartStream(HttpResponse head, std::function<void()> on_gone) = 0;
  virtual StreamWrite Write(std::string_view chunk) = 0;
  // `callback` runs once, on a thread of the server or at once, when all that was written has gone out; never when the
  // client has gone or after End. A later one takes its place. It must be short.
  virtual void OnWritable(std::function<void()> callback) = 0;
  // `last` is always taken, whatever is unsent: how a stream ended must reach a slow client too.
  virtual void End(std::string_view last) = 0;
  void End() { End({}); }
};

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Called on a thread that serves other clients too: hand long or blocking work to a WorkerPool.
  virtual void Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) = 0;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_HTTP_H_
