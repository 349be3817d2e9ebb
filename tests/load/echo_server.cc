// muster-echo: the least that can answer the agents' frames over gRPC: every Hello is welcomed, every heartbeat and
// every batch acknowledged at once, nothing is looked at or kept. One thread, and the tuning that a server can be told;
// its keepalive is the default. What a hub is measured against.
#include <fmt/format.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <deque>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "muster/agent/v1/agent.grpc.pb.h"

namespace muster::load {
namespace {

using agent::v1::AgentService;
using agent::v1::SessionRequest;
using agent::v1::SessionResponse;

SessionResponse AnswerTo(const SessionRequest& frame) {
  SessionResponse answer;
  switch (frame.frame_case()) {
    case SessionRequest::kHello: {
      agent::v1::Welcome* welcome = answer.mutable_welcome();
      welcome->set_session_id("ses_echo");
      welcome->set_session_counter(frame.hello().session_counter() + 1);
      welcome->set_hub_epoch("echo");
      welcome->mutable_settings()->set_metrics_enabled(true);
      break;
    }
    case SessionRequest::kHeartbeat:
      answer.mutable_heartbeat_ack()->set_number(frame.heartbeat().number());
      *answer.mutable_heartbeat_ack()->mutable_echo_sent_at() = frame.heartbeat().sent_at();
      break;
    case SessionRequest::kRecordBatch: {
      const agent::v1::RecordBatch& batch = frame.record_batch();
      agent::v1::BatchAck* ack = answer.mutable_batch_ack();
      ack->set_epoch(batch.epoch());
      ack->set_lane(batch.lane());
      ack->set_sequence(batch.first_sequence() + batch.records_size() - 1);
      break;
    }
    default:
      break;
  }
  return answer;
}

class Call;
struct Tag {
  Call* call;
  void (Call::*done)(bool ok);
};

// One stream; deletes itself when nothing of it is with gRPC any more.
class Call {
 public:
  Call(AgentService::AsyncService* service, grpc::ServerCompletionQueue* queue) : service_(service), queue_(queue) {
    ++pending_;
    service_->RequestSession(&context_, &stream_, queue_, queue_, &accepted_);
  }

 private:
  void OnAccepted(bool ok) {
    if (ok) {
      new Call(service_, queue_);
      Read();
    }
    Left();
  }
  void OnRead(bool ok) {
    if (ok) {
      SessionResponse answer = AnswerTo(request_);
      if (request_.has_goodbye()) {
        is_over_ = true;
      } else {
        if (answer.frame_case() != SessionResponse::FRAME_NOT_SET) answers_.push_back(std::move(answer));
        Read();
      }
    } else {
      is_over_ = true;
    }
    Write();
    Left();
  }
  void OnWritten(bool ok) {
    is_writing_ = false;
    answers_.pop_front();
    if (!ok) answers_.clear();
    Write();
    Left();
  }
  void OnFinished(bool /*ok*/) { Left(); }

  void Read() {
    ++pending_;
    stream_.Read(&request_, &read_);
  }
  void Write() {
    if (is_writing_ || is_finished_) return;
    if (!answers_.empty()) {
      is_writing_ = true;
      ++pending_;
      stream_.Write(answers_.front(), &written_);
    } else if (is_over_) {
      is_finished_ = true;
      ++pending_;
      stream_.Finish(grpc::Status::OK, &finished_);
    }
  }
  void Left() {
    if (--pending_ == 0) delete this;
  }

  AgentService::AsyncService* const service_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::ServerContext context_;
  grpc::ServerAsyncReaderWriter<SessionResponse, SessionRequest> stream_{&context_};
  SessionRequest request_;
  std::deque<SessionResponse> answers_;
  int pending_ = 0;
  bool is_writing_ = false;
  bool is_over_ = false;
  bool is_finished_ = false;
  Tag accepted_{this, &Call::OnAccepted};
  Tag read_{this, &Call::OnRead};
  Tag written_{this, &Call::OnWritten};
  Tag finished_{this, &Call::OnFinished};
};

std::string Slurp(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

int Serve(const std::string& address, const std::string& cert, const std::string& key) {
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument("grpc.http2.bdp_probe", 0);
  builder.AddChannelArgument("grpc.minimal_stack", 1);
  builder.AddChannelArgument("grpc.enable_channelz", 0);
  builder.AddChannelArgument("grpc.tsi.max_frame_size", 1024);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (!cert.empty()) {
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({Slurp(key), Slurp(cert)});
    credentials = grpc::SslServerCredentials(options);
  }
  AgentService::AsyncService service;
  int port = 0;
  builder.AddListeningPort(address, credentials, &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    fmt::print(stderr, "muster-echo: cannot listen on {}\n", address);
    return 1;
  }
  fmt::print("ready at {}\n", address);
  std::fflush(stdout);
  new Call(&service, queue.get());
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) {
    const Tag* const of = static_cast<Tag*>(tag);
    (of->call->*of->done)(ok);
  }
  return 0;
}

}  // namespace
}  // namespace muster::load

// Ends by a signal; it keeps nothing.
int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  gpr_set_log_function([](gpr_log_func_args*) {});
  CLI::App app("muster-echo: the least that can answer agents");
  std::string address;
  std::string cert;
  std::string key;
  app.add_option("--grpc-addr", address, "IP:PORT")->required();
  app.add_option("--tls-cert", cert, "PEM; without it plaintext");
  app.add_option("--tls-key", key);
  CLI11_PARSE(app, argc, argv);
  return muster::load::Serve(address, cert, key);
}
