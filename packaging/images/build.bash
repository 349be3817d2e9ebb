#!/usr/bin/env bash
# Builds the image of the agent or the hub from binaries that are there already; packaging/images/README.md.
set -Eeuo pipefail

usage() {
  cat <<'EOT'
usage: packaging/images/build.bash agent|hub [--tag NAME:TAG] [--bin DIR] [--layout DIR]

  --tag      default: muster-agent:VERSION or muster-hub:VERSION
  --bin      folder with muster-agent and muster-hub; default: build/release/bin
  --layout   only lay out the build context in DIR, for another builder; no Docker engine is needed

The engine is that of DOCKER_HOST. Nothing is fetched.
EOT
}
die() {
  printf 'muster: %s\n' "$*" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
bin=$root/build/release/bin tag='' layout='' which=${1:-}
case $which in
  agent | hub) shift ;;
  -h | --help) usage && exit 0 ;;
  *) usage >&2 && exit 2 ;;
esac
while (($#)); do
  case $1 in
    --tag) tag=${2:?} && shift 2 ;;
    --bin) bin=${2:?} && shift 2 ;;
    --layout) layout=${2:?} && shift 2 ;;
    *) usage >&2 && exit 2 ;;
  esac
done
program=muster-$which

is_static() { ! readelf --program-headers "$1" | grep -q INTERP; }

# The program, and the libraries that it wants where it is not static, each where it looks for it.
put_program() {
  local program=$1 to=$2 library
  [[ -x $bin/$program ]] || die "$bin/$program is not there: run ./dev build first, or name another folder with --bin"
  install -D -m 755 "$bin/$program" "$to/usr/local/bin/$program"
  is_static "$bin/$program" && return 0
  while read -r library; do
    [[ $library == /* ]] || die "$program wants a library that is not there: $library"
    install -D -m 755 "$library" "$to$library"
  done < <(ldd "$bin/$program" | sed -nE 's/^.* => (.*) \(0x.*$/\1/; s/^\s*(\/.*) \(0x.*$/\1/; /vdso/d; p')
}

lay_out() {
  local to=$1
  put_program "$program" "$to/root"
  # Handed out to hosts that run a connect line.
  [[ $which != hub ]] || put_program muster-agent "$to/root"
  # A hub's certificate may be a public authority's.
  install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$to/root/etc/ssl/certs/ca-certificates.crt"
  install -d -m 700 "$to/data/$program"
  cp "$here/$which.Dockerfile" "$to/Dockerfile"
  find "$to" -exec touch --no-dereference --date="@$epoch" {} +
}

version=$("$bin/$program" --version) || die "$bin/$program does not start: run ./dev build first, or name another folder with --bin"
version=${version##* }
revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || date +%s)}
if [[ -n $layout ]]; then
  mkdir -p "$layout"
  lay_out "$layout"
  exit 0
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
lay_out "$context"
# Where the client has no buildx, the engine's own builder does it.
docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
docker build --network none --tag "${tag:-$program:$version}" --build-arg "VERSION=$version" \
  --build-arg "REVISION=$revision" --build-arg "CREATED=$(date -u -d "@$epoch" +%Y-%m-%dT%H:%M:%SZ)" "$context"
