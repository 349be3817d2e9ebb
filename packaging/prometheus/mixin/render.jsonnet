// The files that ../render writes: name -> content. JSON throughout, which is YAML to whoever reads rules; jsonnet's own
// writer of YAML takes 10 s for them. `config`: what an operator wants otherwise.
function(config={})
  local mixin = (import 'mixin.libsonnet') { _config+:: config };
  {
    'rules.yml': mixin.prometheusRules,
    'alerts.yml': mixin.prometheusAlerts,
  } + {
    ['dashboards/' + name]: mixin.grafanaDashboards[name]
    for name in std.objectFields(mixin.grafanaDashboards)
  }
