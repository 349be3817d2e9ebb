// Fills in templates of text. Pure.
#ifndef MUSTER_HUB_CONNECT_TEMPLATE_H_
#define MUSTER_HUB_CONNECT_TEMPLATE_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace muster::hub {

// Replaces each @NAME@ of the template by its value, once: a value that looks like a placeholder stays as it is.
std::string FillTemplate(std::string_view text, const std::map<std::string, std::string, std::less<>>& values);

// Fails for characters that do not mean themselves to a shell, to systemd or in a Kubernetes argument ("$(NAME)").
absl::Status CheckPlain(std::string_view what, std::string_view value);

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_TEMPLATE_H_
