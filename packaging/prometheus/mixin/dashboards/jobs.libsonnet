// Jobs on hosts: which are overdue, which fail. Their own numbers are at /metrics under their own names.
local p = import '../lib/panels.libsonnet';

function(config)
  local uids = config.dashboards.uids;
  local hub = config.hubSelector;
  local chosen = hub + ', customerorganization=~"$customer", deploymenttarget=~"$target"';
  local labels = 'customerorganization, deploymenttarget, jobname';
  local toTarget = '/d/' + uids.target + '?var-target=${__value.text:percentencode}';

  p.dashboard(
    config,
    uids.jobs,
    'Muster / Jobs',
    'Programs on hosts that push their numbers and end.',
    [
      p.filter('customer', 'Customer', 'label_values(distr_job_last_push_timestamp_seconds{%s}, customerorganization)' % hub),
      p.filter('target', 'Target', 'label_values(distr_job_last_push_timestamp_seconds{%s, customerorganization=~"$customer"}, deploymenttarget)' % hub),
    ],
    [
      p.stat('Jobs', 'short', p.query('count(distr_job_last_push_timestamp_seconds{%s})' % chosen), width=6),
      p.stat('Overdue', 'short', p.query('sum(distr_job_overdue{%s})' % chosen), width=6, steps=[[1, 'red']]),
      p.stat(
        'Last run failed',
        'short',
        p.query('sum(distr_job_last_failure_timestamp_seconds{%s} > bool distr_job_last_success_timestamp_seconds{%s})' % [chosen, chosen]),
        width=6,
        steps=[[1, 'orange']]
      ),
      p.stat('Series shown', 'short', p.query('sum(distr_job_series{%s})' % chosen), width=6),
      p.table(
        'Jobs',
        [['jobname', 'Job'], ['deploymenttarget', 'Target', toTarget], ['customerorganization', 'Customer']],
        [
          { title: 'Last success', unit: 'dateTimeFromNow', expr: '1000 * max by (%s) (distr_job_last_success_timestamp_seconds{%s} > 0)' % [labels, chosen] },
          { title: 'Last failure', unit: 'dateTimeFromNow', expr: '1000 * max by (%s) (distr_job_last_failure_timestamp_seconds{%s} > 0)' % [labels, chosen] },
          { title: 'Last push', unit: 'dateTimeFromNow', expr: '1000 * max by (%s) (distr_job_last_push_timestamp_seconds{%s})' % [labels, chosen] },
          { title: 'Period', unit: 's', expr: 'max by (%s) (distr_job_period_seconds{%s})' % [labels, chosen] },
          { title: 'Overdue', unit: 'bool_yes_no', expr: 'max by (%s) (distr_job_overdue{%s})' % [labels, chosen] },
        ]
      ),
      p.states('Overdue over time', [p.query('distr_job_overdue{%s}' % chosen, '{{deploymenttarget}} {{jobname}}')]),
      p.lines('Runs', 'short', [p.query('sum by (result) (increase(distr_job_runs_total{%s}[$__rate_interval]))' % chosen, '{{result}}')]),
      p.lines('Series that are not shown', 'short', [p.query('sum by (deploymenttarget, reason) (distr_job_series_refused{%s})' % chosen, '{{deploymenttarget}} {{reason}}')]),
      p.lines('Pushes refused', 'short', [p.query('sum by (deploymenttarget) (increase(distr_job_refused_pushes_total{%s}[$__rate_interval]))' % chosen, '{{deploymenttarget}}')]),
    ]
  )
