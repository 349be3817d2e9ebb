// The mixin, by the fields that tools for monitoring mixins look for. What may be changed is in config.libsonnet.
{
  _config:: import 'config.libsonnet',

  prometheusRules+:: (import 'rules.libsonnet')($._config),
  prometheusAlerts+:: (import 'alerts.libsonnet')($._config),
  grafanaDashboards+:: {
    'fleet.json': (import 'dashboards/fleet.libsonnet')($._config),
    'target.json': (import 'dashboards/target.libsonnet')($._config),
    'deployment.json': (import 'dashboards/deployment.libsonnet')($._config),
    'hub.json': (import 'dashboards/hub.libsonnet')($._config),
    'jobs.json': (import 'dashboards/jobs.libsonnet')($._config),
  },
}
