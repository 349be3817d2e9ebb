// Deployment targets as the hub sees them. One that never connected since it was made is nobody's emergency: no alert.
local alert = import '../lib/alert.libsonnet';

function(config) {
  local values = { hub: config.hubSelector } + config.targets,
  local wait = config.durations,

  name: 'muster-targets',
  rules: [
    alert(
      'MusterManyTargetsStale',
      'critical',
      wait.massStale,
      |||
        muster:targets_stale:ratio{%(hub)s} > %(massStaleRatio)g
        and on (job, instance)
        sum by (job, instance) (distr_deployment_target_state{%(hub)s, state="stale"}) >= %(massStaleTargets)d
      ||| % values,
      '{{ $value | humanizePercentage }} of the targets of the hub {{ $labels.instance }} are stale at once',
      "Look at the hub's network first: its address, DNS, firewall, certificate, proxy in front of it. So many hosts hardly failed together. Alerts of single targets are to be inhibited meanwhile.",
      { inhibits: 'targets' }
    ),
    alert(
      'MusterTargetStale',
      'warning',
      wait.targetStale,
      'distr_deployment_target_state{%(hub)s, state="stale"} == 1' % values,
      'Target {{ $labels.deploymenttarget }} of {{ $labels.customerorganization }} is not heard from',
      'The host, its network or its agent is down. "muster target show {{ $labels.deploymenttarget }}" tells how its last session ended; on the host: systemctl status muster-agent, muster-agent doctor.',
      { inhibited_by: 'targets' }
    ),
    alert(
      'MusterTargetFlapping',
      'warning',
      wait.immediately,
      'changes(distr_deployment_target_state{%(hub)s, state="connected"}[1h]) > %(flaps)d' % values,
      'Target {{ $labels.deploymenttarget }} of {{ $labels.customerorganization }} came and went: {{ $value | humanize }} changes within an hour',
      'Its network is unsteady or its agent is killed again and again. See "muster history target {{ $labels.deploymenttarget }}" and "muster agent-logs {{ $labels.deploymenttarget }}".',
      { inhibited_by: 'targets' }
    ),
    alert(
      'MusterTargetObserverFault',
      'warning',
      wait.short,
      'distr_deployment_target_observer_fault{%(hub)s} == 1' % values,
      'The agent of {{ $labels.deploymenttarget }} cannot see its deployments',
      'The host is there, its container runtime does not answer the agent. "muster target show {{ $labels.deploymenttarget }}" has the reason: engine stopped, or its socket not open to the agent.'
    ),
    alert(
      'MusterTargetIdentityWarning',
      'warning',
      wait.immediately,
      'distr_deployment_target_identity_warning{%(hub)s} == 1' % values,
      'Two machines use the identity of {{ $labels.deploymenttarget }}, or its disk was rolled back',
      'After a clone: "muster target reconnect {{ $labels.deploymenttarget }}", run the command on the right machine, and create a target for the other. After a restored snapshot "muster target show" says what was lost.'
    ),
    alert(
      'MusterTargetClockSkew',
      'warning',
      wait.long,
      'abs(distr_deployment_target_clock_skew_seconds{%(hub)s}) > %(clockSkewSeconds)g' % values,
      'The clock of {{ $labels.deploymenttarget }} is {{ $value | humanizeDuration }} away from the clock of the hub',
      'Times in its history and logs are off by as much. Turn on NTP on the host (timedatectl); when many targets say so, on the hub.'
    ),
    alert(
      'MusterTargetDeploymentsOmitted',
      'warning',
      wait.long,
      'distr_deployment_target_omitted_deployments{%(hub)s} > 0' % values,
      '{{ $value | humanize }} deployments of {{ $labels.deploymenttarget }} are not shown: it has more than an agent lists',
      'Containers outside of Compose projects are a deployment each: remove finished ones, or start them from projects.'
    ),
  ],
}
