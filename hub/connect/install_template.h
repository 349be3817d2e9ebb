// The files that the install script and the Kubernetes manifest are made of, embedded when the hub is built.
#ifndef MUSTER_HUB_CONNECT_INSTALL_TEMPLATE_H_
#define MUSTER_HUB_CONNECT_INSTALL_TEMPLATE_H_

namespace muster::hub {

extern const char* const kInstallTemplate;     // hub/connect/install.sh.in
extern const char* const kSupervisorTemplate;  // hub/connect/supervise.sh
extern const char* const kSystemdUnit;         // packaging/systemd/muster-agent.service

extern const char* const kKubernetesTemplate;  // hub/connect/kubernetes_agent.yaml.in
extern const char* const kRole;                // packaging/kubernetes/agent/base/role.yaml
extern const char* const kClusterRole;         // packaging/kubernetes/agent/cluster/clusterrole.yaml

}  // namespace muster::hub

#endif  // MUSTER_HUB_CONNECT_INSTALL_TEMPLATE_H_
