# What runs on the host, under whatever /bin/sh is there. It comes by standard input and is read whole before any of it
# runs: a connection that breaks off half way runs nothing. Answers are lines that begin with a word.

# A variable of the user's environment that is called as one of ours would carry our value on to the launch.
unset HOST STATE CACHE ST N M S L P D V F I R T X H ID PORT SIZE LEN AT TICK K HAVE OLD_MASK

# nap T: a part of a second where sleep knows parts.
nap() { sleep "$1" 2>/dev/null || sleep 1; }

# places: STATE is where instances live, CACHE where environments and weights do.
places() {
  case $ASKED in
  '')
    STATE=${XDG_STATE_HOME:-$HOME/.local/state}/justright/ssh
    CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/justright
    ;;
  *) STATE=$ASKED/state/ssh CACHE=$ASKED ;;
  esac
  HOST=
  read -r HOST 2>/dev/null <"$STATE/id" || :
}

# be_known gives the directory of instances an id of its own, so that another machine under the same name, or a home that is not
# mounted, is never taken for this one without the instance.
be_known() {
  [ -z "$HOST" ] || return 0
  mkdir -p "$STATE" && printf '%s\n' "$FRESH" >"$STATE/id.$$" || return 1
  ln "$STATE/id.$$" "$STATE/id" 2>/dev/null || [ -s "$STATE/id" ] || mv "$STATE/id.$$" "$STATE/id"
  rm -f "$STATE/id.$$"
  places
  [ -n "$HOST" ]
}

# ours PID ID: does that process live and carry the instance's mark? Without /proc the process id is all there is to go by.
ours() {
  kill -0 "$1" 2>/dev/null || return 1
  [ -e /proc/self/environ ] || return 0
  grep -qF "JUSTRIGHT_MACHINE=$2" "/proc/$1/environ" 2>/dev/null
}

# members ID sets M: the living processes of an instance, by the mark in their environment and, since an engine's workers write
# their title over it, by the engine's session, which the start script notes.
members() {
  M=
  [ -e /proc/self/environ ] || return 0
  for P in $(grep -lF "JUSTRIGHT_MACHINE=$1" /proc/[0-9]*/environ 2>/dev/null); do
    P=${P#/proc/}
    M="$M ${P%/environ}"
  done
  S=
  read -r S 2>/dev/null <"$STATE/$1/run/engine.pid" || return 0
  case $S in '' | *[!0-9]*) return 0 ;; esac
  for P in /proc/[0-9]*/stat; do
    L=
    read -r L 2>/dev/null <"$P" || continue
    # shellcheck disable=SC2086
    set -- ${L##*) }
    case $1 in Z | X) continue ;; esac
    [ "${4:-}" = "$S" ] || continue
    P=${P#/proc/}
    M="$M ${P%/stat}"
  done
}

# state_of ID sets ST: running, provisioning or gone; N: its first process.
state_of() {
  ST=gone N=
  [ -f "$STATE/$1/instance" ] || return 0
  read -r N 2>/dev/null <"$STATE/$1/pid" || :
  case $N in
  '' | *[!0-9]* | 0 | 1)
    # Being made by a call that lives, or left by one that was cut off.
    N= L=
    read -r L 2>/dev/null <"$STATE/$1/maker" || return 0
    kill -0 "$L" 2>/dev/null && ST=provisioning
    return 0
    ;;
  esac
  if ours "$N" "$1"; then
    ST=running
    return 0
  fi
  members "$1"
  [ -z "$M" ] || ST=running
}

# tell ID describes an instance.
tell() {
  state_of "$1"
  printf 'instance %s\nstatus %s\n' "$1" "$ST"
  cat "$STATE/$1/instance" 2>/dev/null
  printf 'done\n'
}

answer_host() { printf 'host %s\nclock %s\n' "${HOST:-none}" "$(date +%s)"; }

do_list() {
  answer_host
  for D in "$STATE"/s*/instance; do
    [ -f "$D" ] || continue
    D=${D%/instance}
    tell "${D##*/}"
  done
}

do_get() {
  answer_host
  [ ! -f "$STATE/$ID/instance" ] || tell "$ID"
}

# port_free PORT: nobody listens there, as far as the kernel's table tells, and no instance of ours was given it.
port_free() {
  H=$(printf ':%04X ' "$1")
  for T in /proc/net/tcp /proc/net/tcp6; do
    [ -r $T ] || continue
    while read -r _ L R X _; do
      case "$X$L " in 0A*"$H") return 1 ;; esac
    done <$T
  done
  for T in "$STATE"/s*/instance; do
    grep -q "^port $1\$" "$T" 2>/dev/null || continue
    T=${T%/instance}
    state_of "${T##*/}"
    [ "$ST" = gone ] || return 1
  done
}

# sweep removes what ended a week ago.
sweep() {
  for D in "$STATE"/s*; do
    [ -n "$(find "$D" -prune -mtime +7 2>/dev/null)" ] || continue
    state_of "${D##*/}"
    [ "$ST" != gone ] || rm -rf "$D"
  done
}

# cleanse takes inherited variables away that are secret or would mislead.
cleanse() {
  for V in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
    case $V in
    @DROP@) unset "$V" 2>/dev/null || : ;;
    esac
  done
}

# kills_at_logout: does this system end a user's processes with the session?
kills_at_logout() {
  case $(busctl get-property org.freedesktop.login1 /org/freedesktop/login1 org.freedesktop.login1.Manager KillUserProcesses 2>/dev/null) in
  'b true') return 0 ;;
  esac
  return 1
}

# launch FILE ARG... runs ARG... in a session of its own that outlives this one, its words in FILE.
launch() {
  F=$1
  shift
  if kills_at_logout; then
    loginctl enable-linger >/dev/null 2>&1
    if systemd-run --user --scope --quiet true </dev/null >/dev/null 2>&1; then
      set -- systemd-run --user --scope --quiet -- "$@"
    else
      printf '%s\n' 'justright: this system ends processes at logout, and a scope of the user manager cannot be had' >>"$F"
    fi
  fi
  if command -v setsid >/dev/null 2>&1; then
    set -- setsid "$@"
  elif command -v python3 >/dev/null 2>&1; then
    set -- python3 -c 'import os,sys
os.setsid()
os.execvp(sys.argv[1],sys.argv[1:])' "$@"
  elif command -v perl >/dev/null 2>&1; then
    set -- perl -e 'use POSIX; POSIX::setsid(); exec @ARGV' "$@"
  fi
  nohup "$@" </dev/null >>"$F" 2>&1 &
}

do_create() {
  OLD_MASK=$(umask)
  umask 077
  if ! be_known; then
    echo 'refused no place for its state below '"$STATE"
    return
  fi
  sweep
  PORT=
  for P in $PORTS; do
    if port_free "$P"; then
      PORT=$P
      break
    fi
  done
  if [ -z "$PORT" ]; then
    echo "refused none of the ports $PORTS is free"
    return
  fi
  ID=s$(printf %.8s "$HOST")$RAND
  D=$STATE/$ID
  # What is left here if this call is cut off is no instance, or one whose maker is dead.
  if ! { mkdir -p "$D/run" && echo $$ >"$D/maker" &&
    printf '%s\ncreated %s\nport %s\n' "$RECORD" "$(date +%s)" "$PORT" >"$D/instance.tmp" && : >"$D/log" && mv "$D/instance.tmp" "$D/instance"; }; then
    rm -rf "$D"
    echo "refused its directory $D cannot be written"
    return
  fi
  umask "$OLD_MASK"
  mkdir -p "$CACHE" 2>/dev/null
  cleanse
  own_vars
  export JUSTRIGHT_PORT="$PORT" JUSTRIGHT_ROOT="$CACHE" JUSTRIGHT_RUN="$D/run" JUSTRIGHT_MACHINE="$ID"
  # A /tmp that runs nothing or takes nothing breaks what compilers and engines do there.
  if ! runs_in "${TMPDIR:-/tmp}"; then
    mkdir -p "$CACHE/tmp" && chmod 700 "$CACHE/tmp" && export TMPDIR="$CACHE/tmp"
  fi
  cd "$D" || :
  started "$D"
  I=0
  while [ $I -lt 100 ] && [ ! -s "$D/pid" ]; do
    nap 0.05
    I=$((I + 1))
  done
  answer_host
  tell "$ID"
}

# runs_in DIR: may a program be put there and run?
runs_in() {
  T=$1/.justright.$$
  printf '#!/bin/sh\nexit 0\n' >"$T" 2>/dev/null && chmod 700 "$T" && "$T" 2>/dev/null
  R=$?
  rm -f "$T"
  return $R
}

# do_delete asks the first process to end, which stops the engine in order; whatever is left after the grace is killed. It answers
# when nothing of the instance lives, or when its time is over.
do_delete() {
  answer_host
  [ -d "$STATE/$ID" ] || return 0
  state_of "$ID"
  if [ "$ST" != gone ] && [ -n "$N" ] && ours "$N" "$ID"; then kill -TERM "$N" 2>/dev/null; fi
  I=0
  while
    state_of "$ID"
    [ "$ST" != gone ]
  do
    if [ $I -ge $((GRACE * 5)) ]; then
      if [ -n "$N" ] && ours "$N" "$ID"; then kill -KILL "-$N" 2>/dev/null; fi
      members "$ID"
      # shellcheck disable=SC2086
      [ -z "$M" ] || kill -KILL $M 2>/dev/null
    fi
    if [ $I -ge $((GRACE * 5 + 25)) ]; then
      echo "refused it lives on: processes ${N:-}$M"
      return
    fi
    nap 0.2
    I=$((I + 1))
  done
  rm -rf "${STATE:?}/$ID" || echo "refused its directory $STATE/$ID cannot be removed"
}

# do_follow hands on the log from byte AT on, in pieces with their lengths, until the instance is gone and all was said. The file is
# kept open, so that its removal cuts no piece short.
do_follow() {
  answer_host
  L=$STATE/$ID/log
  if [ ! -r "$L" ]; then
    printf 'gone\n'
    return
  fi
  exec 3<"$L"
  dd bs=1 skip="$AT" count=0 <&3 >/dev/null 2>&1
  TICK=0
  while :; do
    # Asked before the read: what was written before the end is then surely read after it.
    state_of "$ID"
    SIZE=$(wc -c 2>/dev/null <"$L") || SIZE=0
    SIZE=$((SIZE))
    if [ $SIZE -gt "$AT" ]; then
      LEN=$((SIZE - AT))
      [ $LEN -le 65536 ] || LEN=65536
      printf 'piece %s\n' $LEN || return
      dd bs=$LEN count=1 <&3 2>/dev/null
      AT=$((AT + LEN))
      TICK=0
      continue
    fi
    if [ "$ST" = gone ]; then
      printf 'gone\n'
      return
    fi
    nap 0.3
    TICK=$((TICK + 1))
    if [ $TICK -ge 30 ]; then # so that either end notices when the other is lost
      printf 'tick\n' || return
      TICK=0
    fi
  done
}

# do_watch lasts as long as the instance, for the tunnel of one connection.
do_watch() {
  answer_host
  while
    state_of "$ID"
    [ "$ST" != gone ]
  do
    sleep 2
    printf 'tick\n' || return
  done
  printf 'gone\n'
}

do_facts() {
  answer_host
  printf 'system %s\n' "$(uname -s -m)"
  printf 'cpus %s\n' "$(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null)"
  while read -r K V _; do
    case $K in MemTotal: | MemAvailable:) printf 'kib %s %s\n' "${K%:}" "$V" ;; esac
  done 2>/dev/null </proc/meminfo
  for F in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    read -r V 2>/dev/null <$F && printf 'limit %s\n' "$V"
  done
  D=$CACHE
  while [ ! -d "$D" ] && [ "$D" != / ]; do D=$(dirname "$D"); done
  printf 'disk %s\n' "$(LC_ALL=C df -Pk "$D" 2>/dev/null | tail -n 1)"
  [ -w "$D" ] || printf 'unwritable %s\n' "$D"
  runs_in "$D" || printf 'noexec %s\n' "$D"
  printf 'shm %s\n' "$(LC_ALL=C df -Pk /dev/shm 2>/dev/null | tail -n 1)"
  printf 'libc %s\n' "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
  for V in @TOOLS@; do
    command -v "$V" >/dev/null 2>&1 || printf 'lacks %s\n' "$V"
  done
  HAVE=
  for V in @PYTHONS@; do
    for P in "python$V" "/usr/bin/python$V" "/usr/local/bin/python$V" python3 /opt/conda/bin/python3 "${PYENV_ROOT:-$HOME/.pyenv}/versions/$V".*/bin/python3; do
      P=$(command -v "$P" 2>/dev/null) || continue
      HAVE=1
      R=$("$P" -c 'import sys,ssl,ctypes,zlib;print("%d.%d"%sys.version_info[:2])' 2>/dev/null </dev/null) || continue
      if [ "$R" = "$V" ]; then
        printf 'python %s\n' "$V"
        break
      fi
    done
  done
  [ -n "$HAVE" ] || printf 'lacks python3\n'
  command -v nvidia-smi >/dev/null 2>&1 || return 0
  if R=$(nvidia-smi @QUERY@ 2>&1 </dev/null); then
    printf '%s\n' "$R" | sed 's/^/gpu /'
    nvidia-smi 2>/dev/null </dev/null | grep 'CUDA' | sed 's/^/smi /'
  else
    printf 'broken %s\n' "$(printf '%s' "$R" | tr '\n' ' ')"
  fi
}
