# One request by whatever the image has: curl, python3 or GNU wget. The key goes in by standard input or the
# environment, never as an argument. Nothing is written to disk.

pick_http() {
  JR_HTTP=
  if command -v curl >/dev/null 2>&1; then
    JR_HTTP=curl
  elif [ -n "$JR_PY3" ]; then
    JR_HTTP=python
  elif wget --version 2>/dev/null | grep -q 'GNU Wget'; then
    JR_HTTP=wget
  fi
}

# escaped sets Q: a value inside the double quotes of a curl configuration.
escaped() {
  Q= E=$1
  while :; do
    case $E in
    *[\\\"]*)
      C=${E%%[\\\"]*}
      E=${E#"$C"}
      Q="$Q$C\\"
      C=${E#?}
      Q=$Q${E%"$C"}
      E=$C
      ;;
    *) break ;;
    esac
  done
  Q=$Q$E
}

# request METHOD URL KEY SECONDS [JSON] sets STATUS (000: no answer), DATED (the Date header) and ANSWER.
request() {
  STATUS=000 DATED= ANSWER=
  case $JR_HTTP in
  curl)
    R=$({
      if [ -n "$3" ]; then
        escaped "$3"
        printf 'header = "Authorization: Bearer %s"\n' "$Q"
      fi
      if [ -n "${5-}" ]; then
        escaped "$5"
        printf 'header = "Content-Type: application/json"\ndata = "%s"\n' "$Q"
      fi
      if [ "$1" = HEAD ]; then printf 'head\n'; else printf 'include\nrequest = %s\n' "$1"; fi
      printf 'user-agent = "%s"\nurl = "%s"\nmax-time = %s\nsilent\n' "$JR_AGENT" "$2" "$4"
    } | curl -q -K - 2>/dev/null) || [ -n "$R" ] || return 1
    ;;
  python)
    R=$(JR_KEY=$3 "$JR_PY3" -c "$JR_POD" http "$1" "$2" "$4" "${5-}" 2>/dev/null) || return 1
    ;;
  wget)
    set -- "$1" "$2" "$3" "$4" "${5-}"
    R=$({
      [ -z "$3" ] || printf 'header = Authorization: Bearer %s\n' "$3"
      [ -z "$5" ] || printf 'header = Content-Type: application/json\n'
      [ -z "$5" ] || printf 'body_data = %s\n' "$5"
      printf 'user_agent = %s\nmethod = %s\n' "$JR_AGENT" "$1"
    } | wget --no-config --config=/dev/stdin -q -S -O - --content-on-error --max-redirect=0 -t 1 -T "$4" "$2" 2>&1) || :
    ;;
  *) return 1 ;;
  esac
  case $R in *HTTP/*' '*) ;; *) return 1 ;; esac
  case $R in *'200 Connection established'*) R=${R#*'200 Connection established'} ;; esac
  STATUS=${R#*HTTP/}
  STATUS=${STATUS#* }
  STATUS=${STATUS%%[!0-9]*}
  case $R in
  *[Dd]ate:*GMT*)
    DATED=${R#*[Dd]ate: }
    DATED=${DATED%%GMT*}GMT
    ;;
  esac
  ANSWER=$R
  [ -n "$STATUS" ]
}

# epoch DATE sets EPOCH from "Wed, 25 Nov 2026 17:30:51 GMT", by arithmetic: date(1) has no common grammar for it.
epoch() {
  EPOCH=
  set -f
  # shellcheck disable=SC2086
  set -- $1
  set +f
  [ $# -eq 6 ] || return 1
  case $3 in
  Jan) M=11 ;; Feb) M=12 ;; Mar) M=1 ;; Apr) M=2 ;; May) M=3 ;; Jun) M=4 ;;
  Jul) M=5 ;; Aug) M=6 ;; Sep) M=7 ;; Oct) M=8 ;; Nov) M=9 ;; Dec) M=10 ;;
  *) return 1 ;;
  esac
  case $2$4 in *[!0-9]*) return 1 ;; esac
  case $5 in [0-2][0-9]:[0-5][0-9]:[0-6][0-9]) ;; *) return 1 ;; esac
  Y=$4
  [ $M -le 10 ] || Y=$((Y - 1))
  D=${2#0} HH=${5%%:*} SS=${5##*:} MM=${5#*:}
  MM=${MM%:*}
  # Days from 1970-01-01 with a year that begins in March, so that the leap day is its last.
  D=$((365 * Y + Y / 4 - Y / 100 + Y / 400 + (153 * (M - 1) + 2) / 5 + D - 1 - 719468))
  EPOCH=$((D * 86400 + ${HH#0} * 3600 + ${MM#0} * 60 + ${SS#0}))
}
