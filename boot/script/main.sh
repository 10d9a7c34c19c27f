# The road itself. $$ is the machine's first process: it never exits by itself while somebody may still want to read
# why it failed, because a provider starts an exited container again, for ever, and bills it.

stop_all() {
  trap '' TERM INT USR1
  for P in "${JR_ENGINE_PID:-}" "${JR_ENV_PID:-}" "${JR_WEIGHTS_PID:-}"; do
    [ -z "$P" ] || kill -TERM "$P" 2>/dev/null
  done
  if [ -n "${JR_ENGINE_PID:-}" ]; then
    wait "$JR_ENGINE_PID"
    phase engine ok stopped 1
  fi
  [ -z "${JR_GUARD_PID:-}" ] || kill -KILL "$JR_GUARD_PID" 2>/dev/null
  if [ "${JR_GUARD:-}" = local ]; then
    kill -TERM "-$JR_MAIN" 2>/dev/null
    rm -rf "$JR_RUN"
  fi
  exit "${JR_EXIT:-0}"
}

# taken_away is the end that comes from outside, with the node of a job's pod: no success, so that another pod is made. The guard's own end
# is one.
taken_away() {
  [ "${JR_GUARD:-}" != job ] || JR_EXIT=143
  stop_all
}

# hold keeps the logs readable for a bounded time, then ends the machine.
hold() {
  for P in "${JR_ENV_PID:-}" "${JR_WEIGHTS_PID:-}"; do
    [ -z "$P" ] || kill -TERM "$P" 2>/dev/null
  done
  JR_HOLD=${JUSTRIGHT_HOLD:-$JR_HOLD}
  phase hold start seconds "$JR_HOLD"
  nap "$JR_HOLD"
  phase hold ok
  case $JR_GUARD in
  none) while :; do nap 3600; done ;;
  local | job)
    guard_says ending reason hold
    [ "$JR_GUARD" = local ] || JR_EXIT=1 # for the one who counts failed jobs
    stop_all
    ;;
  *) end_machine hold ;;
  esac
}

main() {
  uptime_cs
  JR_T0=$U
  export JR_T0 JR_AGENT
  unset PYTHONDONTWRITEBYTECODE PYTHONHOME
  JR_MAIN=$$
  JR_PORT=${JUSTRIGHT_PORT:-$JR_PORT}
  # Of one engine over several nodes the first serves; the others ask it how things stand.
  JR_RANK=0 JR_LEADER=127.0.0.1 JR_AT=127.0.0.1
  if [ "$JR_NODES" -gt 1 ]; then
    JR_RANK=${JOB_COMPLETION_INDEX:-${LWS_WORKER_INDEX:-0}}
    JR_LEADER=${JUSTRIGHT_LEADER:-${LWS_LEADER_ADDRESS:-127.0.0.1}}
    [ "$JR_RANK" = 0 ] || JR_AT=$JR_LEADER
  fi
  JR_ROOT=${JUSTRIGHT_ROOT:-$JR_ROOT}
  JR_ROOT=${JR_ROOT:-${HOME:-/root}/.cache/justright}
  JR_RUN=${JUSTRIGHT_RUN:-${TMPDIR:-/tmp}/justright.${JUSTRIGHT_ATTEMPT:-$$}}
  JR_HUB=${HF_ENDPOINT:-https://huggingface.co}
  JR_HUB=${JR_HUB%/}
  JR_INDEX=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-https://pypi.org/simple}}}
  JR_INDEX=${JR_INDEX%/}
  if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then export UV_DEFAULT_INDEX="$PIP_INDEX_URL"; fi
  if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$PIP_CERT"; fi
  export UV_CACHE_DIR="$JR_ROOT/uv" UV_NO_PROGRESS=1 UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-60}"
  export VLLM_CACHE_ROOT="$JR_ROOT/vllm" TRITON_CACHE_DIR="$JR_ROOT/triton" TORCHINDUCTOR_CACHE_DIR="$JR_ROOT/inductor"
  export VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 HF_HUB_DISABLE_TELEMETRY=1
  trap stop_all INT USR1
  trap taken_away TERM
  trap '' HUP
  find_python3
  pick_http
  guard_begin
  JR_PY= JR_PYV=
  if [ "$JR_INSTALL" = wheels ]; then find_python; fi
  JR_ENV=$JR_ROOT/envs/$JR_ENV_KEY-$JR_PYV
  JR_MODEL=$JR_LOCAL_MODEL
  [ -z "$JR_MODEL_ID" ] || JR_MODEL=$JR_ROOT/models/$JR_MODEL_DIR

  (preflight) || hold
  fetch_weights &
  JR_WEIGHTS_PID=$!
  if [ "$JR_INSTALL" = wheels ]; then
    install_env &
    JR_ENV_PID=$!
  else
    phase env ok source image
    JR_ENV_PID=
  fi
  # Each child is waited for once: a second wait for the same one is an error in some shells.
  while [ -n "$JR_WEIGHTS_PID$JR_ENV_PID" ]; do
    if [ -n "$JR_WEIGHTS_PID" ] && ! alive "$JR_WEIGHTS_PID"; then
      wait "$JR_WEIGHTS_PID" || hold
      JR_WEIGHTS_PID=
    elif [ -n "$JR_ENV_PID" ] && ! alive "$JR_ENV_PID"; then
      wait "$JR_ENV_PID" || hold
      JR_ENV_PID=
    else
      nap 0.2
    fi
  done

  [ "$JR_NODES" = 1 ] || await_leader
  start_engine
  await_ready
  while :; do
    wait "$JR_ENGINE_PID"
    CODE=$?
    alive "$JR_ENGINE_PID" || break
  done
  JR_ENGINE_PID=
  phase engine fail code "$CODE" cause engine_exited
  hold
}

main
