// What may differ from one installation to the next. Override it with `render --config FILE` or `_config+::`
// (see ../README.md); everything else follows from here.
{
  // The scrape of the hub's /metrics.
  hubSelector: 'job="muster"',

  // How long a condition must hold before its alert fires: what comes and goes by itself, what a person waits for anyway.
  durations: {
    immediately: '0m',
    hub: '1m',  // the hub itself: few scrapes, no more
    scrape: '2m',
    short: '5m',
    long: '15m',
    slow: '1h',
    // Behind massStale, which must be there first to inhibit it.
    targetStale: '2m',
    massStale: '1m',
    deploymentError: '2m',
    deploymentStale: '5m',
    deploymentProgressing: '15m',
  },

  hub: {
    restarts: 2,  // within 15 min
    storeUsedRatio: 0.9,
    openFilesRatio: 0.9,
    commitSeconds: 1,  // 99th percentile
    apiErrorRatio: 0.05,
    // A sample each 30 s, merged after 20 min at the latest: three times that is behind.
    waitingSamplesPerTarget: 120,
  },

  targets: {
    // More than this share at once is no trouble of the hosts, unless there are only so few.
    massStaleRatio: 0.5,
    massStaleTargets: 3,
    clockSkewSeconds: 30,
    flaps: 6,  // changes of state within an hour
  },

  deployments: {
    // Restarts within an hour. Three in 10 min are an error by the status rules; these are the slow loops.
    restarts: 5,
    memoryRatio: 0.9,
  },

  journals: {
    usedRatio: 0.8,
    replayLagSeconds: 900,
  },

  logs: {
    droppedLines: 0,  // within 15 min
  },

  hosts: {
    cpuRatio: 0.9,
    memoryRatio: 0.9,
    filesystemRatio: 0.9,
    filesystemCriticalRatio: 0.97,
    // Full within filesystemPredictHours as the last filesystemPredictWindow went, and fuller than this already.
    filesystemPredictRatio: 0.6,
    filesystemPredictWindow: '6h',
    filesystemPredictHours: 24,
    inodesRatio: 0.95,
  },

  dashboards: {
    tags: ['muster'],
    refresh: '30s',
    from: 'now-6h',
    // Dashboards are linked by these.
    uids: {
      fleet: 'muster-fleet',
      target: 'muster-target',
      deployment: 'muster-deployment',
      hub: 'muster-hub',
      jobs: 'muster-jobs',
    },
  },
}
