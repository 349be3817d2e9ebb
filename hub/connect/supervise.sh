# Keeps muster-agent running on a host without systemd: muster-agent-supervise start | stop | status | run.
# Written by the install script, which puts BIN, ETC and DATA in front. docs/install.md.
set -u

PID_FILE=$DATA/supervisor.pid
LOG=$DATA/agent.log
MAX_LOG_KB=10240

# The pid of the supervisor, when it is one and lives.
supervisor() {
  [ -r "$PID_FILE" ] || return 1
  pid=$(cat "$PID_FILE")
  case $pid in '' | *[!0-9]*) return 1 ;; esac
  tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q 'muster-agent-supervise run' || return 1
  printf '%s\n' "$pid"
}

start() {
  if supervisor >/dev/null; then return 0; fi
  # A session of its own: it outlives the terminal it was started from.
  if command -v setsid >/dev/null 2>&1; then
    setsid sh "$0" run </dev/null >/dev/null 2>&1 &
  else
    nohup sh "$0" run </dev/null >/dev/null 2>&1 &
  fi
  tries=0
  until supervisor >/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -le 50 ] || { echo "muster: the supervisor did not start: see $LOG" >&2; return 1; }
    sleep 0.1
  done
}

stop() {
  pid=$(supervisor) || return 0
  kill -TERM "$pid" 2>/dev/null
  tries=0
  while supervisor >/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ]; then
      kill -KILL "$pid" 2>/dev/null
      break
    fi
    sleep 0.1
  done
  rm -f "$PID_FILE"
}

note() { printf '%s supervisor: %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>"$LOG"; }

# Appending writers go on at the new end.
rotate() {
  size_kb=$(du -k "$LOG" 2>/dev/null | sed 's/[^0-9].*//')
  if [ "${size_kb:-0}" -gt "$MAX_LOG_KB" ]; then
    cp "$LOG" "$LOG.1"
    : >"$LOG"
  fi
}

end() {
  trap '' TERM INT
  if [ -n "$child" ]; then
    kill -TERM "$child" 2>/dev/null
    wait "$child" 2>/dev/null
  fi
  if [ -n "$pause" ]; then kill "$pause" 2>/dev/null; fi
  rm -f "$PID_FILE"
  exit 0
}

# Interrupted by a signal at once, unlike a sleep in the foreground.
pause_for() {
  sleep "$1" &
  pause=$!
  wait "$pause"
  pause=
}

run() {
  child='' pause=''
  umask 077
  trap end TERM INT
  trap '' HUP
  printf '%s\n' "$$" >"$PID_FILE"
  delay=1
  while :; do
    rotate
    set -a
    # shellcheck disable=SC1091  # made by the install script
    . "$ETC/agent.env"
    # shellcheck disable=SC1091
    [ ! -r "$ETC/proxy.env" ] || . "$ETC/proxy.env"
    set +a
    began=$(date +%s)
    # shellcheck disable=SC2086,SC2154  # several words are meant; agent.env sets it
    "$BIN" run $MUSTER_AGENT_ARGS </dev/null >>"$LOG" 2>&1 &
    child=$!
    wait "$child"
    code=$?
    child=
    if [ $(($(date +%s) - began)) -ge 60 ]; then delay=1; fi
    note "the agent ended with $code; starting it again in $delay s"
    pause_for "$delay"
    delay=$((delay * 2))
    [ "$delay" -le 60 ] || delay=60
  done
}

case ${1:-} in
  start | stop | run) "$1" ;;
  status) supervisor ;;
  *)
    echo "usage: $0 start | stop | status" >&2
    exit 2
    ;;
esac
