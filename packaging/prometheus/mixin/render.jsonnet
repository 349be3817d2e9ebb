// The files that ../render writes: name -> text. `config`: what an operator wants otherwise.
function(config={})
  local mixin = (import 'mixin.libsonnet') { _config+:: config };
  local yaml(value) = std.manifestYamlDoc(value, indent_array_in_object=true, quote_keys=false) + '\n';
  {
    'rules.yml': yaml(mixin.prometheusRules),
    'alerts.yml': yaml(mixin.prometheusAlerts),
  } + {
    ['dashboards/' + name]: std.manifestJsonEx(mixin.grafanaDashboards[name], '  ') + '\n'
    for name in std.objectFields(mixin.grafanaDashboards)
  }
