# shellcheck shell=bash
# ./dev up and ./dev down: a hub and an agent on this machine, out of this clone. Sourced by ./dev.

http_port=${MUSTER_HTTP_PORT:-8080}
grpc_port=${MUSTER_GRPC_PORT:-7443}
metrics_port=${MUSTER_METRICS_PORT:-3000}

muster() {
  MUSTER_HUB="https://localhost:$http_port" "$bin/muster" --token-file "$state/hub/admin-token" \
    --ca-file "$state/hub/tls/ca.pem" "$@"
}

up() {
  local detach='' samples=''
  while (($#)); do
    case $1 in
      --detach) detach=yes ;;
      --samples) samples=yes ;;
      *) usage_error "up: unknown argument '$1'" ;;
    esac
    shift
  done
  if running hub; then
    # shellcheck source=/dev/null
    source "$state/run/ports"
    say "already running; ./dev down stops it"
    print_places
    [[ -n $detach ]] || follow
    return 0
  fi
  need 'the build' "${packages_build[@]}"
  need './dev up' "${packages_up[@]}"
  build_binaries
  require_free_ports
  umask 077
  mkdir -p "$state/run" "$state/log"
  declare -p http_port grpc_port metrics_port >"$state/run/ports"
  trap 'stop_all; exit 130' INT TERM
  trap 'stop_all' ERR EXIT
  choose_runtime "$samples"
  start_hub
  start_agent
  prepare_second_host
  print_places
  if [[ -n $detach ]]; then
    trap - INT TERM ERR EXIT
    muster status
    say "running in the background; ./dev down stops it"
    return 0
  fi
  follow
}

# follow returns when the watch ends: by Ctrl-C, which reaches it and this script alike.
follow() {
  say "following 'muster status --watch'; Ctrl-C ends"
  muster status --watch || true
}

stop_all() {
  trap - INT TERM ERR EXIT
  echo
  say "stopping what was started"
  stop agent
  stop hub
  stop_engine
}

down() {
  local purge=''
  case ${1:-} in
    '') ;;
    --purge) purge=yes ;;
    *) usage_error "down: unknown argument '$1'" ;;
  esac
  stop agent
  stop hub
  stop_engine
  if [[ -n $purge ]]; then
    rm -rf "$state"
    say "stopped; all data under .muster/ is deleted"
  else
    say "stopped; data stays in .muster/ (./dev down --purge deletes it)"
  fi
}

require_free_ports() {
  local setting port
  for setting in MUSTER_HTTP_PORT:$http_port MUSTER_GRPC_PORT:$grpc_port MUSTER_METRICS_PORT:$metrics_port; do
    port=${setting#*:}
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      die "port $port is taken by another program; choose another one: ${setting%:*}=<port> ./dev up"
    fi
  done
}

# choose_runtime sets runtime (docker or none) and docker_socket.
choose_runtime() {
  local want_samples=$1
  runtime=none docker_socket=''
  if docker_socket=$(find_engine); then
    runtime=docker
    say "Docker engine found at $docker_socket; it is only looked at"
    if [[ -n $want_samples ]]; then
      need 'the samples' "${packages_engine[@]}"
      local taken
      taken=$(taken_projects "$docker_socket")
      [[ -z $taken ]] || die "this engine has projects of its own with the samples' names: ${taken//$'\n'/ }"
      echo "$docker_socket" >"$state/samples-on"
      start_samples "$docker_socket"
    fi
    return 0
  fi
  if ((EUID != 0)); then
    note "no Docker engine answers this user and starting one needs root: the host is watched alone"
    return 0
  fi
  need 'a Docker engine of its own' "${packages_engine[@]}"
  say "no Docker engine answers; starting one in .muster/docker"
  if start_engine; then
    runtime=docker
    docker_socket=$(engine_run_dir)/docker.sock
    start_samples "$docker_socket"
  else
    note "no Docker engine can run here: the host is watched alone"
  fi
}

# The address under which another host reaches this one.
public_host() {
  local address=''
  if [[ -n ${MUSTER_PUBLIC_HOST:-} ]]; then
    address=$MUSTER_PUBLIC_HOST
  elif command -v ip >/dev/null; then
    address=$(ip -4 route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')
  fi
  echo "${address:-localhost}"
}

start_hub() {
  METRICS_ENABLED=true METRICS_ADDR="127.0.0.1:$metrics_port" spawn hub "$bin/muster-hub" serve \
    --data-dir "$state/hub" --grpc-addr ":$grpc_port" --http-addr ":$http_port" \
    --public-url "https://$(public_host):$http_port" --agent-binary "$bin/muster-agent"
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    if [[ -s $state/hub/tls/ca.pem ]] &&
      curl -fsS --max-time 2 --cacert "$state/hub/tls/ca.pem" "https://localhost:$http_port/readyz" >/dev/null 2>&1; then
      say "hub is ready"
      return 0
    fi
    running hub || break
    sleep 0.1
  done
  tail -n 5 "$state/log/hub.log" >&2
  die "the hub did not become ready; its log is $state/log/hub.log"
}

# One target for this machine, made once; a lost secret is replaced by a new one.
start_agent() {
  local type=host answer
  [[ $runtime == none ]] || type=docker
  if ! muster target show this-host -o json >/dev/null 2>&1; then
    answer=$(muster target create this-host --type "$type" -o json)
  elif [[ ! -s $state/this-host.secret || ! -s $state/this-host.id ]]; then
    answer=$(muster target reconnect this-host -o json)
  fi
  if [[ -n ${answer:-} ]]; then
    jq -re .target_id <<<"$answer" >"$state/this-host.id"
    jq -re .target_secret <<<"$answer" >"$state/this-host.secret"
    chmod 600 "$state/this-host.secret"
  fi
  local socket=()
  [[ $runtime == none ]] || socket=(--docker-socket "$docker_socket")
  spawn agent "$bin/muster-agent" run --hub "localhost:$grpc_port" --target-id "$(<"$state/this-host.id")" \
    --target-secret-file "$state/this-host.secret" --data-dir "$state/agent" --ca-file "$state/hub/tls/ca.pem" \
    --runtime "$runtime" "${socket[@]}"
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    if [[ $(muster target show this-host -o json 2>/dev/null | jq -r '.target.state') == \
      TARGET_STATE_CONNECTED ]]; then
      say "agent is connected"
      return 0
    fi
    running agent || break
    sleep 0.1
  done
  note "the agent is not connected yet; its log is $state/log/agent.log"
}

# The connect code of second-host lasts 24 h, so each start makes a new one until that host has connected.
prepare_second_host() {
  local answer state_now
  state_now=$(muster target show second-host -o json 2>/dev/null | jq -r '.target.state') || true
  case $state_now in
    '') answer=$(muster target create second-host --type docker -o json) ;;
    TARGET_STATE_NOT_CONNECTED) answer=$(muster target reconnect second-host -o json) ;;
    *)
      rm -f "$state/second-host.command"
      return 0
      ;;
  esac
  jq -re .connect_command <<<"$answer" >"$state/second-host.command"
}

print_places() {
  cat <<EOT

  API          https://localhost:$http_port
  agents       localhost:$grpc_port (gRPC, TLS)
  metrics      http://localhost:$metrics_port/metrics
  admin token  $state/hub/admin-token
  CA           $state/hub/tls/ca.pem
  logs         $state/log/
  CLI          export MUSTER_HUB=https://localhost:$http_port MUSTER_TOKEN=\$(cat $state/hub/admin-token) MUSTER_CA=$state/hub/tls/ca.pem
               $bin/muster target list
EOT
  if [[ -s $state/second-host.command ]]; then
    printf '  second host  paste there: %s\n\n' "$(<"$state/second-host.command")"
  else
    printf '  more hosts   %s target create NAME --type docker\n\n' "$bin/muster"
  fi
}
