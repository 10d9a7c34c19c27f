# What the machine says, and its clocks. Every line of ours is written by one printf, so that lines of parallel
# phases never mix.

NL='
'

# uptime_cs sets U: hundredths of a second on a clock that nobody sets. Without /proc it is the wall clock.
uptime_cs() {
  if read -r U _ 2>/dev/null </proc/uptime; then
    U=${U%.*}${U#*.}
  else
    U=$(date +%s)00
  fi
}

# since sets T: seconds since the script began, with two decimals.
since() {
  uptime_cs
  T=$((U - JR_T0))
  C=$((T % 100))
  [ "$C" -gt 9 ] || C=0$C
  T=$((T / 100)).$C
}

# quoted sets Q: a value as our lines carry it, bare when that is safe, else in double quotes on one line.
quoted() {
  Q=$1
  case $Q in
  '' | *[!A-Za-z0-9._:/@%+,~-]*)
    while :; do
      case $Q in
      *'"'*) Q="${Q%%'"'*}'${Q#*'"'}" ;;
      *\\*) Q="${Q%%\\*}/${Q#*\\}" ;;
      *"$NL"*) Q="${Q%%"$NL"*} ${Q#*"$NL"}" ;;
      *) break ;;
      esac
    done
    Q="\"$Q\""
    ;;
  esac
}

# phase NAME STATUS [key value]... prints one phase line.
phase() {
  since
  P="justright phase=$1 status=$2 t=$T"
  shift 2
  while [ $# -gt 1 ]; do
    quoted "$2"
    P="$P $1=$Q"
    shift 2
  done
  printf '%s\n' "$P"
}

# progress PHASE DONE TOTAL UNIT
progress() {
  printf 'justright progress phase=%s done=%s total=%s unit=%s\n' "$1" "$2" "$3" "$4"
}

# guard_says STATUS [key value]...
guard_says() {
  P="justright guard status=$1"
  shift
  while [ $# -gt 1 ]; do
    quoted "$2"
    P="$P $1=$Q"
    shift 2
  done
  printf '%s\n' "$P"
}

# alive PID: is that child still at work? A dead child that nobody has waited for is not.
alive() {
  kill -0 "$1" 2>/dev/null || return 1
  if read -r L 2>/dev/null <"/proc/$1/stat"; then
    case $L in *') Z '* | *') X '*) return 1 ;; esac
  fi
}

# at_least HAVE WANT: compares dotted numbers of two parts, 12.10 above 12.9.
at_least() {
  H1=${1%%.*} H2=${1#*.} W1=${2%%.*} W2=${2#*.}
  H2=${H2%%.*} W2=${W2%%.*}
  case $H1$H2$W1$W2 in *[!0-9]*) return 2 ;; esac
  [ "$H1" -gt "$W1" ] || { [ "$H1" -eq "$W1" ] && [ "$H2" -ge "$W2" ]; }
}
