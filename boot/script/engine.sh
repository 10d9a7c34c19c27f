# The model's files and the engine itself.

# weights_here: has an earlier boot fetched this very revision?
weights_here() {
  [ -n "$JR_MODEL_ID" ] && [ "$JR_REVISION" != main ] && [ -e "$JR_MODEL/$JR_DONE" ]
}

fetch_weights() {
  phase weights start
  if [ -z "$JR_MODEL_ID" ]; then
    phase weights ok source local
    return 0
  fi
  if weights_here; then
    phase weights ok cached 1
    return 0
  fi
  "$JR_PY3" -c "$JR_POD" weights "$JR_HUB" "$JR_MODEL_ID" "$JR_REVISION" "$JR_MODEL" "$JR_DONE"
  case $? in
  0) phase weights ok cached 0 && return 0 ;;
  22) C=gated_repo ;;
  23) C=hf_unauthorized ;;
  24) C=repo_not_found ;;
  25) C=missing_config ;;
  26) C=hf_rate_limited ;;
  35) C=disk_full ;;
  36) C=missing_weights ;;
  38) C=download_stalled ;;
  *) C=hf_unreachable ;;
  esac
  phase weights fail cause $C
  exit 1
}

# await_leader waits until the name of the node that serves is known: the last pod of a group may be minutes behind the first.
await_leader() {
  until "$JR_PY3" -c 'import socket, sys; socket.getaddrinfo(sys.argv[1], None)' "$JR_LEADER" 2>/dev/null; do nap 1; done
}

# name_engine gives the CPU build the name that the engine's command line asks for: its package is called otherwise.
name_engine() {
  mkdir -p "$JR_RUN/door" && printf '%s\n' 'import importlib.metadata as m' '_version = m.version' '' '' 'def version(name):' \
    "    return _version(\"$JR_NAMED\") + \"+cpu\" if name == \"vllm\" else _version(name)" '' '' 'm.version = version' >"$JR_RUN/door/sitecustomize.py"
}

# start_engine starts it through our python: a session of its own, so that one signal reaches all its processes;
# without our secrets; first in line when the kernel must kill somebody.
start_engine() {
  JR_DOOR=0
  if [ -n "$JR_MIDDLEWARE" ]; then
    mkdir -p "$JR_RUN/door" && printf '%s\n' "$JR_MIDDLEWARE" >"$JR_RUN/door/justright_door.py" && JR_DOOR=1
  fi
  [ -z "$JR_STARTER" ] || { mkdir -p "$JR_RUN/door" && printf '%s\n' "$JR_STARTER" >"$JR_RUN/door/justright_start.py"; }
  [ -z "$JR_NAMED" ] || name_engine
  [ "$JR_DOOR$JR_NAMED" = 0 ] || export PYTHONPATH="$JR_RUN/door${PYTHONPATH:+:$PYTHONPATH}"
  if [ "$JR_INSTALL" = wheels ]; then
    export PATH="$JR_ENV/bin:$PATH" VIRTUAL_ENV="$JR_ENV"
  fi
  [ -z "$JR_MODEL_ID" ] || export HF_HUB_OFFLINE=1
  phase engine start
  exec_engine &
  JR_ENGINE_PID=$!
}

# await_ready polls until health and model list answer; 1 when the engine died before.
await_ready() {
  while alive "$JR_ENGINE_PID"; do
    if request GET "http://$JR_AT:$JR_PORT/health" '' 5 && [ "$STATUS" = 200 ] &&
      request GET "http://$JR_AT:$JR_PORT/v1/models" "${VLLM_API_KEY:-}" 5 && [ "$STATUS" = 200 ]; then
      case $ANSWER in
      *'"id"'*)
        phase engine ok
        phase ready ok port "$JR_PORT" door "$JR_DOOR"
        return 0
        ;;
      esac
    fi
    nap 0.5
  done
  return 1
}

# nap sleeps so that a signal wakes it at once.
nap() {
  { sleep "$1" 2>/dev/null || sleep 1; } &
  JR_NAP=$!
  wait "$JR_NAP"
}
