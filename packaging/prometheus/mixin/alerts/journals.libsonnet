// Journals of agents and log lines: what is lost, or late.
local alert = import '../lib/alert.libsonnet';

function(config) {
  local values = { hub: config.hubSelector, target: 'job, instance, organization, customerorganization, deploymenttarget, deploymenttargetid' } +
                 config.journals + config.logs,
  local wait = config.durations,

  name: 'muster-journals',
  rules: [
    alert(
      'MusterJournalFault',
      'critical',
      wait.scrape,
      'distr_journal_fault{%(hub)s} == 1' % values,
      'The agent of {{ $labels.deploymenttarget }} cannot keep what happens there',
      'Its disk is full or broken: what happens while the hub is away is lost. Make room in the data folder of the agent; "muster-agent status" on the host has the error.'
    ),
    alert(
      'MusterJournalNearlyFull',
      'warning',
      wait.short,
      'distr_journal_bytes{%(hub)s} / (distr_journal_capacity_bytes{%(hub)s} > 0) > %(usedRatio)g' % values,
      'The journal of {{ $labels.deploymenttarget }} is {{ $value | humanizePercentage }} full',
      'Beyond its bound the oldest log lines go first. See why the hub takes no records (MusterJournalReplayLag), or give the agent more: --journal-bytes.'
    ),
    alert(
      'MusterJournalDroppedRecords',
      'warning',
      wait.immediately,
      'increase(distr_journal_dropped_records_total{%(hub)s}[15m]) > 0' % values,
      'The agent of {{ $labels.deploymenttarget }} gave up {{ $value | humanize }} records before the hub had them',
      'History and logs show the gap. Give the agent a larger journal (--journal-bytes), fewer logs ("muster deployment set D --logs off"), or see why the hub was away so long.'
    ),
    alert(
      'MusterJournalPoisonedRecords',
      'warning',
      wait.immediately,
      'increase(distr_journal_poisoned_records_total{%(hub)s}[1h]) > 0' % values,
      'The hub refused {{ $value | humanize }} records of {{ $labels.deploymenttarget }} for good',
      'The agent set them aside. The log of the hub says what is wrong with them; most often agent and hub are of versions too far apart.'
    ),
    alert(
      'MusterJournalReplayLag',
      'warning',
      wait.long,
      |||
        distr_journal_replay_lag_seconds{%(hub)s} > %(replayLagSeconds)g
        and on (%(target)s)
        distr_deployment_target_session_open{%(hub)s} == 1
      ||| % values,
      'History of {{ $labels.deploymenttarget }} is {{ $value | humanizeDuration }} behind, though it is connected',
      'Its present is right, its history and logs are late. After a long outage that is the replay: distr_journal_records must fall. If not, see whether the store of the hub is writable or busy, and the bandwidth of the host.'
    ),
    alert(
      // A reason other than RATE begins with its first lines, which increase() does not see; whether the target was there
      // before tells such a beginning from a new target and from a gap of the scrape.
      'MusterLogLinesDropped',
      'warning',
      wait.immediately,
      |||
        increase(distr_log_dropped_lines_total{%(hub)s, reason!="OFF"}[15m]) > %(droppedLines)d
        or
        (
          distr_log_dropped_lines_total{%(hub)s, reason!~"OFF|RATE"}
          unless distr_log_dropped_lines_total{%(hub)s} offset 15m
          and on (%(target)s) distr_log_dropped_lines_total{%(hub)s, reason="RATE"} offset 15m
        )
      ||| % values,
      'Log lines of {{ $labels.deploymenttarget }} are missing: {{ $value | humanize }}, {{ $labels.reason }}',
      'A marker stands in their place in "muster logs". RATE: a container writes more than its share. ROTATED: the engine deleted files before they were read. JOURNAL_FULL, DISK_FULL: the agent had no room. DAMAGED, NOT_KEPT: a file was broken or the hub could not keep them.'
    ),
  ],
}
