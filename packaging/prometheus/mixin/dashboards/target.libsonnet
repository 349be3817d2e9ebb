// One deployment target: its connection, its machine, what runs there.
local p = import '../lib/panels.libsonnet';

function(config)
  local uids = config.dashboards.uids;
  local hub = config.hubSelector;
  local chosen = hub + ', deploymenttarget="$target"';

  p.dashboard(
    config,
    uids.target,
    'Muster / Target',
    'A host with its agent and its deployments.',
    [
      p.filter('customer', 'Customer', 'label_values(distr_deployment_target_state{%s}, customerorganization)' % hub),
      p.choose('target', 'Target', 'label_values(distr_deployment_target_state{%s, customerorganization=~"$customer"}, deploymenttarget)' % hub),
    ],
    [
      p.row('Connection'),
      p.words('State', p.instant('distr_deployment_target_state{%s} == 1' % chosen, '{{state}}'), width=3),
      p.stat('Last seen', 'dateTimeFromNow', p.query('1000 * distr_deployment_target_last_seen_timestamp_seconds{%s} > 0' % chosen)),
      p.words('Machine', p.instant('distr_deployment_target_machine_info{%s}' % chosen, '{{hostname}}, {{os}}, {{kernel}}, {{architecture}}'), width=9),
      p.words('Agent', p.instant('distr_deployment_target_agent_info{%s}' % chosen, '{{version}}'), width=3),
      p.stat('Up since', 'dateTimeFromNow', p.query('1000 * distr_host_boot_timestamp_seconds{%s}' % chosen), description='When the machine was started.'),
      p.stat('Sample', 'dateTimeFromNow', p.query('1000 * distr_host_sample_timestamp_seconds{%s}' % chosen), description='The newest look at the machine; the numbers below end when it is older than 90 s.'),
      p.states('State over time', [p.query('distr_deployment_target_state{%s}' % chosen, '{{state}}')]),
      p.lines('Round trip and clock skew', 's', [p.query('distr_deployment_target_round_trip_seconds{%s}' % chosen, 'round trip'), p.query('distr_deployment_target_clock_skew_seconds{%s}' % chosen, 'clock skew')], min=null),
      p.lines(
        'Faults',
        'bool_yes_no',
        [
          p.query('distr_deployment_target_observer_fault{%s}' % chosen, 'observer'),
          p.query('distr_deployment_target_identity_warning{%s}' % chosen, 'identity'),
          p.query('distr_journal_fault{%s}' % chosen, 'journal'),
        ],
        max=1
      ),
      p.lines('Journal', 'bytes', [p.query('distr_journal_bytes{%s}' % chosen, 'waits'), p.query('distr_journal_capacity_bytes{%s}' % chosen, 'bound')]),
      p.row('Machine'),
      p.lines('CPU', 'percentunit', [p.query('distr_host_cpu_usage_ratio{%s}' % chosen, 'usage')], max=1),
      p.lines(
        'Load',
        'short',
        [p.query('distr_host_load%d{%s}' % [minutes, chosen], '%d min' % minutes) for minutes in [1, 5, 15]] +
        [p.query('distr_deployment_target_cpu_cores{%s}' % chosen, 'cores')]
      ),
      p.lines(
        'Memory',
        'bytes',
        [
          p.query('distr_host_memory_used_bytes{%s}' % chosen, 'used'),
          p.query('distr_host_memory_total_bytes{%s}' % chosen, 'total'),
          p.query('distr_host_swap_used_bytes{%s}' % chosen, 'swap used'),
          p.query('distr_host_swap_total_bytes{%s}' % chosen, 'swap total'),
        ]
      ),
      p.bars('File systems', p.instant('muster:host_filesystem_used:ratio{%s}' % chosen, '{{mountpoint}}'), steps=[[config.hosts.filesystemRatio, 'orange'], [config.hosts.filesystemCriticalRatio, 'red']]),
      p.lines('File systems: available', 'bytes', [p.query('distr_host_filesystem_available_bytes{%s}' % chosen, '{{mountpoint}}')]),
      p.bars('File systems: inodes', p.instant('muster:host_filesystem_files_used:ratio{%s}' % chosen, '{{mountpoint}}'), steps=[[config.hosts.inodesRatio, 'red']]),
      p.lines(
        'Network',
        'Bps',
        [
          p.query('sum(rate(distr_host_network_receive_bytes_total{%s}[$__rate_interval]))' % chosen, 'received'),
          p.query('sum(rate(distr_host_network_transmit_bytes_total{%s}[$__rate_interval]))' % chosen, 'sent'),
        ]
      ),
      p.lines(
        'Disks',
        'Bps',
        [
          p.query('sum(rate(distr_host_disk_read_bytes_total{%s}[$__rate_interval]))' % chosen, 'read'),
          p.query('sum(rate(distr_host_disk_written_bytes_total{%s}[$__rate_interval]))' % chosen, 'written'),
        ]
      ),
      p.lines('Containers', 'short', [p.query('distr_host_containers{%s}' % chosen, '{{state}}')], stacked=true),
      p.row('Deployments'),
      p.table(
        'Deployments',
        [['deployment', 'Deployment'], ['application', 'Application'], ['applicationversion', 'Version'], ['status', 'Status']],
        [
          { title: ' ', unit: 'none', expr: 'max by (deploymentid, application, applicationversion, status) (distr_deployment_status{%s} == 1)' % chosen },
          { title: '  ', unit: 'none', expr: 'max by (deploymentid, application, applicationversion, deployment) (distr_deployment_info{%s})' % chosen },
          { title: 'Since', unit: 'dateTimeFromNow', expr: '1000 * max by (deploymentid, application, applicationversion) (distr_deployment_status_since_timestamp_seconds{%s} > 0)' % chosen },
          { title: 'Restarts', unit: 'short', expr: 'max by (deploymentid, application, applicationversion) (distr_deployment_container_restarts_total{%s})' % chosen },
        ],
        height=8
      ),
      p.lines('CPU by deployment (cores)', 'short', [p.query('muster:deployment_cpu:rate5m{%s}' % chosen, '{{application}} {{applicationversion}}')], stacked=true),
      p.lines('Memory by deployment', 'bytes', [p.query('muster:deployment_memory_bytes:sum{%s}' % chosen, '{{application}} {{applicationversion}}')], stacked=true),
      p.lines('Restarts of containers', 'short', [p.query('distr_host_container_restarts_total{%s}' % chosen, 'all containers')]),
      p.row('Logs'),
      p.lines('Log lines', 'cps', [p.query('rate(distr_log_lines_total{%s}[$__rate_interval])' % chosen, 'stored')], width=12),
      p.lines('Log lines that are missing', 'short', [p.query('increase(distr_log_dropped_lines_total{%s}[$__rate_interval])' % chosen, '{{reason}}')], width=12),
    ]
  )
