# shellcheck shell=bash
# Debian packages, one list per purpose, and how they are installed. Sourced by ./dev.

packages_build=(
  build-essential cmake ninja-build pkg-config ccache git ca-certificates
  libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc libprotobuf-dev libprotoc-dev libabsl-dev
  libc-ares-dev libre2-dev zlib1g-dev libssl-dev libsodium-dev libsqlite3-dev libcurl4-openssl-dev libboost1.81-dev
  nlohmann-json3-dev libcli11-dev libspdlog-dev libfmt-dev libzstd-dev libyaml-dev libnghttp2-dev prometheus-cpp-dev libgtest-dev
  libgmock-dev
)
packages_up=(curl jq)
# Only where no Docker engine answers and we may start one of our own.
packages_engine=(docker.io docker-compose busybox-static)
packages_fault=(iproute2 iptables util-linux e2fsprogs faketime python3)
packages_test=(
  "${packages_up[@]}" "${packages_engine[@]}" "${packages_fault[@]}" prometheus jsonnet procps openssl shellcheck socat
  systemd python3-pytest python3-yaml
)
packages_lint=(clang-14 clang-tidy-14 clang-format-14 libclang-rt-14-dev shellcheck systemd jq jsonnet)
packages_clang=(clang-14 libclang-rt-14-dev)
packages_bench=(libbenchmark-dev prometheus-node-exporter valgrind)

# missing_packages NAME...: prints those that are not installed.
missing_packages() {
  local name
  for name in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
  done
}

# need PURPOSE NAME...: installs what is missing. Not root: says the command and ends.
need() {
  local purpose=$1 missing
  shift
  if ! command -v dpkg-query >/dev/null; then
    note "this is not Debian: for $purpose these must be there: $*"
    return 0
  fi
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  if ((EUID != 0)); then
    die "for $purpose Debian packages are missing. Run: sudo apt-get install --no-install-recommends ${missing[*]}"
  fi
  say "installing ${#missing[@]} Debian packages for $purpose: ${missing[*]}"
  install_packages "${missing[@]}"
}

# The packages docker.io, prometheus and its node exporter start a service when they are installed. What we need from
# them is the program, so services stay as they were: a policy that refuses starts stands for as long as apt-get runs.
install_packages() {
  local policy=/usr/sbin/policy-rc.d placed='' log status=0
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    placed=yes
  fi
  log=$(mktemp)
  if ! {
    { [[ -n ${apt_updated:-} ]] || apt-get update; } &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
  } >"$log" 2>&1 </dev/null; then
    status=1
    tail -n 20 "$log" >&2
  fi
  apt_updated=yes
  rm -f "$log"
  [[ -z $placed ]] || rm -f "$policy"
  ((status == 0)) || die "apt-get could not install: $*"
}

# A kubectl that is there already may come from Kubernetes' own packages, which Debian's would clash with.
need_kubectl() {
  command -v kubectl >/dev/null || need "$1" kubernetes-client
}

# npm comes with some distributions of node, and as a package of its own in Debian.
need_npm() {
  command -v npm >/dev/null || need "$1" npm
}
