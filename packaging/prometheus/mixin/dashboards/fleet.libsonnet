// The fleet at a glance: how many, in which state, and which of them need somebody.
local p = import '../lib/panels.libsonnet';

function(config)
  local uids = config.dashboards.uids;
  local hub = config.hubSelector;
  local chosen = hub + ', customerorganization=~"$customer"';
  local toTarget = '/d/' + uids.target + '?var-target=${__value.text:percentencode}';
  local targetLabels = 'customerorganization, deploymenttarget';

  p.dashboard(
    config,
    uids.fleet,
    'Muster / Fleet',
    'All deployment targets and deployments of a hub.',
    [p.filter('customer', 'Customer', 'label_values(distr_deployment_target_state{%s}, customerorganization)' % hub)],
    [
      p.row('Now'),
      p.stat('Targets connected', 'short', p.query('sum(distr_deployment_target_state{%s, state="connected"})' % chosen)),
      p.stat('Targets stale', 'short', p.query('sum(distr_deployment_target_state{%s, state="stale"})' % chosen), steps=[[1, 'orange']]),
      p.stat('Targets not connected', 'short', p.query('sum(distr_deployment_target_state{%s, state="not_connected"})' % chosen)),
      p.stat('Healthy', 'short', p.query('sum(distr_deployment_status{%s, status="healthy"})' % chosen)),
      p.stat('Running', 'short', p.query('sum(distr_deployment_status{%s, status="running"})' % chosen), description='Up, without health checks.'),
      p.stat('Progressing', 'short', p.query('sum(distr_deployment_status{%s, status="progressing"})' % chosen), steps=[[1, 'blue']]),
      p.stat('In error', 'short', p.query('sum(distr_deployment_status{%s, status="error"})' % chosen), steps=[[1, 'red']]),
      p.stat('Deployments stale', 'short', p.query('sum(distr_deployment_stale{%s})' % chosen), steps=[[1, 'orange']]),
      p.table(
        'Alerts',
        [['alertname', 'Alert'], ['severity', 'Severity'], ['alertstate', 'State'], ['customerorganization', 'Customer'], ['deploymenttarget', 'Target', toTarget], ['application', 'Application'], ['jobname', 'Job']],
        [{ title: 'Value', unit: 'none', expr: 'ALERTS{alertname=~"Muster.*", customerorganization=~"$customer"}' }],
        height=7
      ),
      p.row('Over time'),
      p.lines('Targets by state', 'short', [p.query('sum by (state) (muster:targets:count{%s})' % chosen, '{{state}}')], stacked=true),
      p.lines(
        'Deployments by status',
        'short',
        [
          p.query('sum by (status) (muster:deployments:count{%s})' % chosen, '{{status}}'),
          p.query('sum(muster:deployments_stale:count{%s})' % chosen, 'stale'),
        ],
        stacked=true
      ),
      p.lines('Log lines', 'cps', [p.query('sum by (customerorganization) (muster:log_lines:rate5m{%s})' % chosen, '{{customerorganization}}')]),
      p.row('Targets'),
      p.table(
        'Targets',
        [['deploymenttarget', 'Target', toTarget], ['customerorganization', 'Customer'], ['version', 'Agent'], ['state', 'State']],
        [
          { title: ' ', unit: 'none', expr: 'sum by (%s, state) (distr_deployment_target_state{%s} == 1)' % [targetLabels, chosen] },
          { title: 'Last seen', unit: 'dateTimeFromNow', expr: '1000 * max by (%s) (distr_deployment_target_last_seen_timestamp_seconds{%s} > 0)' % [targetLabels, chosen] },
          { title: 'Agent ', unit: 'none', expr: 'max by (%s, version) (distr_deployment_target_agent_info{%s})' % [targetLabels, chosen] },
          { title: 'CPU', unit: 'percentunit', expr: 'max by (%s) (distr_host_cpu_usage_ratio{%s})' % [targetLabels, chosen] },
          { title: 'Memory', unit: 'percentunit', expr: 'max by (%s) (muster:host_memory_used:ratio{%s})' % [targetLabels, chosen] },
          { title: 'Fullest file system', unit: 'percentunit', expr: 'max by (%s) (muster:host_filesystem_used:ratio{%s})' % [targetLabels, chosen] },
          { title: 'Journal', unit: 'bytes', expr: 'max by (%s) (distr_journal_bytes{%s})' % [targetLabels, chosen] },
        ]
      ),
      p.row('Deployments'),
      p.table(
        'Deployments',
        [['deployment', 'Deployment'], ['deploymenttarget', 'Target', toTarget], ['customerorganization', 'Customer'], ['application', 'Application'], ['applicationversion', 'Version'], ['status', 'Status']],
        [
          { title: ' ', unit: 'none', expr: 'max by (%s, deploymentid, application, applicationversion, status) (distr_deployment_status{%s} == 1)' % [targetLabels, chosen] },
          { title: '  ', unit: 'none', expr: 'max by (%s, deploymentid, application, applicationversion, deployment) (distr_deployment_info{%s})' % [targetLabels, chosen] },
          { title: 'Since', unit: 'dateTimeFromNow', expr: '1000 * max by (%s, deploymentid, application, applicationversion) (distr_deployment_status_since_timestamp_seconds{%s} > 0)' % [targetLabels, chosen] },
          { title: 'Restarts', unit: 'short', expr: 'max by (%s, deploymentid, application, applicationversion) (distr_deployment_container_restarts_total{%s})' % [targetLabels, chosen] },
        ]
      ),
      p.row('The busiest hosts'),
      p.bars('CPU', p.instant('topk(10, distr_host_cpu_usage_ratio{%s})' % chosen, '{{deploymenttarget}}'), steps=[[config.hosts.cpuRatio, 'red']]),
      p.bars('Memory', p.instant('topk(10, muster:host_memory_used:ratio{%s})' % chosen, '{{deploymenttarget}}'), steps=[[config.hosts.memoryRatio, 'red']]),
      p.bars('File systems', p.instant('topk(10, muster:host_filesystem_used:ratio{%s})' % chosen, '{{deploymenttarget}} {{mountpoint}}'), steps=[[config.hosts.filesystemRatio, 'orange'], [config.hosts.filesystemCriticalRatio, 'red']]),
      p.row('Agents'),
      p.lines('Agents by version', 'short', [p.query('count by (version) (distr_deployment_target_agent_info{%s})' % chosen, '{{version}}')], stacked=true),
      p.lines('Records that wait in journals', 'short', [p.query('topk(10, distr_journal_records{%s})' % chosen, '{{deploymenttarget}}')]),
      p.lines('Round trip', 's', [p.query('topk(10, distr_deployment_target_round_trip_seconds{%s})' % chosen, '{{deploymenttarget}}')]),
    ]
  )
