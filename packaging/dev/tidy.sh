#!/bin/sh
# tidy.sh BUILD_DIR FILE: clang-tidy on one source, unless the same text was found clean before. What counts as the same:
# the preprocessed source, the checks and the version. The account is in the user's cache folder, so a second run of
# ./dev lint looks only at what changed, and a first one at everything.
set -eu
build=$1 file=$2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/muster-tidy
mkdir -p "$cache"

# Without line markers, so that another clone of the same text counts as the same.
command=$(jq -er --arg file "$PWD/$file" 'first(.[] | select(.file == $file)) | .command' "$build/compile_commands.json") || {
  echo "$file is in no target of the clang preset" >&2
  exit 1
}
name=$({
  clang-tidy-14 --version
  cat .clang-tidy
  cd "$build" && sh -c "${command%% -o *} -w -E -P -C -dD '$OLDPWD/$file'"
} | sha256sum | cut -c1-64)
[ ! -e "$cache/$name" ] || exit 0
clang-tidy-14 --quiet -p "$build" "$file"
touch "$cache/$name"
