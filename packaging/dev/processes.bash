# shellcheck shell=bash
# Background processes that outlive one call of ./dev: a pid file each under .muster/run, a log each under .muster/log.
# A pid counts only together with its start time, so a number that was used again is never mistaken or killed.

# start_time PID: field 22 of /proc/PID/stat; the name before it may hold anything but ends at the last bracket.
start_time() {
  local stat
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

# spawn NAME COMMAND...: starts it in a session of its own, so that Ctrl-C in the terminal does not reach it.
spawn() {
  local name=$1 pid
  shift
  mkdir -p "$state/run" "$state/log"
  setsid "$@" >>"$state/log/$name.log" 2>&1 </dev/null &
  pid=$!
  disown "$pid"
  echo "$pid $(start_time "$pid" || echo gone)" >"$state/run/$name.pid"
}

running() {
  local pid started
  read -r pid started 2>/dev/null <"$state/run/$1.pid" || return 1
  [[ $(start_time "$pid") == "$started" ]]
}

# stop NAME: asks, waits 15 s, then kills.
stop() {
  local name=$1 pid _ tries
  if running "$name"; then
    read -r pid _ <"$state/run/$name.pid"
    kill -TERM "$pid" 2>/dev/null || true
    for ((tries = 0; tries < 150; tries++)); do
      running "$name" || break
      sleep 0.1
    done
    if running "$name"; then
      note "$name did not stop within 15 s and was killed"
      kill -KILL "$pid" 2>/dev/null || true
    fi
  fi
  rm -f "$state/run/$name.pid"
}
