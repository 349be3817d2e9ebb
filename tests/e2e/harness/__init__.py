"""Real processes for the end-to-end tests: hub, agent, CLI, dockerd, Prometheus, hosts in namespaces."""
