// The hub: sessions, stores, API, process.
local p = import '../lib/panels.libsonnet';

function(config)
  local uids = config.dashboards.uids;
  local hub = config.hubSelector;
  local chosen = hub + ', instance=~"$instance"';
  local rates(title, unit, family, label, width=8) =
    p.lines(title, unit, [p.query('sum by (%s) (rate(%s{%s}[$__rate_interval]))' % [label, family, chosen], '{{%s}}' % label)], width=width);
  local quantiles(title, family) =
    p.lines(title, 's', [
      p.query('histogram_quantile(%g, sum by (le) (rate(%s_bucket{%s}[$__rate_interval])))' % [quantile, family, chosen], '%g' % quantile)
      for quantile in [0.5, 0.99]
    ]);

  p.dashboard(
    config,
    uids.hub,
    'Muster / Hub',
    'The hub as a program.',
    [p.filter('instance', 'Hub', 'label_values(distr_hub_info{%s}, instance)' % hub)],
    [
      p.row('Now'),
      p.stat('Up', 'bool_yes_no', p.query('min(distr_hub_up{%s})' % chosen)),
      p.words('Version', p.instant('distr_hub_info{%s}' % chosen, '{{version}}'), width=3),
      p.stat('Up since', 'dateTimeFromNow', p.query('1000 * max(process_start_time_seconds{%s})' % chosen)),
      p.stat('Sessions', 'short', p.query('sum(distr_hub_sessions{%s})' % chosen)),
      p.stat('Customers', 'short', p.query('max(distr_customer_organizations{%s})' % chosen)),
      p.stat('Store writable', 'bool_yes_no', p.query('min(distr_hub_store_writable{%s})' % chosen)),
      p.stat('Log store writable', 'bool_yes_no', p.query('min(distr_hub_log_store_writable{%s})' % chosen)),
      p.stat('Metric store writable', 'bool_yes_no', p.query('min(distr_hub_metric_store_writable{%s})' % chosen)),
      p.row('Agents'),
      p.lines(
        'Sessions opened and ended',
        'cps',
        [
          p.query('sum(rate(distr_hub_sessions_opened_total{%s}[$__rate_interval]))' % chosen, 'opened'),
          p.query('sum by (reason) (rate(distr_hub_sessions_ended_total{%s}[$__rate_interval]))' % chosen, '{{reason}}'),
        ]
      ),
      rates('Sessions refused', 'cps', 'distr_hub_sessions_refused_total', 'reason'),
      rates('Frames refused', 'cps', 'distr_hub_frames_refused_total', 'reason'),
      p.lines('Heartbeats', 'cps', [p.query('sum(rate(distr_hub_heartbeats_total{%s}[$__rate_interval]))' % chosen, 'heartbeats')]),
      quantiles('Heartbeat to live fleet', 'distr_hub_heartbeat_apply_seconds'),
      p.lines(
        'Records of journals',
        'cps',
        [
          p.query('sum(rate(distr_journal_applied_records_total{%s}[$__rate_interval]))' % chosen, 'stored'),
          p.query('sum by (reason) (rate(distr_journal_batches_refused_total{%s}[$__rate_interval]))' % chosen, 'batches refused: {{reason}}'),
        ]
      ),
      p.row('Stores'),
      p.lines(
        'Size',
        'bytes',
        [
          p.query('sum(distr_hub_store_bytes{%s})' % chosen, 'history'),
          p.query('sum(distr_hub_log_store_bytes{%s})' % chosen, 'logs'),
          p.query('sum(distr_hub_log_store_limit_bytes{%s})' % chosen, 'logs, bound'),
          p.query('sum(distr_hub_metric_store_bytes{%s})' % chosen, 'metrics'),
          p.query('sum(distr_hub_metric_store_limit_bytes{%s})' % chosen, 'metrics, bound'),
        ]
      ),
      quantiles('Commits', 'distr_hub_store_commit_seconds'),
      quantiles('Commits of log lines', 'distr_hub_log_commit_seconds'),
      p.lines(
        'Items committed',
        'cps',
        [
          p.query('sum(rate(distr_hub_store_items_total{%s}[$__rate_interval]))' % chosen, 'items'),
          p.query('sum(rate(distr_hub_store_failures_total{%s}[$__rate_interval]))' % chosen, 'failures'),
        ]
      ),
      p.lines(
        'Text of log lines',
        'Bps',
        [
          p.query('sum(rate(distr_hub_log_raw_bytes_total{%s}[$__rate_interval]))' % chosen, 'stored'),
          p.query('sum(rate(distr_hub_log_merged_bytes_total{%s}[$__rate_interval]))' % chosen, 'merged'),
          p.query('sum(rate(distr_hub_log_scanned_bytes_total{%s}[$__rate_interval]))' % chosen, 'read for questions'),
        ]
      ),
      p.lines(
        'Log rows and chunks',
        'short',
        [
          p.query('sum(distr_hub_log_tail_rows{%s})' % chosen, 'rows that wait'),
          p.query('sum(distr_hub_log_chunks{%s})' % chosen, 'chunks'),
          p.query('sum(distr_hub_log_chunks_damaged_total{%s})' % chosen, 'damaged'),
        ]
      ),
      p.lines(
        'Host samples',
        'cps',
        [p.query('sum(rate(distr_hub_host_samples_total{%s}[$__rate_interval]))' % chosen, 'stored')]
      ),
      p.lines('Host samples that wait', 'short', [p.query('sum(distr_hub_host_samples_waiting{%s})' % chosen, 'waiting')]),
      p.lines(
        'Forgotten',
        'cps',
        [
          p.query('sum by (reason) (rate(distr_hub_log_pruned_lines_total{%s}[$__rate_interval]))' % chosen, 'log lines: {{reason}}'),
          p.query('sum by (reason) (rate(distr_hub_metric_values_pruned_total{%s}[$__rate_interval]))' % chosen, 'metric values: {{reason}}'),
        ]
      ),
      p.row('API'),
      rates('Calls by method', 'reqps', 'distr_hub_api_requests_total', 'method'),
      rates('Calls by code', 'reqps', 'distr_hub_api_requests_total', 'code'),
      p.lines('Duration', 's', [
        p.query('histogram_quantile(0.99, sum by (le, protocol) (rate(distr_hub_api_request_seconds_bucket{%s}[$__rate_interval])))' % chosen, '{{protocol}}'),
      ]),
      rates('Questions about logs', 'reqps', 'distr_hub_log_scans_total', 'end'),
      quantiles('Questions about logs', 'distr_hub_log_scan_seconds'),
      rates('Install scripts fetched', 'reqps', 'distr_hub_connect_requests_total', 'result'),
      p.lines('Audit entries', 'short', [p.query('sum(distr_hub_audit_log_entries{%s})' % chosen, 'entries')]),
      p.lines(
        'HTTP connections',
        'short',
        [
          p.query('sum(distr_hub_http_connections{%s})' % chosen, 'open'),
          p.query('sum(increase(distr_hub_http_connections_refused_total{%s}[$__rate_interval]))' % chosen, 'refused'),
          p.query('sum(increase(distr_hub_http_requests_refused_total{%s}[$__rate_interval]))' % chosen, 'requests refused'),
        ]
      ),
      p.lines('Live tails', 'short', [p.query('sum(distr_hub_log_tails{%s})' % chosen, 'open')]),
      p.row('Process'),
      p.lines('CPU (cores)', 'short', [p.query('rate(process_cpu_seconds_total{%s}[$__rate_interval])' % chosen, '{{instance}}')], width=6),
      p.lines('Memory', 'bytes', [p.query('process_resident_memory_bytes{%s}' % chosen, '{{instance}}')], width=6),
      p.lines('File descriptors', 'short', [p.query('process_open_fds{%s}' % chosen, 'open'), p.query('process_max_fds{%s}' % chosen, 'limit')], width=6),
      p.lines('Scrape', 's', [
        p.query('scrape_duration_seconds{%s}' % chosen, 'as Prometheus sees it'),
        p.query('rate(distr_hub_scrape_seconds_sum{%s}[$__rate_interval]) / rate(distr_hub_scrape_seconds_count{%s}[$__rate_interval])' % [chosen, chosen], 'collecting and writing'),
      ], width=6),
    ]
  )
