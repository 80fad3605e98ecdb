# shellcheck shell=bash
# Sourced by every script of e2e/: where things lie, and how a step shows what it does and how long it took.
# It knows nothing of what is built or started.

# shellcheck disable=SC2034 # this one and those below are used by those who source this
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# Outside the checkout: a cold build takes 25 minutes, and CI works in a clean clone each time.
cache=${SLOWLANE_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/slowlane}
export SLOWLANE_CACHE=$cache CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
mkdir -p "$cache"/{bin,charts,images,keys,log,run,work}

# The S3 lake of the local cluster. Nothing outside its network namespace reaches it, so the keys are no secret.
# shellcheck disable=SC2034 # used by those who source this
lake_address=10.123.0.1:7070 lake_key=slowlane lake_secret=slowlane-secret lake_region=us-east-1

die() { echo "${0##*/}: $*" >&2; exit 1; }

need_root() { [ "$(id -u)" = 0 ] || die "needs root: it makes network namespaces, mounts and cgroups"; }

# --- clusters -------------------------------------------------------------------------------------------------------
# A cluster is one of four names, which is also its mode; each has a network namespace and a folder of its own.
# Both are the same from every checkout, so that any of them finds, uses and clears what another one started.

netns_of() { case $1 in full) echo slowlane ;; control | api | bench) echo "slowlane-$1" ;; *) die "no such cluster: $1 (full, control, api or bench)" ;; esac; }
run_of() { netns_of "$1" >/dev/null; echo "$cache/run/$1"; }
inside() { local netns; netns=$(netns_of "$1"); shift; nsenter --net="/run/netns/$netns" -- "$@"; }

# The pods of `full` live in a cgroup of this name: one folder in cgroup v2, one in each hierarchy of v1.
cgroup_name=slowlane
cgroup_folders() { awk -v name=$cgroup_name '$3 == "cgroup" || $3 == "cgroup2" {print $2 "/" name}' /proc/mounts; }

# The processes of a cluster: its daemons and what these started, by the mark in their environment; also those that another cache's
# scripts started, since namespaces and cgroups are the machine's.
daemons_of() { grep -lszxE "SLOWLANE_DAEMON_OF=.*/run/$1" /proc/[0-9]*/environ | cut -d/ -f3; }

# --- processes beside this one --------------------------------------------------------------------------------------
# Each in a process group of its own, ended with this script however it ends: an interrupted build goes on burning
# both cores otherwise.

lanes=()
beside() { set -m; "$@" </dev/null & lanes+=("$!"); set +m; }
end_lanes() {
  local lane; for lane in "${lanes[@]}"; do kill -- "-$lane" 2>/dev/null || true; done
  [ -z "${steps_owner:-}" ] || { rm -rf "$SLOWLANE_STEPS"; [ ! -t 1 ] || printf '\r\e[K'; }
}
trap end_lanes EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- progress -------------------------------------------------------------------------------------------------------

took() { if [ "$1" -lt 100 ]; then echo "$1 s"; else printf '%d min %02d s\n' $(($1 / 60)) $(($1 % 60)); fi; }
since_start() { local s=$((EPOCHSECONDS - SLOWLANE_STARTED)); printf '%2d:%02d' $((s / 60)) $((s % 60)); }

# One whole line in one write, over the ticker's line where there is one.
say() { if [ -t 1 ]; then printf '\r\e[K%s\n' "$*"; else printf '%s\n' "$*"; fi; }

# progress   shows what is being waited for: every second in one line of a terminal, every 30 s in a log.
# Called by the script that a person started; those that it calls inherit the folder of steps in hand.
progress() {
  [ -z "${SLOWLANE_STEPS:-}" ] || return 0
  SLOWLANE_STEPS=$(mktemp -d); SLOWLANE_STARTED=$EPOCHSECONDS; steps_owner=$$
  export SLOWLANE_STEPS SLOWLANE_STARTED
  beside ticker
}
ticker() {
  local pause=30 line started what f; [ ! -t 1 ] || pause=1
  while sleep $pause && [ -d "$SLOWLANE_STEPS" ]; do
    line=""
    for f in "$SLOWLANE_STEPS"/*; do
      { read -r started what <"$f"; } 2>/dev/null || continue
      line+="${line:+, }$what $(took $((EPOCHSECONDS - started)))"
    done
    [ -n "$line" ] || continue
    if [ -t 1 ]; then printf '\r\e[K  %s  ... %.100s' "$(since_start)" "$line"; else printf '  %s  ... %s\n' "$(since_start)" "$line"; fi
  done
}

# step WHAT COMMAND...   runs a command with its output in a log; one line with its time when it has ended.
step() {
  local what=$1 started=$EPOCHSECONDS status=0 log mark; shift
  log=$cache/log/$(printf %s "$what" | tr -c 'A-Za-z0-9._-' '-').log mark=$SLOWLANE_STEPS/$BASHPID
  echo "$started $what" >"$mark"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  rm -f "$mark"
  [ $status = 0 ] || { say "$(printf '  %s  %-44s FAILED (%s), log: %s' "$(since_start)" "$what" $status "$log")"; tail -n 40 "$log"; return $status; }
  say "$(printf '  %s  %-44s %s' "$(since_start)" "$what" "$(took $((EPOCHSECONDS - started)))")"
}

# packages NAME...   of the machine's distribution: those that are missing only, so that a machine that has them needs no network
packages() {
  local lacking=() p
  for p; do [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || lacking+=("$p"); done
  [ ${#lacking[@]} != 0 ] || return 0
  [ "$(id -u)" = 0 ] || die "needs root: to install ${lacking[*]}"
  step "apt-get install ${lacking[0]} ..." install_packages "${lacking[@]}"
}
install_packages() {
  local lock=(-o DPkg::Lock::Timeout=300)
  apt-get "${lock[@]}" update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get "${lock[@]}" install -y -qq --no-install-recommends "$@"
}

# --- artefacts ------------------------------------------------------------------------------------------------------

# key THING...   a digest over files and folders (by absolute path) and plain words: what an artefact was made from
key() {
  local thing
  for thing; do
    if [[ $thing != /* ]]; then echo "$thing"
    elif [ -d "$thing" ]; then (cd "$thing" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
    else sha256sum <"$thing"; fi
  done | sha256sum | cut -c1-16
}
key_file() { local path=${1#"$cache/"}; echo "$cache/keys/${path//\//:}"; }
made_from() { cat "$(key_file "$1")" 2>/dev/null; }
is_made() { [ -e "$1" ] && [ "$(made_from "$1")" = "$2" ]; }

# artefact WHAT OUT KEY COMMAND...   runs COMMAND OUT.part unless OUT is there and was made from KEY.
# OUT appears whole or not at all: whatever was interrupted is done again.
artefact() {
  local what=$1 out=$2 digest=$3; shift 3
  ! is_made "$out" "$digest" || return 0
  rm -rf "$out.part"
  step "$what" "$@" "$out.part" || return
  rm -rf "$(key_file "$out")" "$out"
  mv "$out.part" "$out"
  echo "$digest" >"$(key_file "$out")"
}
