# The engine's Python environment: kept under a key, so that the next boot installs nothing.

JR_NL='
'

# found NAME... sets FOUND to the programs of these names, a line each. The shims of a version manager come last: each is half a
# second of shell scripts, and may fail for a version that is not chosen.
found() {
  FOUND= SHIMS=
  for V in ${JUSTRIGHT_PYTHON:-"$@"}; do
    V=$(command -v "$V" 2>/dev/null) || continue
    case $V in
    */shims/*) SHIMS="$SHIMS$V$JR_NL" ;;
    *) FOUND="$FOUND$V$JR_NL" ;;
    esac
  done
  FOUND="$FOUND$SHIMS"
}

# find_python3 sets JR_PY3: any interpreter that works, for our own small jobs. A program may be there and fail, so each is
# tried and named by its own word. JUSTRIGHT_PYTHON names the only one to look at.
find_python3() {
  found python3 /usr/bin/python3 python3.12 python3.11 python3.13 python3.10 python /usr/local/bin/python3 /opt/conda/bin/python3
  OLD_IFS=$IFS IFS=$JR_NL
  for V in $FOUND; do
    IFS=$OLD_IFS
    JR_PY3=$("$V" -c 'import sys,ssl,zipfile
if sys.version_info>=(3,6):print(sys.executable)' 2>/dev/null) && [ -x "$JR_PY3" ] && return 0
  done
  IFS=$OLD_IFS
  JR_PY3=
  return 1
}

# find_python sets JR_PY and JR_PYV: an interpreter of a version that the stack can use, the wanted one first.
find_python() {
  for JR_PYV in $JR_PYTHONS; do
    found "python$JR_PYV" "/usr/bin/python$JR_PYV" "/usr/local/bin/python$JR_PYV" python3 /opt/conda/bin/python3 \
      "${PYENV_ROOT:-${HOME:-/root}/.pyenv}/versions/$JR_PYV".*/bin/python3
    OLD_IFS=$IFS IFS=$JR_NL
    for P in $FOUND; do
      IFS=$OLD_IFS
      JR_PY=$("$P" -c "import sys,ssl,ctypes,zlib
if '%d.%d'%sys.version_info[:2]=='$JR_PYV':print(sys.executable)" 2>/dev/null) && [ -x "$JR_PY" ] && return 0
    done
    IFS=$OLD_IFS
  done
  JR_PY=
  for JR_PYV in $JR_PYTHONS; do return 1; done
}

# get_uv sets UV: the one on this machine if it is new enough, else the pinned wheel of the index, unpacked.
get_uv() {
  UV=$(command -v uv 2>/dev/null) && {
    V=$("$UV" --version 2>/dev/null) || V=
    V=${V#uv }
    at_least "${V%% *}" "$JR_UV_MIN" 2>/dev/null && return 0
  }
  UV=$JR_ROOT/tools/uv-$JR_UV/uv
  [ -x "$UV" ] && return 0
  W=$JR_ROOT/tools/uv-$JR_UV.$$
  rm -rf "$W"
  mkdir -p "$W/x" "$JR_ROOT/tools/uv-$JR_UV" || return 1
  # Our own fetch takes a fifth of pip's second; pip knows what its settings know: credentials, proxies, certificates.
  "$JR_PY3" -c "$JR_POD" uv "$JR_INDEX" "$JR_UV" "$W" >/dev/null 2>&1 ||
    "$JR_PY3" -m pip download -q --no-deps --only-binary :all: --disable-pip-version-check -d "$W" "uv==$JR_UV" >/dev/null 2>&1 ||
    return 1
  "$JR_PY3" -m zipfile -e "$W"/uv-*.whl "$W/x" || return 1
  mv "$W/x"/uv-*.data/scripts/uv "$UV" && chmod 755 "$UV" || return 1
  rm -rf "$W"
}

env_fail() {
  O=$(tail -n 40 "$JR_RUN/uv.log" 2>/dev/null)
  C=${1:-}
  if [ -z "$C" ]; then
    case $O in
    *'No space left'* | *'os error 28'* | *'quota exceeded'*) C=disk_full ;;
    *'no wheels with a matching Python'* | *'does not satisfy Python'*) C=python_version_unsupported ;;
    *'no wheels with a matching'* | *'was not found in the package registry'* | *'there is no version of'*) C=pip_no_matching_distribution ;;
    *'No solution found'*) C=pip_resolution_conflict ;;
    *'timed out'* | *'operation timeout'*) C=pip_download_timeout ;;
    *'Failed to fetch'* | *'error sending request'* | *'dns error'*) C=index_unreachable ;;
    *) C=install_failed ;;
    esac
  fi
  [ -z "${JR_COMPILE_PID:-}" ] || kill "$JR_COMPILE_PID" 2>/dev/null
  [ -z "${NEW:-}" ] || rm -rf "$NEW" "$NEW.large"
  phase env fail cause "$C" detail "${2:-$O}"
  exit 1
}

# kib SIZE sets KIB from uv's words: 196.4MiB, 1.2GiB, 884.1KiB.
kib() {
  KIB=${1%%[!0-9]*}
  F=${1#*.}
  case $1 in *.[0-9]*) F=${F%"${F#?}"} ;; *) F=0 ;; esac
  case $1 in
  *GiB*) KIB=$(((KIB * 10 + F) * 104858)) ;;
  *MiB*) KIB=$(((KIB * 10 + F) * 102)) ;;
  esac
}

# say_uv passes on what uv says and turns its download lines into progress: it announces the larger wheels with their
# sizes, most of them before the first has arrived.
say_uv() {
  read -r SUM GOT SET <"$JR_RUN/uv.sum"
  SIZES=' '
  while IFS= read -r L; do
    printf '%s\n' "$L" >>"$JR_RUN/uv.log"
    case $L in
    ' + '*) continue ;;
    *Downloading\ *\ \(*iB\))
      W=${L##*Downloading }
      kib "${W##*\(}"
      SIZES="$SIZES${W%% *}:$KIB "
      SUM=$((SUM + KIB))
      continue
      ;;
    *Downloaded\ *)
      W=${L##*Downloaded }
      case $SIZES in
      *" $W:"*)
        KIB=${SIZES#*" $W:"}
        GOT=$((GOT + ${KIB%% *}))
        progress env $((GOT * 1024)) $((SUM * 1024)) bytes
        continue
        ;;
      esac
      ;;
    Installed\ *\ package*)
      W=${L#Installed }
      SET=$((SET + ${W%% *}))
      [ "$SET" -le "$1" ] || SET=$1
      progress env "$SET" "$1" packages
      ;;
    esac
    printf '%s\n' "$L"
  done
  echo "$SUM $GOT $SET" >"$JR_RUN/uv.next"
}

# uv_run TOTAL COMMAND... runs uv, its words to stdout and uv.log, and returns its status.
uv_run() {
  K=$1
  shift
  : >"$JR_RUN/uv.log"
  {
    "$@" 2>&1
    echo $? >"$JR_RUN/uv.status"
  } | say_uv "$K"
  read -r C <"$JR_RUN/uv.status"
  [ "$C" != 0 ] || mv "$JR_RUN/uv.next" "$JR_RUN/uv.sum"
  return "$C"
}

# make_lock writes every package with its hash, once; the next boot takes the same.
make_lock() {
  LOCK=$JR_ROOT/locks/$JR_ENV_KEY-$JR_PYV.txt
  [ -s "$LOCK" ] && return 0
  mkdir -p "$JR_ROOT/locks" || return 1
  if [ -n "$JR_LOCK" ]; then
    printf '%s\n' "$JR_LOCK" >"$LOCK.$$" && mv "$LOCK.$$" "$LOCK"
    return
  fi
  printf '%s\n' "$JR_REQUIREMENTS" >"$JR_RUN/in.txt" || return 1
  set -- pip compile -q --no-header --no-annotate --generate-hashes --python "${JR_PY:-$JR_PYV}" -o "$LOCK.$$"
  if [ -n "$JR_OVERRIDES" ]; then
    printf '%s\n' "$JR_OVERRIDES" >"$JR_RUN/over.txt"
    set -- "$@" --override "$JR_RUN/over.txt"
  fi
  if [ -n "$JR_EXCLUDES" ]; then
    printf '%s\n' "$JR_EXCLUDES" >"$JR_RUN/excl.txt"
    set -- "$@" --excludes "$JR_RUN/excl.txt"
  fi
  for V in $JR_INDEX_URLS; do set -- "$@" --extra-index-url "$V"; done
  [ -z "$JR_INDEX_URLS" ] || set -- "$@" --index-strategy unsafe-best-match
  [ -z "$JR_TORCH_BACKEND" ] || set -- "$@" --torch-backend "$JR_TORCH_BACKEND"
  if [ -n "$JR_AS_OF" ]; then
    uv_run 0 "$UV" "$@" --exclude-newer "$JR_AS_OF" $JR_AS_OF_BUT "$JR_RUN/in.txt" && mv "$LOCK.$$" "$LOCK" && return 0
    echo "justright: the index does not tell upload dates, or the set as of $JR_AS_OF does not resolve; resolving without the date"
  fi
  uv_run 0 "$UV" "$@" "$JR_RUN/in.txt" && mv "$LOCK.$$" "$LOCK"
}

# uv_install LOCK ARG... installs a lock's packages.
uv_install() {
  set -- pip install -p "$NEW/bin/python" --no-deps -r "$@"
  case $(head -n 5 "$LOCK") in *--hash=*) set -- "$@" --require-hashes ;; esac
  for V in $JR_INDEX_URLS; do set -- "$@" --extra-index-url "$V"; done
  [ -z "$JR_INDEX_URLS" ] || set -- "$@" --index-strategy unsafe-best-match
  [ -z "$JR_TORCH_BACKEND" ] || set -- "$@" --torch-backend "$JR_TORCH_BACKEND"
  "$UV" "$@" 2>&1
}

# fetch_beside LOCK fetches what is large and holds little Python while everything else is installed and its byte code
# made: one is bound by the network, the other by a core. It leaves in USE what is still to be put in place, from uv's
# cache by then. What fails here is tried again, and judged, by install_from.
fetch_beside() {
  rm -f "$JR_RUN/small.done"
  "$JR_PY3" -c "$JR_POD" split "$1" "$JR_RUN/small.txt" "$JR_RUN/large.txt" && [ -s "$JR_RUN/small.txt" ] && [ -s "$JR_RUN/large.txt" ] || return 0
  {
    uv_install "$JR_RUN/large.txt" --target "$NEW.large" --link-mode symlink & # into its cache; where no hard links are, nothing is copied twice
    JR_LARGE_PID=$!
    uv_install "$JR_RUN/small.txt" && : >"$JR_RUN/small.done"
    make_byte_code
    wait "$JR_LARGE_PID"
    kill "$JR_COMPILE_PID" 2>/dev/null
  } | say_uv "$N"
  mv "$JR_RUN/uv.next" "$JR_RUN/uv.sum"
  rm -rf "$NEW.large" &
  [ ! -e "$JR_RUN/small.done" ] || USE=$JR_RUN/large.txt
}

# install_from LOCK puts all of it in place.
install_from() {
  uv_run "$N" uv_install "$1" && return 0
  case $(tail -n 40 "$JR_RUN/uv.log") in
  *'Failed to fetch'* | *'Failed to download'* | *'timed out'* | *'error sending request'*) ;;
  *) env_fail '' ;;
  esac
  echo 'justright: the network failed the install; once more'
  sleep 3
  uv_run "$N" uv_install "$1" || env_fail ''
}

# make_byte_code begins to compile what the engine will import and is there by now. It ends by itself.
make_byte_code() {
  "$NEW/bin/python" -c "$JR_POD" compiled $JR_MODULES >/dev/null 2>&1 &
  JR_COMPILE_PID=$!
}

# install_env makes the environment in a directory of its own and puts it in place at the end by one link, so that a
# boot that was cut off, or another one beside it, never leaves half of it.
install_env() {
  phase env start
  if [ -e "$JR_ENV/$JR_DONE" ] && "$JR_ENV/bin/python" -c 'import sys' >/dev/null 2>&1; then
    touch "$JR_ENV/$JR_DONE" 2>/dev/null # when it was last used: see the provider of this machine
    phase env ok cached 1 key "$JR_ENV_KEY"
    return 0
  fi
  echo 0 0 0 >"$JR_RUN/uv.sum"
  get_uv || env_fail index_unreachable "uv $JR_UV could not be had from $JR_INDEX"
  make_lock || env_fail ''
  N=$(grep -c '^[A-Za-z0-9]' "$LOCK") || N=0
  NEW=$JR_ENV.${JUSTRIGHT_ATTEMPT:-$$}
  rm -rf "$NEW"
  mkdir -p "$JR_ROOT/envs" || env_fail disk_full ''
  set -- venv -q --python "${JR_PY:-$JR_PYV}"
  USE=$LOCK
  if [ -n "$JR_PY" ] && "$JR_PY3" -c "$JR_POD" reuse "$JR_PY" "$LOCK" "$JR_RUN/lock.txt"; then
    USE=$JR_RUN/lock.txt
    set -- "$@" --system-site-packages
  fi
  uv_run "$N" "$UV" "$@" "$NEW" || env_fail ''
  fetch_beside "$USE"
  install_from "$USE"
  make_byte_code
  : >"$NEW/$JR_DONE" || env_fail disk_full ''
  ln -sfn "$NEW" "$JR_ENV"
  [ -e "$JR_ENV/$JR_DONE" ] || env_fail install_failed "could not put the environment in place"
  phase env ok cached 0 packages "$N" key "$JR_ENV_KEY"
}
