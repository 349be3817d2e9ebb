// One alerting rule. `wait`: how long the condition must hold.
function(name, severity, wait, expr, summary, description, labels={}) {
  alert: name,
  expr: expr,
  'for': wait,
  labels: { severity: severity } + labels,
  annotations: { summary: summary, description: description },
}
