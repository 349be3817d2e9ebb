// Certificates made on the spot, for tests of TLS.
#ifndef MUSTER_AGENT_LINK_TESTING_TEST_CERTIFICATES_H_
#define MUSTER_AGENT_LINK_TESTING_TEST_CERTIFICATES_H_

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace muster::agent {

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};

// A certification authority of one test. Aborts when OpenSSL refuses something.
class TestAuthority {
 public:
  TestAuthority();
  ~TestAuthority();

  const std::string& certificate_pem() const { return certificate_pem_; }
  // `subject_alt_name` in OpenSSL's syntax: "DNS:localhost,IP:127.0.0.1". Negative validity: already expired.
  TestCertificate Issue(const std::string& subject_alt_name, absl::Duration validity = absl::Hours(24)) const;

 private:
  struct Keys;
  std::unique_ptr<Keys> keys_;
  std::string certificate_pem_;
};

}  // namespace muster::agent

#endif  // MUSTER_AGENT_LINK_TESTING_TEST_CERTIFICATES_H_
