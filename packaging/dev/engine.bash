# shellcheck shell=bash
# A Docker engine for ./dev up where none answers: Debian's dockerd on a socket and data folder of its own, one tiny
# image made from busybox-static, three sample projects. Sourced by ./dev.

sample_projects=(shop wiki broken)
sample_image=muster-sample:1

engine_answers() {
  [[ -S $1 ]] && [[ $(curl -fsS --max-time 5 --unix-socket "$1" http://localhost/_ping 2>/dev/null) == OK ]]
}

# find_engine: prints the socket of an engine that answers and is not ours.
find_engine() {
  local socket
  [[ ${MUSTER_DOCKER:-} != own ]] || return 1
  for socket in "${DOCKER_HOST:-}" unix:///var/run/docker.sock; do
    socket=${socket#unix://}
    if [[ $socket == /* ]] && engine_answers "$socket"; then
      echo "$socket"
      return 0
    fi
  done
  return 1
}

# Unix socket addresses end at 107 bytes, and containerd's lies deeper still: both live under a short path, named after
# the clone's own, and .muster/docker/run is a link to it.
engine_run_dir() {
  echo "/run/muster-dev-$(printf '%s' "$state" | cksum | cut -d' ' -f1)"
}

# The containers of the samples need no network, so the engine gets neither a bridge nor a rule in the host's firewall.
start_engine() {
  local run_dir socket
  run_dir=$(engine_run_dir)
  socket=$run_dir/docker.sock
  mkdir -p "$state/docker/data" "$run_dir"
  chmod 700 "$state/docker" "$run_dir"
  ln -sfn "$run_dir" "$state/docker/run"
  spawn engine dockerd --host "unix://$socket" --data-root "$state/docker/data" --exec-root "$run_dir/exec" \
    --pidfile "$run_dir/dockerd.pid" --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    engine_answers "$socket" && return 0
    running engine || break
    sleep 0.1
  done
  note "dockerd does not start here: $(grep -o 'msg=.*\|^failed.*' "$state/log/engine.log" | tail -n 1)"
  stop engine
  return 1
}

import_sample_image() {
  local socket=$1 tree
  docker --host "unix://$socket" image inspect "$sample_image" >/dev/null 2>&1 && return 0
  tree=$(mktemp -d)
  mkdir -p "$tree"/{bin,etc,tmp,proc,sys,dev}
  cp /bin/busybox "$tree/bin/busybox"
  local applet
  for applet in sh sleep test true false touch rm echo cat date; do
    ln -s busybox "$tree/bin/$applet"
  done
  echo 'root:x:0:0:root:/:/bin/sh' >"$tree/etc/passwd"
  tar -C "$tree" -c . | docker --host "unix://$socket" import --change 'CMD ["/bin/sh"]' - "$sample_image" >/dev/null
  rm -rf "$tree"
}

sample_compose() {
  local socket=$1 project=$2
  shift 2
  DOCKER_HOST=unix://$socket docker-compose --project-name "$project" \
    --file "$root/packaging/samples/$project/docker-compose.yml" "$@" >>"$state/log/samples.log" 2>&1
}

start_samples() {
  local socket=$1 project
  if ! import_sample_image "$socket" >>"$state/log/samples.log" 2>&1; then
    note "the samples' image could not be imported; see $state/log/samples.log"
    return 0
  fi
  for project in "${sample_projects[@]}"; do
    sample_compose "$socket" "$project" up --detach --no-build ||
      note "sample project $project did not start; see $state/log/samples.log"
  done
  say "three sample projects run on it: ${sample_projects[*]}"
}

# taken_projects SOCKET: sample names that somebody else's projects on this engine have; down would remove those.
taken_projects() {
  local project
  for project in "${sample_projects[@]}"; do
    [[ -z $(docker --host "unix://$1" ps --all --quiet --filter "label=com.docker.compose.project=$project") ]] ||
      echo "$project"
  done
}

# Removes the containers of our own engine, then the engine. What was started on somebody else's engine goes by project.
stop_engine() {
  local run_dir socket project containers
  run_dir=$(engine_run_dir)
  if [[ -s $state/samples-on ]]; then
    socket=$(<"$state/samples-on")
    for project in "${sample_projects[@]}"; do
      sample_compose "$socket" "$project" down || true
    done
    rm -f "$state/samples-on"
  fi
  running engine || return 0
  socket=$run_dir/docker.sock
  mapfile -t containers < <(docker --host "unix://$socket" ps --all --quiet 2>/dev/null)
  if ((${#containers[@]})); then
    docker --host "unix://$socket" rm --force "${containers[@]}" >/dev/null 2>&1 || true
  fi
  stop engine
  rm -rf "$run_dir"
  rm -f "$state/docker/run"
}
