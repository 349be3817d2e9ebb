#include "agent/kubernetes/yaml_tree.h"

#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <utility>

#include "common/status.h"
#include "common/text.h"

namespace muster::agent {
namespace {

constexpr std::size_t kMaxProblemBytes = 200;

class Event {
 public:
  Event() = default;
  ~Event() { yaml_event_delete(&event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  yaml_event_t* get() { return &event_; }
  const yaml_event_t* operator->() const { return &event_; }

 private:
  yaml_event_t event_{};
};

class Reader {
 public:
  explicit Reader(std::string_view text) {
    is_good_ = yaml_parser_initialize(&parser_) == 1;
    if (!is_good_) return;
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  ~Reader() {
    if (is_good_) yaml_parser_delete(&parser_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  absl::StatusOr<YamlNode> ReadDocument() {
    if (!is_good_) return absl::ResourceExhaustedError("no memory for YAML");
    while (true) {
      Event event;
      RETURN_IF_ERROR(Next(event));
      if (event->type == YAML_STREAM_END_EVENT) return YamlNode();
      if (event->type == YAML_DOCUMENT_START_EVENT) break;
    }
    Event first;
    RETURN_IF_ERROR(Next(first));
    ASSIGN_OR_RETURN(YamlNode root, ReadNode(first, 0));
    Event document_end;
    RETURN_IF_ERROR(Next(document_end));
    Event stream_end;
    RETURN_IF_ERROR(Next(stream_end));
    if (stream_end->type != YAML_STREAM_END_EVENT) return Wrong("a second document begins; one is expected");
    return root;
  }

 private:
  absl::Status Wrong(std::string_view what) const {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_YAML",
                     fmt::format("line {}: {}", parser_.mark.line + 1, what));
  }

  absl::Status Next(Event& event) {
    if (yaml_parser_parse(&parser_, event.get()) == 1) return absl::OkStatus();
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_YAML",
                     fmt::format("line {}: not YAML: {}", parser_.problem_mark.line + 1,
                                 CleanUtf8(parser_.problem == nullptr ? "" : parser_.problem, kMaxProblemBytes)));
  }

  // The node that begins with `event`.
  absl::StatusOr<YamlNode> ReadNode(const Event& event, int depth) {
    if (depth > kMaxYamlDepth || ++nodes_ > kMaxYamlNodes) {
      return MakeError(absl::StatusCode::kResourceExhausted, "YAML_TOO_LARGE",
                       fmt::format("line {}: more than {} levels or {} values", parser_.mark.line + 1, kMaxYamlDepth,
                                   kMaxYamlNodes));
    }
    switch (event->type) {
      case YAML_SCALAR_EVENT:
        return ReadScalar(event);
      case YAML_SEQUENCE_START_EVENT:
        return ReadList(depth);
      case YAML_MAPPING_START_EVENT:
        return ReadMap(depth);
      case YAML_ALIAS_EVENT:
        return Wrong("an alias (*name); write the value out");
      default:
        return Wrong("a value is missing");
    }
  }

  static YamlNode ReadScalar(const Event& event) {
    YamlNode node;
    const auto& scalar = event->data.scalar;
    node.scalar.assign(reinterpret_cast<const char*>(scalar.value), scalar.length);
    const bool is_plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (is_plain && (node.scalar == "~" || node.scalar == "null")) node.scalar.clear();
    return node;
  }

  absl::StatusOr<YamlNode> ReadList(int depth) {
    YamlNode node;
    node.kind = YamlNode::Kind::kList;
    while (true) {
      Event event;
      RETURN_IF_ERROR(Next(event));
      if (event->type == YAML_SEQUENCE_END_EVENT) return node;
      ASSIGN_OR_RETURN(YamlNode item, ReadNode(event, depth + 1));
      node.list.push_back(std::move(item));
    }
  }

  absl::StatusOr<YamlNode> ReadMap(int depth) {
    YamlNode node;
    node.kind = YamlNode::Kind::kMap;
    while (true) {
      Event event;
      RETURN_IF_ERROR(Next(event));
      if (event->type == YAML_MAPPING_END_EVENT) return node;
      if (event->type == YAML_ALIAS_EVENT) return Wrong("an alias (*name); write the value out");
      if (event->type != YAML_SCALAR_EVENT) return Wrong("a key that is no text");
      std::string key = ReadScalar(event).scalar;
      Event value_event;
      RETURN_IF_ERROR(Next(value_event));
      ASSIGN_OR_RETURN(YamlNode value, ReadNode(value_event, depth + 1));
      node.keys.push_back(std::move(key));
      node.list.push_back(std::move(value));
    }
  }

  yaml_parser_t parser_{};
  bool is_good_ = false;
  int nodes_ = 0;
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto it = std::find(keys.begin(), keys.end(), key);
  return it == keys.end() ? nullptr : &list[static_cast<std::size_t>(it - keys.begin())];
}

std::string_view YamlNode::Text(std::string_view key) const {
  const YamlNode* const node = Find(key);
  return node == nullptr ? std::string_view() : std::string_view(node->scalar);
}

absl::StatusOr<YamlNode> ParseYaml(std::string_view text) {
  if (text.size() > kMaxYamlBytes) {
    return MakeError(absl::StatusCode::kResourceExhausted, "YAML_TOO_LARGE",
                     fmt::format("more than {} bytes", kMaxYamlBytes));
  }
  return Reader(text).ReadDocument();
}

}  // namespace muster::agent
