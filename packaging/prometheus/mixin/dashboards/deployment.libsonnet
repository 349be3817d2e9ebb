// One deployment: its status over time and what its containers take.
local p = import '../lib/panels.libsonnet';

function(config)
  local uids = config.dashboards.uids;
  local hub = config.hubSelector;
  local chosen = hub + ', deploymentid="$deployment"';

  p.dashboard(
    config,
    uids.deployment,
    'Muster / Deployment',
    'A Compose project or a container on a target.',
    [
      p.choose('target', 'Target', 'label_values(distr_deployment_info{%s}, deploymenttarget)' % hub),
      p.chooseSeries('deployment', 'Deployment', 'distr_deployment_info{%s, deploymenttarget="$target"}' % hub, 'deployment', 'deploymentid'),
    ],
    [
      p.row('Status'),
      p.words('Application', p.instant('distr_deployment_info{%s}' % chosen, '{{application}} {{applicationversion}}'), width=6),
      p.words('Kind and revision', p.instant('distr_deployment_info{%s}' % chosen, '{{kind}} {{revision}}'), width=6),
      p.words('Status', p.instant('distr_deployment_status{%s} == 1' % chosen, '{{status}}'), width=3),
      p.stat('Stale', 'bool_yes_no', p.query('distr_deployment_stale{%s}' % chosen), steps=[[1, 'orange']]),
      p.stat('In this status since', 'dateTimeFromNow', p.query('1000 * distr_deployment_status_since_timestamp_seconds{%s}' % chosen)),
      p.stat('Last reported', 'dateTimeFromNow', p.query('1000 * distr_deployment_status_timestamp_seconds{%s}' % chosen)),
      p.states('Status over time', [p.query('distr_deployment_status{%s}' % chosen, '{{status}}'), p.query('distr_deployment_stale{%s}' % chosen, 'stale')]),
      p.row('Containers'),
      p.lines('Containers by state', 'short', [p.query('distr_deployment_containers{%s}' % chosen, '{{state}}')], width=12, stacked=true),
      p.lines('Restarts', 'short', [p.query('distr_deployment_container_restarts_total{%s}' % chosen, 'present containers')], width=12),
      p.lines('CPU (cores)', 'short', [p.query('rate(distr_deployment_container_cpu_seconds_total{%s}[$__rate_interval])' % chosen, '{{container}}')], stacked=true),
      p.lines('Memory', 'bytes', [p.query('distr_deployment_container_memory_bytes{%s}' % chosen, '{{container}}')], stacked=true),
      p.lines(
        'Memory of its limit',
        'percentunit',
        [p.query('distr_deployment_container_memory_bytes{%s} / (distr_deployment_container_memory_limit_bytes{%s} > 0)' % [chosen, chosen], '{{container}}')],
        max=1,
        description='Containers without a limit are not shown.'
      ),
    ]
  )
