# bash completion for muster: install as /usr/share/bash-completion/completions/muster
# The program itself knows what may follow; names of targets and deployments come from the hub.
_muster() {
  local -a candidates
  mapfile -t candidates < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  COMPREPLY=()
  local candidate
  for candidate in "${candidates[@]}"; do
    COMPREPLY+=("$(printf '%q' "$candidate")")
  done
}
complete -o default -F _muster muster
