// Jobs on hosts, and their numbers.
local alert = import '../lib/alert.libsonnet';

function(config) {
  local values = { hub: config.hubSelector, target: 'job, instance, organization, customerorganization, deploymenttarget, deploymenttargetid' },
  local wait = config.durations,
  local job = 'Job {{ $labels.jobname }} on {{ $labels.deploymenttarget }} of {{ $labels.customerorganization }}',

  name: 'muster-jobs',
  rules: [
    alert(
      'MusterJobOverdue',
      'critical',
      wait.short,
      'distr_job_overdue{%(hub)s} == 1' % values,
      job + ' has not succeeded within its period',
      'It failed, did not start, or its host is away. "muster job list --target {{ $labels.deploymenttarget }}" has the last success; look at its timer and its own log on the host.'
    ),
    alert(
      'MusterJobFailing',
      'warning',
      wait.immediately,
      'distr_job_last_failure_timestamp_seconds{%(hub)s} > distr_job_last_success_timestamp_seconds{%(hub)s}' % values,
      'The last run of job {{ $labels.jobname }} on {{ $labels.deploymenttarget }} of {{ $labels.customerorganization }} failed',
      'Its own log on the host says why. The alert ends with the next success; "muster-agent push {{ $labels.jobname }} --delete" on the host forgets a job that is no more.'
    ),
    alert(
      'MusterJobSeriesRefused',
      'warning',
      wait.long,
      'distr_job_series_refused{%(hub)s} > 0' % values,
      '{{ $value | humanize }} series of jobs on {{ $labels.deploymenttarget }} are not shown: {{ $labels.reason }}',
      'SERIES_LIMIT: use fewer label values, or raise --job-series at the hub. TYPE_CLASH: another host pushes this name with another type; rename one of the two.'
    ),
    alert(
      'MusterJobPushesRefused',
      'warning',
      wait.immediately,
      'sum by (%(target)s) (increase(distr_job_refused_pushes_total{%(hub)s}[15m])) > 0' % values,
      'The agent of {{ $labels.deploymenttarget }} refused {{ $value | humanize }} pushes of jobs',
      'Their numbers did not count. The job was told the reason; the log of the agent has it too: "muster agent-logs {{ $labels.deploymenttarget }} --text push".'
    ),
  ],
}
