# shellcheck shell=bash
# ./dev lint and ./dev fmt. Sourced by ./dev.

max_lines=500

cxx_files() { git ls-files '*.cc' '*.h'; }

shell_files() {
  { git ls-files '*.sh' '*.bats'; git grep -lE '^#!.*\b(ba)?sh\b' -- ':!*.md' ':!*.cc' ':!*.py'; } | sort -u
}

fmt() {
  need './dev fmt' "${packages_lint[@]}"
  cxx_files | xargs -r clang-format-14 -i
  git ls-files '*.jsonnet' '*.libsonnet' | xargs -r jsonnetfmt -i
  say "formatted"
}

# Each check prints what is wrong and answers with its status; lint runs all of them and fails at the end.
lint() {
  need './dev lint' "${packages_lint[@]}" "${packages_build[@]}"
  need_npm './dev lint'
  local check failed=()
  for check in check_format check_shell check_proto check_units check_mixin check_rules check_tidy; do
    say "lint: ${check#check_}"
    "$check" || failed+=("${check#check_}")
  done
  ((${#failed[@]} == 0)) || die "lint failed: ${failed[*]}"
  say "lint is clean"
}

check_format() { cxx_files | xargs -r clang-format-14 --dry-run -Werror; }

# The parts of ./dev are checked as one program with it.
check_shell() { shell_files | xargs -r shellcheck --external-sources --check-sourced; }

# buf is pinned and lives in a folder that git ignores.
buf_version=1.75.0

check_proto() {
  local tools=$root/build/tools/buf-$buf_version
  if [[ ! -x $tools/node_modules/.bin/buf ]]; then
    mkdir -p "$tools"
    npm install --prefix "$tools" --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
      "@bufbuild/buf@$buf_version" || return 1
  fi
  (cd proto && "$tools/node_modules/.bin/buf" lint)
}

# Exposure by systemd's own measure: hub at most 1.5, anything else (an agent that measures the host) 2.0.
check_units() {
  local unit threshold status=0
  for unit in packaging/systemd/*.service; do
    threshold=20
    [[ $unit != */muster-hub.service ]] || threshold=15
    systemd-analyze security --offline=true --threshold="$threshold" --no-pager "$unit" >build/unit.log 2>&1 || {
      tail -n 1 build/unit.log
      status=1
    }
  done
  return "$status"
}

check_mixin() { git ls-files '*.jsonnet' '*.libsonnet' | xargs -r jsonnetfmt --test; }

# check_rules: what no tool knows.
check_rules() {
  local status=0
  none 'a unit test sleeps' git grep -nE 'sleep_for|SleepFor|usleep\(|nanosleep\(' -- '*_test.cc' || status=1
  # The name of a clone right below / may be a word of any path.
  [[ $root != /*/* ]] || none 'a path of this machine' git grep -nF "$root/" || status=1
  none 'left open' git grep -nE '\b(TODO|FIXME|XXX|HACK)\b' -- '*.cc' '*.h' '*.py' '*.sh' '*.cmake' ':!packaging/dev/lint.bash' || status=1
  none "longer than $max_lines lines" long_files || status=1
  return "$status"
}

none() {
  local what=$1 found
  shift
  found=$("$@") || true
  [[ -z $found ]] && return 0
  printf '%s:\n%s\n' "$what" "$found" >&2
  return 1
}

long_files() {
  git ls-files '*.cc' '*.h' '*.py' '*.sh' '*.bash' 'dev' | xargs -r wc -l | awk -v max="$max_lines" '$2 != "total" && $1 > max'
}

# clang-tidy reads compile_commands.json of the clang preset; the generated headers it needs are built first. It reads
# the product only: it would take as long again for the tests, which run under the sanitizers instead. What tidy.sh found
# clean before is not read again.
check_tidy() {
  configure clang
  ninja -C build/clang -t targets all | sed -n 's/^\(.*\.pb\.h\): .*/\1/p' |
    xargs -r ninja -C build/clang -j "$jobs" >/dev/null || return 1
  git ls-files '*.cc' | grep -vE '^tests/|_(fuzz|test)\.cc$' |
    xargs -r -n 1 -P "$jobs" packaging/dev/tidy.sh build/clang 2>&1 |
    { grep -vE '^[0-9]+ warnings?( and [0-9]+ errors?)? generated|^Suppressed |^Use -header-filter|warnings? treated as error' || true; }
}
