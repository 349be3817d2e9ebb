#include "agent/kubernetes/json_filter.h"

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <utility>

#include "agent/deployments/json_values.h"
#include "agent/kubernetes/object_decode.h"
#include "common/text.h"

namespace muster::agent {
namespace {

using nlohmann::json;

// Of termination messages the last line counts, and a list's place is no text but must come back whole.
constexpr std::size_t kMaxMessageTextBytes = 4096;
constexpr std::size_t kMaxContinueBytes = 16 * 1024;

std::size_t MaxBytesOf(std::string_view key) {
  if (key == "message") return kMaxMessageTextBytes;
  return key == "continue" ? kMaxContinueBytes : kMaxKubeTextBytes;
}

// Called by nlohmann's parser for one token after the other; every method says whether to go on.
class Handler {
 public:
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  Handler(const JsonFilter& filter, const std::function<bool(const json&)>* take) : filter_(&filter), take_(take) {}

  json TakeRoot() { return std::move(root_); }
  const std::string& problem() const { return problem_; }

  bool null() { return Put(nullptr); }
  bool boolean(bool value) { return Put(value); }
  bool number_integer(number_integer_t value) { return Put(value); }
  bool number_unsigned(number_unsigned_t value) { return Put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) { return Put(value); }
  bool binary(binary_t& /*value*/) { return true; }
  bool string(string_t& value) {
    if (!IsWanted()) return true;
    const std::size_t limit = MaxBytesOf(key_);
    return Put(value.size() > limit ? CleanUtf8(value, limit) : std::move(value));
  }
  bool key(string_t& value) {
    Frame& top = stack_.back();
    top.child = top.node == nullptr ? nullptr : top.filter->Child(value);
    if (top.child != nullptr) key_ = value;
    return true;
  }
  bool start_object(std::size_t /*size*/) { return Open(json::object()); }
  bool start_array(std::size_t /*size*/) { return Open(json::array()); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/, const json::exception& /*error*/) {
    problem_ = "not JSON";
    return false;
  }

 private:
  struct Frame {
    json* node = nullptr;  // null: passed over
    const JsonFilter* filter = nullptr;
    // Of the value that comes next; in an array the array's own.
    const JsonFilter* child = nullptr;
    bool is_items = false;
  };

  bool IsWanted() const {
    if (stack_.empty()) return true;
    const Frame& top = stack_.back();
    return top.node != nullptr && top.child != nullptr &&
           (!top.node->is_array() || top.is_items || top.node->size() < kMaxKubeParts);
  }

  // Where the value now is; null: nowhere.
  json* Place(json value) {
    if (!IsWanted()) return nullptr;
    if (stack_.empty()) return &(root_ = std::move(value));
    const Frame& top = stack_.back();
    if (top.is_items) return &(item_ = std::move(value));
    if (top.node->is_object()) return &((*top.node)[key_] = std::move(value));
    top.node->push_back(std::move(value));
    return &top.node->back();
  }

  bool Put(json value) {
    Place(std::move(value));
    return true;
  }

  bool Open(json empty) {
    if (stack_.size() == kMaxKubeJsonDepth) {
      problem_ = fmt::format("nested deeper than {}", kMaxKubeJsonDepth);
      return false;
    }
    Frame frame;
    const bool is_array = empty.is_array();
    frame.is_items = take_ != nullptr && is_array && stack_.size() == 1 && stack_.back().child != nullptr &&
                     stack_.back().node->is_object() && key_ == "items";
    frame.filter = stack_.empty() ? filter_ : stack_.back().child;
    frame.node = Place(std::move(empty));
    if (frame.node != nullptr && is_array) frame.child = frame.filter;
    stack_.push_back(frame);
    return true;
  }

  bool Close() {
    const bool was_kept = stack_.back().node != nullptr;
    stack_.pop_back();
    if (!was_kept || stack_.empty() || !stack_.back().is_items) return true;
    if ((*take_)(item_)) return true;
    problem_ = "too many items";
    return false;
  }

  const JsonFilter* const filter_;
  const std::function<bool(const json&)>* const take_;
  json root_;
  json item_;
  std::vector<Frame> stack_;
  std::string key_;
  std::string problem_;
};

absl::StatusOr<json> Parse(std::string_view text, const JsonFilter& filter, std::string_view what,
                           const std::function<bool(const json&)>* take) {
  // One hostile text must not blind us: its bytes are replaced, not the whole answer refused.
  std::string cleaned;
  if (!IsValidUtf8(text)) {
    cleaned = CleanUtf8(text, std::numeric_limits<std::size_t>::max());
    text = cleaned;
  }
  Handler handler(filter, take);
  if (!json::sax_parse(text.begin(), text.end(), &handler)) {
    return BadJson(fmt::format("{}: {}", what, handler.problem().empty() ? "not JSON" : handler.problem()));
  }
  return handler.TakeRoot();
}

}  // namespace

JsonFilter::JsonFilter(const std::vector<std::string>& paths) {
  for (const std::string_view path : paths) {
    JsonFilter* node = this;
    for (std::size_t begin = 0; begin < path.size();) {
      const std::size_t end = std::min(path.find(' ', begin), path.size());
      const std::string key(path.substr(begin, end - begin));
      const auto it = node->children_.find(key);
      node = it == node->children_.end() ? &node->children_.emplace(key, JsonFilter()).first->second : &it->second;
      begin = end + 1;
    }
  }
}

const JsonFilter* JsonFilter::Child(std::string_view key) const {
  const auto it = children_.find(key);
  return it == children_.end() ? nullptr : &it->second;
}

absl::StatusOr<json> ParseFiltered(std::string_view text, const JsonFilter& filter, std::string_view what) {
  return Parse(text, filter, what, nullptr);
}

absl::StatusOr<json> ParseFilteredList(std::string_view text, const JsonFilter& filter, std::string_view what,
                                       const std::function<bool(const json& item)>& take) {
  return Parse(text, filter, what, &take);
}

}  // namespace muster::agent
