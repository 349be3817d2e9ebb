// The machines. Their series end with the connection, so nothing here fires for a host that is away.
local alert = import '../lib/alert.libsonnet';

function(config) {
  local values = { hub: config.hubSelector } + config.hosts,
  local wait = config.durations,
  local mount = '{{ $labels.mountpoint }} of {{ $labels.deploymenttarget }}',

  name: 'muster-hosts',
  rules: [
    alert(
      'MusterHostCpuSaturated',
      'warning',
      wait.long,
      'avg_over_time(distr_host_cpu_usage_ratio{%(hub)s}[15m]) > %(cpuRatio)g' % values,
      'The CPUs of {{ $labels.deploymenttarget }} are {{ $value | humanizePercentage }} busy',
      'The dashboard of the target shows which deployment takes them. If none does, look on the host (top).'
    ),
    alert(
      'MusterHostMemoryNearlyFull',
      'warning',
      wait.long,
      'muster:host_memory_used:ratio{%(hub)s} > %(memoryRatio)g' % values,
      'The memory of {{ $labels.deploymenttarget }} is {{ $value | humanizePercentage }} used',
      'Next the kernel kills processes. The dashboard of the target shows which deployment takes it; limit its containers, or give the host more.'
    ),
    alert(
      'MusterHostFilesystemNearlyFull',
      'warning',
      wait.short,
      'muster:host_filesystem_used:ratio{%(hub)s} > %(filesystemRatio)g' % values,
      mount + ' is {{ $value | humanizePercentage }} full',
      'Look for what grows: du -x --max-depth 2, docker system df, logs of containers without rotation.'
    ),
    alert(
      'MusterHostFilesystemFull',
      'critical',
      wait.short,
      'muster:host_filesystem_used:ratio{%(hub)s} > %(filesystemCriticalRatio)g' % values,
      mount + ' is {{ $value | humanizePercentage }} full',
      'Deployments there fail soon. Make room now: docker image prune, rotated logs, old backups.'
    ),
    alert(
      'MusterHostFilesystemFillingUp',
      'warning',
      wait.slow,
      |||
        predict_linear(distr_host_filesystem_available_bytes{%(hub)s}[%(filesystemPredictWindow)s], %(filesystemPredictHours)d * 3600) < 0
        and
        muster:host_filesystem_used:ratio{%(hub)s} > %(filesystemPredictRatio)g
      ||| % values,
      mount + ' is full within %(filesystemPredictHours)d h, as it went in the last %(filesystemPredictWindow)s' % values,
      'Look for what grows before it is full: du -x --max-depth 2, docker system df, logs of containers without rotation.'
    ),
    alert(
      'MusterHostFilesystemStuck',
      'warning',
      wait.short,
      'distr_host_filesystem_stuck{%(hub)s} == 1' % values,
      mount + ' ({{ $labels.fstype }}) does not answer',
      'Most often the server of a network file system is away: whoever touches the mount hangs. Bring the server back, or unmount with umount -l.'
    ),
    alert(
      'MusterHostInodesNearlyUsedUp',
      'warning',
      wait.short,
      'muster:host_filesystem_files_used:ratio{%(hub)s} > %(inodesRatio)g' % values,
      mount + ' has used {{ $value | humanizePercentage }} of its inodes',
      'At the end no file can be made, whatever room there is. Look for folders with very many small files: du --inodes -x --max-depth 3.'
    ),
    alert(
      'MusterHostSampleIncomplete',
      'info',
      wait.slow,
      'distr_host_sample_missing{%(hub)s} > 0' % values,
      'Parts of the metrics of {{ $labels.deploymenttarget }} are missing',
      '"muster metrics {{ $labels.deploymenttarget }}" names them. An agent in a container sees the host only with -v /:/host:ro,rslave and --host-root /host.'
    ),
  ],
}
