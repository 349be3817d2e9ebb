// Deployments. Those of a target that is itself not heard from are covered by its own alert.
local alert = import '../lib/alert.libsonnet';

function(config) {
  local values = { hub: config.hubSelector } + config.deployments,
  local wait = config.durations,
  local application = '{{ $labels.application }} {{ $labels.applicationversion }} on {{ $labels.deploymenttarget }}',

  name: 'muster-deployments',
  rules: [
    alert(
      'MusterDeploymentError',
      'critical',
      wait.deploymentError,
      'distr_deployment_status{%(hub)s, status="error"} == 1' % values,
      application + ' of {{ $labels.customerorganization }} is in error',
      '"muster deployment show {{ $labels.deploymentid }}" names each bad container with exit code and health output; "muster logs {{ $labels.deploymentid }}" has their last lines.'
    ),
    alert(
      'MusterDeploymentProgressing',
      'warning',
      wait.deploymentProgressing,
      'distr_deployment_status{%(hub)s, status="progressing"} == 1' % values,
      application + ' does not become ready',
      'A container is still created, starting or restarting. "muster deployment show {{ $labels.deploymentid }}" says which; look for an image that cannot be pulled, or a health check with a long start period.'
    ),
    alert(
      'MusterDeploymentStale',
      'warning',
      wait.deploymentStale,
      |||
        distr_deployment_stale{%(hub)s} == 1
        and on (job, instance, organization, customerorganization, deploymenttarget)
        distr_deployment_target_state{%(hub)s, state="connected"} == 1
      ||| % values,
      application + ' is not reported any more, though its target is connected',
      'The agent cannot see it: "muster target show {{ $labels.deploymenttarget }}" says why. Its last known status stays visible beside.',
      { inhibited_by: 'targets' }
    ),
    alert(
      // Not increase(): the sum falls when a container goes, which would count the restarts of the others again.
      'MusterContainerRestarts',
      'warning',
      wait.immediately,
      'delta(distr_deployment_container_restarts_total{%(hub)s}[1h]) >= %(restarts)d' % values,
      'Containers of ' + application + ' restarted {{ $value | humanize }} times within an hour',
      'Too slowly to count as an error: something ends them now and then. "muster history deployment {{ $labels.deploymentid }}" has the times, "muster logs {{ $labels.deploymentid }}" what they wrote before.'
    ),
    alert(
      'MusterContainerMemoryNearLimit',
      'warning',
      wait.long,
      |||
        distr_deployment_container_memory_bytes{%(hub)s}
        / (distr_deployment_container_memory_limit_bytes{%(hub)s} > 0)
        > %(memoryRatio)g
      ||| % values,
      'Container {{ $labels.container }} of ' + application + ' uses {{ $value | humanizePercentage }} of its memory limit',
      'At the limit the kernel kills it. Raise the limit, or find out what it keeps.'
    ),
  ],
}
