// Alerts, a file for each kind of subject. Every one has a severity (critical: somebody is woken; warning: in working
// hours; info: for the record), a summary, and a description that says what to do.
//
// MusterManyTargetsStale carries `inhibits: targets`: while it fires, those with `inhibited_by: targets` say nothing new
// (the Alertmanager rule is in ../README.md).
function(config) {
  groups: [
    (import 'alerts/hub.libsonnet')(config),
    (import 'alerts/targets.libsonnet')(config),
    (import 'alerts/deployments.libsonnet')(config),
    (import 'alerts/journals.libsonnet')(config),
    (import 'alerts/hosts.libsonnet')(config),
    (import 'alerts/jobs.libsonnet')(config),
  ],
}
