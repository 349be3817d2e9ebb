#include "agent/docker/deployment_identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/present.h"
#include "common/text.h"

namespace muster::agent {
namespace {

const Container* FirstWith(const std::vector<const Container*>& containers, std::string ContainerLabels::*label) {
  const auto it = std::find_if(containers.begin(), containers.end(),
                               [=](const Container* c) { return !(c->labels.*label).empty(); });
  return it == containers.end() ? nullptr : *it;
}

}  // namespace

DeploymentIdentity IdentityOf(const Container& container) {
  const ContainerLabels& labels = container.labels;
  if (!labels.compose_project.empty()) {
    return {.key = fmt::format("compose/{}", labels.compose_project),
            .name = labels.compose_project,
            .kind = types::v1::DEPLOYMENT_KIND_COMPOSE_PROJECT};
  }
  const std::string& swarm = labels.stack_namespace.empty() ? labels.swarm_service : labels.stack_namespace;
  if (!swarm.empty()) {
    return {.key = fmt::format("swarm/{}", swarm), .name = swarm, .kind = types::v1::DEPLOYMENT_KIND_SWARM_STACK};
  }
  return {.key = fmt::format("container/{}", container.name),
          .name = container.name,
          .kind = types::v1::DEPLOYMENT_KIND_CONTAINER};
}

std::string ServiceOf(const Container& container) {
  const ContainerLabels& labels = container.labels;
  if (!labels.compose_project.empty() && !labels.compose_service.empty()) return labels.compose_service;
  if (labels.compose_project.empty() && !labels.swarm_service.empty()) return labels.swarm_service;
  return container.name;
}

std::string_view SwarmSlotOf(const Container& container) {
  if (!container.labels.compose_project.empty()) return "";
  const std::string_view task = container.labels.swarm_task;
  const std::size_t dot = task.rfind('.');
  return dot == std::string_view::npos ? "" : task.substr(0, dot);
}

ApplicationName ApplicationOf(const std::vector<const Container*>& spokesmen, std::string_view deployment_name) {
  const Container* speaker = FirstWith(spokesmen, &ContainerLabels::muster_application);
  const Container* versioned = FirstWith(spokesmen, &ContainerLabels::muster_version);
  if (speaker == nullptr) speaker = versioned;
  if (speaker == nullptr) speaker = FirstWith(spokesmen, &ContainerLabels::oci_title);
  if (speaker == nullptr) speaker = spokesmen.front();
  const ContainerLabels& labels = speaker->labels;
  ApplicationName name;
  name.application = !labels.muster_application.empty() ? labels.muster_application
                     : !labels.oci_title.empty()        ? labels.oci_title
                                                        : CleanUtf8(deployment_name, kMaxNameBytes);
  name.version = !labels.muster_version.empty() ? labels.muster_version
                 : versioned != nullptr         ? versioned->labels.muster_version
                 : !labels.oci_version.empty()  ? labels.oci_version
                                                : ImageTag(speaker->image);
  return name;
}

}  // namespace muster::agent
