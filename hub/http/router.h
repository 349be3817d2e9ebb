// Chooses the handler for a request by method and path. Filled at start, then read from every thread.
#ifndef MUSTER_HUB_HTTP_ROUTER_H_
#define MUSTER_HUB_HTTP_ROUTER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "hub/http/http.h"

namespace muster::hub {

class HttpRouter : public HttpHandler {
 public:
  using Function = std::function<void(HttpRequest, std::unique_ptr<HttpResponder>)>;

  // `path` is matched whole, or as a prefix when it ends in '/' and is longer than "/". The longest match wins.
  // `method` "" means all. The handler must outlive the router.
  void Add(std::string method, std::string path, HttpHandler* handler);
  void Add(std::string method, std::string path, Function function);

  // 404 for an unknown path; 405 with Allow for a known path with another method. Both as JSON (ErrorResponse).
  void Handle(HttpRequest request, std::unique_ptr<HttpResponder> responder) override;

 private:
  struct Route {
    std::string method;
    std::string path;
    Function function;
  };
  std::vector<Route> routes_;
};

}  // namespace muster::hub

#endif  // MUSTER_HUB_HTTP_ROUTER_H_
