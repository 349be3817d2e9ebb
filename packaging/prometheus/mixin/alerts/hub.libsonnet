// The hub itself, and the way to its numbers.
local alert = import '../lib/alert.libsonnet';

function(config) {
  local values = { hub: config.hubSelector } + config.hub,
  local wait = config.durations,

  name: 'muster-hub',
  rules: [
    alert(
      'MusterMetricsAbsent',
      'critical',
      wait.long,
      'absent(up{%(hub)s})' % values,
      'Prometheus scrapes no Muster hub',
      'No scrape target matches the selector of these rules, so nothing of the fleet is watched. Look at the scrape configuration, or change hubSelector in the mixin.'
    ),
    alert(
      'MusterScrapeFailing',
      'critical',
      wait.scrape,
      'up{%(hub)s} == 0' % values,
      'The hub {{ $labels.instance }} cannot be scraped',
      'Nothing of the fleet is watched. See whether muster-hub runs (systemctl status muster-hub), whether METRICS_ENABLED is true, and what Prometheus says of the target: 401 means that the bearer token is not METRICS_BEARER_TOKEN.'
    ),
    alert(
      'MusterHubDown',
      'critical',
      wait.hub,
      'distr_hub_up{%(hub)s} == 0' % values,
      'The hub behind {{ $labels.instance }} does not run',
      'Its numbers come from a process that only reads its data folder. Agents keep what happens in their journals meanwhile. Start muster-hub; its log names a reason in brackets when it will not.'
    ),
    alert(
      'MusterHubRestarting',
      'warning',
      wait.immediately,
      'changes(process_start_time_seconds{%(hub)s}[15m]) > %(restarts)d' % values,
      'The hub {{ $labels.instance }} restarted {{ $value | humanize }} times within 15 min',
      'Read its log (journalctl -u muster-hub) for how it ended, and the kernel log for a process killed for memory.'
    ),
    alert(
      'MusterHubStoreNotWritable',
      'critical',
      wait.hub,
      'distr_hub_store_writable{%(hub)s} == 0' % values,
      'The hub {{ $labels.instance }} can store no history',
      'Live states go on, agents keep their records. Make room on the volume of the data folder; after an I/O error replace the disk or restore the backup; then restart the hub.'
    ),
    alert(
      'MusterHubLogStoreNotWritable',
      'critical',
      wait.short,
      'distr_hub_log_store_writable{%(hub)s} == 0' % values,
      'The hub {{ $labels.instance }} can store no log lines',
      'Agents keep them until their journals are full. A full disk needs only room; after an I/O error or damage restart the hub, which sets a damaged logs.db aside.'
    ),
    alert(
      'MusterHubMetricStoreNotWritable',
      'warning',
      wait.short,
      'distr_hub_metric_store_writable{%(hub)s} == 0' % values,
      'The hub {{ $labels.instance }} can store no host metrics',
      'Samples wait in hub.db. A full disk needs only room; after an I/O error or damage restart the hub.'
    ),
    alert(
      'MusterHubMetricStoreNearLimit',
      'warning',
      wait.slow,
      'distr_hub_metric_store_bytes{%(hub)s} / (distr_hub_metric_store_limit_bytes{%(hub)s} > 0) > %(storeUsedRatio)g' % values,
      'The hub {{ $labels.instance }} has used {{ $value | humanizePercentage }} of what host metrics may take',
      'At the limit the oldest samples go first, before their days are over. Raise --metric-bytes where the disk has room, or lower --metric-raw-days.'
    ),
    alert(
      'MusterHubMetricMergeBehind',
      'warning',
      wait.long,
      |||
        distr_hub_host_samples_waiting{%(hub)s}
        / on (job, instance)
        clamp_min(sum by (job, instance) (distr_deployment_target_state{%(hub)s, state="connected"}), 1)
        > %(waitingSamplesPerTarget)d
      ||| % values,
      'The hub {{ $labels.instance }} is behind with host metrics: {{ $value | humanize }} samples wait per connected target',
      'They are safe in hub.db, which grows. Look at the CPU and the disk of the hub, and whether distr_hub_metric_store_writable is 1.'
    ),
    alert(
      'MusterHubCommitsSlow',
      'warning',
      wait.long,
      'muster:hub_store_commit_seconds:p99_rate5m{%(hub)s} > %(commitSeconds)g' % values,
      'One in a hundred commits of the hub {{ $labels.instance }} takes {{ $value | humanizeDuration }}',
      'The disk is slow or busy: records of agents wait. Look for other writers on the volume of the data folder, or move it to a faster one.'
    ),
    alert(
      'MusterHubOpenFilesNearLimit',
      'warning',
      wait.short,
      'process_open_fds{%(hub)s} / (process_max_fds{%(hub)s} > 0) > %(openFilesRatio)g' % values,
      'The hub {{ $labels.instance }} has {{ $value | humanizePercentage }} of the file descriptors that it may have',
      'Each agent takes one. At the limit no more can connect: raise LimitNOFILE in the unit of muster-hub and restart it.'
    ),
    alert(
      'MusterHubApiErrors',
      'warning',
      wait.short,
      'muster:hub_api_errors:ratio_rate5m{%(hub)s} > %(apiErrorRatio)g' % values,
      '{{ $value | humanizePercentage }} of the API calls to the hub {{ $labels.instance }} fail through the hub',
      'Its log has the calls with their reason. Look first whether its stores are writable.'
    ),
    alert(
      'MusterHubBusy',
      'warning',
      wait.long,
      'increase(distr_journal_batches_refused_total{%(hub)s, reason="BUSY"}[5m]) > 0' % values,
      'The hub {{ $labels.instance }} sends records of agents back: its store is behind',
      'They stay in the journals and come again. Look at the disk of the hub and at distr_hub_store_commit_seconds.'
    ),
    alert(
      'MusterHubLogChunksDamaged',
      'warning',
      wait.immediately,
      'increase(distr_hub_log_chunks_damaged_total{%(hub)s}[1h]) > 0' % values,
      'The hub {{ $labels.instance }} found stored log lines damaged',
      'Questions about them name the damage. Check the disk (smartctl, kernel log); a restart of the hub sets the file aside when it is damaged as a whole.'
    ),
    alert(
      'MusterSessionsRefused',
      'warning',
      wait.long,
      'sum by (job, instance, reason) (increase(distr_hub_sessions_refused_total{%(hub)s}[5m])) > 0' % values,
      'The hub {{ $labels.instance }} keeps refusing agents: {{ $labels.reason }}',
      'The log of the hub names them. BAD_SECRET, SECRET_ROTATED, UNKNOWN_TARGET: run "muster target reconnect" and its command on the host, or uninstall the agent there. TOO_OLD: install the agent of this hub. OVERLOADED: the hub is at its limit of sessions.'
    ),
  ],
}
