// Recording rules: what alerts and several dashboards ask for, under names of the form level:metric:operation. Labels of
// the scrape stay, so that two hubs at one Prometheus stay two.
function(config) {
  local hub = config.hubSelector,
  local place = 'job, instance, organization, customerorganization',
  local deployment = place + ', deploymenttarget, deploymentid, application, applicationversion',

  groups: [
    {
      name: 'muster-fleet.rules',
      rules: [
        {
          record: 'muster:targets:count',
          expr: 'sum by (%s, state) (distr_deployment_target_state{%s})' % [place, hub],
        },
        {
          // Of those that had been connected: the share that is not heard from. Absent while there are none.
          record: 'muster:targets_stale:ratio',
          expr: |||
            sum by (job, instance) (distr_deployment_target_state{%(hub)s, state="stale"})
            /
            (sum by (job, instance) (distr_deployment_target_state{%(hub)s, state=~"connected|stale"}) > 0)
          ||| % { hub: hub },
        },
        {
          record: 'muster:deployments:count',
          expr: 'sum by (%s, status) (distr_deployment_status{%s})' % [place, hub],
        },
        {
          record: 'muster:deployments_stale:count',
          expr: 'sum by (%s) (distr_deployment_stale{%s})' % [place, hub],
        },
        {
          record: 'muster:log_lines:rate5m',
          expr: 'sum by (%s) (rate(distr_log_lines_total{%s}[5m]))' % [place, hub],
        },
      ],
    },
    {
      name: 'muster-deployments.rules',
      rules: [
        {
          // In cores.
          record: 'muster:deployment_cpu:rate5m',
          expr: 'sum by (%s) (rate(distr_deployment_container_cpu_seconds_total{%s}[5m]))' % [deployment, hub],
        },
        {
          record: 'muster:deployment_memory_bytes:sum',
          expr: 'sum by (%s) (distr_deployment_container_memory_bytes{%s})' % [deployment, hub],
        },
      ],
    },
    {
      name: 'muster-hosts.rules',
      rules: [
        {
          record: 'muster:host_memory_used:ratio',
          expr: 'distr_host_memory_used_bytes{%(hub)s} / (distr_host_memory_total_bytes{%(hub)s} > 0)' % { hub: hub },
        },
        {
          // As df shows it: what is kept for root counts as used up.
          record: 'muster:host_filesystem_used:ratio',
          expr: |||
            distr_host_filesystem_used_bytes{%(hub)s}
            /
            (distr_host_filesystem_used_bytes{%(hub)s} + distr_host_filesystem_available_bytes{%(hub)s} > 0)
          ||| % { hub: hub },
        },
        {
          // Absent for file systems that do not count them, such as btrfs.
          record: 'muster:host_filesystem_files_used:ratio',
          expr: |||
            1 - distr_host_filesystem_files_free{%(hub)s} / (distr_host_filesystem_files{%(hub)s} > 0)
          ||| % { hub: hub },
        },
      ],
    },
    {
      name: 'muster-hub.rules',
      rules: [
        {
          record: 'muster:hub_store_commit_seconds:p99_rate5m',
          expr: 'histogram_quantile(0.99, sum by (job, instance, le) (rate(distr_hub_store_commit_seconds_bucket{%s}[5m])))' % hub,
        },
        {
          record: 'muster:hub_api_request_seconds:p99_rate5m',
          expr: 'histogram_quantile(0.99, sum by (job, instance, le) (rate(distr_hub_api_request_seconds_bucket{%s}[5m])))' % hub,
        },
        {
          // Errors of the hub, not those of whoever asks. The sum with all others keeps it at 0 while there are none.
          record: 'muster:hub_api_errors:ratio_rate5m',
          expr: |||
            sum by (job, instance) (
              rate(distr_hub_api_requests_total{%(hub)s, code=~"internal|unknown|data_loss|unavailable|deadline_exceeded"}[5m])
              or 0 * rate(distr_hub_api_requests_total{%(hub)s}[5m])
            )
            /
            (sum by (job, instance) (rate(distr_hub_api_requests_total{%(hub)s}[5m])) > 0)
          ||| % { hub: hub },
        },
      ],
    },
  ],
}
