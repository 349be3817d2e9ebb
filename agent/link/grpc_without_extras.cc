// Of the static agent only. gRPC registers its optional parts in one source of its own, in place of which it can be
// built with an empty one: xDS (a control plane that hands out addresses) with its policies, and RBAC. The agent
// connects to one address. The linker searches libraries behind our objects, so with this one it takes neither that
// source nor the 1.5 MB that only it asks for. If gRPC renames the function, the program grows again, and
// tests/bench/agent_footprint.py says so; if something else needs the source, linking fails.
namespace grpc_core {

// gRPC installs no header of it. Only the name of the inner class matters, which is part of the function's.
class CoreConfiguration {
 public:
  class Builder;
};

void RegisterExtraFilters(CoreConfiguration::Builder* builder);
void RegisterExtraFilters(CoreConfiguration::Builder* /*builder*/) {}

}  // namespace grpc_core
