# The dead man's switch. It runs before anything is downloaded and for as long as the container lives, needs
# nobody outside, writes no file, and ends this machine at the first of its limits.

# The limits are absolute seconds of the provider's clock: read once from the Date header of an answer, then counted
# on a clock that nobody sets. A restart of the container asks again.
now() {
  uptime_cs
  NOW=$((JR_EPOCH + (U - JR_EPOCH_AT) / 100))
}

# take_date reads the clock out of the last answer.
take_date() {
  [ -n "$DATED" ] && epoch "$DATED" || return 1
  uptime_cs
  JR_EPOCH=$EPOCH JR_EPOCH_AT=$U
}

guard_setup() {
  uptime_cs
  JR_EPOCH=$(date +%s) JR_EPOCH_AT=$U
  JR_API=${RUNPOD_API_BASE_URL:-https://api.runpod.io}
  JR_API=${JR_API%/}
  JR_SELF=${RUNPOD_POD_ID:-}
  JR_SELF_KEY=${RUNPOD_API_KEY:-}
  JR_TICK=${JUSTRIGHT_GUARD_TICK:-10}
  JR_WHY=
  JR_GUARD=${JUSTRIGHT_GUARD:-}
  if [ -z "$JR_GUARD" ]; then
    if [ -n "$JR_SELF" ]; then JR_GUARD=runpod; else JR_GUARD=none; fi
  fi
}

# prove finds out whether this machine may end itself: it reads itself, then asks for an action that does not
# exist, which a key without rights is refused (401, 403) and one with rights is told about (422). Sets JR_WHY and
# returns 1 when it may not, 2 when that could not be learned.
prove() {
  JR_WHY=
  case $JR_GUARD in
  local) return 0 ;;
  job)
    # The machine is a container that nobody starts again: it ends with its first process, which must be ours.
    [ "$JR_MAIN" = 1 ] && return 0
    JR_WHY=not_first_process
    return 1
    ;;
  runpod) ;;
  *)
    JR_WHY=no_provider
    return 1
    ;;
  esac
  case $JR_SELF in
  '' | *[!A-Za-z0-9_-]*)
    JR_WHY=no_pod_id
    return 1
    ;;
  esac
  if [ -z "$JR_SELF_KEY" ]; then
    JR_WHY=no_key
    return 1
  fi
  if [ -z "$JR_HTTP" ]; then
    JR_WHY=no_http_client
    return 1
  fi
  if ! request GET "$JR_API/v2/pods/$JR_SELF" "$JR_SELF_KEY" 5; then
    JR_WHY=unreachable
    return 2
  fi
  take_date
  case $STATUS in
  2*) ;;
  401 | 403)
    JR_WHY=key_refused
    return 1
    ;;
  404) # a machine that was just made may not be known everywhere yet
    JR_WHY=pod_denied
    return 2
    ;;
  *)
    JR_WHY=http_$STATUS
    return 2
    ;;
  esac
  if ! request POST "$JR_API/v2/pods/$JR_SELF/action" "$JR_SELF_KEY" 5 '{"action":"prove"}'; then
    JR_WHY=unreachable
    return 2
  fi
  case $STATUS in
  401 | 403)
    JR_WHY=key_refused
    return 1
    ;;
  429 | 5*)
    JR_WHY=http_$STATUS
    return 2
    ;;
  esac
}

# guard_begin proves the right and says the result; then the loop runs beside everything else.
guard_begin() {
  guard_setup
  JR_PROVED=0
  if prove; then
    JR_PROVED=1
  elif [ $? -eq 2 ] && sleep 1 && prove; then
    JR_PROVED=1
  fi
  if [ $JR_PROVED = 1 ]; then
    guard_says armed by "$JR_GUARD"
  else
    guard_says unguarded reason "$JR_WHY"
  fi
  [ "$JR_GUARD" = none ] && return
  guard_loop &
  JR_GUARD_PID=$!
}

# passed LIMIT: has that second come? An empty or strange limit never comes.
passed() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  [ "$NOW" -ge "$1" ]
}

# busy sets MARK from the engine's own counters and returns 0 when it is answering or has answered since the last look.
busy() {
  request GET "http://$JR_AT:$JR_PORT/metrics" "${VLLM_API_KEY:-}" 5 || return 1
  [ "$STATUS" = 200 ] || return 1
  MARK= RUNNING=0
  OLD_IFS=$IFS
  IFS=$NL
  set -f
  for L in $ANSWER; do
    case $L in
    vllm:num_requests_running* | vllm:num_requests_waiting[{\ ]* | sglang:num_running_reqs* | sglang:num_queue_reqs*)
      case ${L##* } in 0 | 0.0 | 0.0?) ;; *) RUNNING=1 ;; esac
      ;;
    vllm:request_success_total* | vllm:prompt_tokens_total* | vllm:generation_tokens_total* | sglang:num_requests_total*)
      MARK=$MARK${L##* },
      ;;
    esac
  done
  set +f
  IFS=$OLD_IFS
  [ $RUNNING = 1 ] || [ "$MARK" != "$LAST_MARK" ]
}

guard_loop() {
  trap '' HUP INT
  trap - TERM
  SERVED=0 LAST_MARK= TRIES=0
  now
  ACTIVE=$NOW
  while :; do
    sleep "$JR_TICK"
    now
    if [ "$JR_GUARD" = local ] && ! alive "$JR_MAIN"; then end_local; fi
    if passed "${JUSTRIGHT_CAP_BY:-}"; then end_machine cap; fi
    # A lifetime may be moved while it lasts, through the engine's door; the dollar cap never moves.
    if [ -n "${JUSTRIGHT_END_BY:-}" ]; then
      LATER=
      read -r LATER 2>/dev/null <"$JR_RUN/door/justright_door.py.until" || :
      case $LATER in '' | *[!0-9]*) LATER=$JUSTRIGHT_END_BY ;; esac
      if passed "$LATER"; then end_machine ttl; fi
    fi
    if [ -n "${JUSTRIGHT_LEASE_FILE:-}" ]; then
      LEASE=
      read -r LEASE 2>/dev/null <"$JUSTRIGHT_LEASE_FILE" || :
      if passed "$LEASE"; then end_machine lease; fi
    fi
    if [ $SERVED = 0 ]; then
      ACTIVE=$NOW
      if request GET "http://$JR_AT:$JR_PORT/health" '' 5 && [ "$STATUS" = 200 ]; then
        SERVED=1
      elif passed "${JUSTRIGHT_BOOT_BY:-}"; then
        end_machine boot_deadline
      fi
    elif busy; then
      ACTIVE=$NOW LAST_MARK=$MARK
    else
      case ${JUSTRIGHT_IDLE:-} in
      '' | 0 | *[!0-9]*) ;;
      *) [ $((NOW - ACTIVE)) -lt "$JUSTRIGHT_IDLE" ] || end_machine idle ;;
      esac
    fi
    # A right that could not be proved for want of an answer is asked again, every minute or so, not more: all pods
    # of an account share one limit of calls.
    if [ $JR_PROVED = 0 ] && [ $((TRIES = (TRIES + 1) % (60 / (JR_TICK + 1) + 1))) = 0 ]; then
      case $JR_WHY in
      unreachable | pod_denied | http_*)
        if prove; then
          JR_PROVED=1
          guard_says armed by "$JR_GUARD"
        elif [ $? -eq 1 ]; then
          guard_says unguarded reason "$JR_WHY"
        fi
        ;;
      esac
    fi
  done
}

# pause N: backoff after the N-th try, up to a minute, with jitter so that pods of one fleet do not call together.
pause() {
  PAUSE=$(($1 > 5 ? 60 : 1 << $1))
  uptime_cs
  sleep $((PAUSE + (U + $$ * 7919) % (PAUSE + 1)))
}

# end_machine REASON never returns.
end_machine() {
  guard_says ending reason "$1"
  case $JR_GUARD in
  local) end_local ;;
  job) while :; do end_group; done ;;
  runpod) ;;
  *) exit 1 ;;
  esac
  N=0
  while :; do
    for WAY in delete terminate graphql ctl stop; do
      end_by $WAY && sleep 15
    done
    pause $N
    N=$((N + 1))
  done
}

# end_by WAY: 0 when somebody promised the end.
end_by() {
  case $1 in
  delete) request DELETE "$JR_API/v2/pods/$JR_SELF" "$JR_SELF_KEY" 10 || return 1 ;;
  terminate) request POST "$JR_API/v2/pods/$JR_SELF/action" "$JR_SELF_KEY" 10 '{"action":"terminate"}' || return 1 ;;
  stop) request POST "$JR_API/v2/pods/$JR_SELF/action" "$JR_SELF_KEY" 10 '{"action":"stop"}' || return 1 ;;
  graphql)
    request POST "$JR_API/graphql" "$JR_SELF_KEY" 10 \
      "{\"query\":\"mutation { podTerminate(input: {podId: \\\"$JR_SELF\\\"}) }\"}" || return 1
    case $ANSWER in *'"errors"'*) return 1 ;; esac
    ;;
  ctl)
    command -v runpodctl >/dev/null 2>&1 || return 1
    runpodctl pod delete "$JR_SELF" >/dev/null 2>&1 || runpodctl remove pod "$JR_SELF" >/dev/null 2>&1
    return
    ;;
  esac
  case $STATUS in
  2*) return 0 ;;
  *)
    guard_says ending way "$1" http "$STATUS"
    return 1
    ;;
  esac
}

# end_group ends the engine by way of the main shell, then whatever is left of its process group. In a job the main shell is
# process 1, and "-1" is every process but that one and this shell: left alone, it ends, and the container with it.
end_group() {
  if [ "$JR_GUARD" = job ]; then kill -USR1 "$JR_MAIN" 2>/dev/null; else kill -TERM "$JR_MAIN" 2>/dev/null; fi
  I=0
  while [ $I -lt 30 ] && alive "$JR_MAIN"; do
    sleep 1
    I=$((I + 1))
  done
  kill -KILL "-$JR_MAIN" 2>/dev/null
}

end_local() {
  end_group
  exit 0
}
