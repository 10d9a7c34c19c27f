# What would fail later for sure is said now, in under a second, before anything is downloaded.

refuse() {
  phase preflight fail cause "$1" detail "$2"
  exit 1
}

# probe_index: does the package index answer at all? Any answer will do.
probe_index() {
  request HEAD "$JR_INDEX/uv/" '' 8 && return 0
  return 20
}

# probe_hub asks for the model's config.json with the token the download would use.
probe_hub() {
  request HEAD "$JR_HUB/$JR_MODEL_ID/resolve/$JR_REVISION/config.json" "${HF_TOKEN:-}" 8 || return 21
  case $STATUS in
  2* | 3*) return 0 ;;
  401 | 403)
    case $ANSWER in
    *[Ii]nvalid\ credentials* | *[Ii]nvalid\ username*) return 23 ;;
    *[Gg]ated*) return 22 ;;
    *[Rr]epo[Nn]ot[Ff]ound*) return 24 ;;
    esac
    [ "$STATUS" = 401 ] && [ -n "${HF_TOKEN:-}" ] && return 23
    return 22
    ;;
  404)
    case $ANSWER in *EntryNotFound*) return 25 ;; esac
    return 24
    ;;
  429) return 26 ;;
  *) return 21 ;;
  esac
}

# kib_free DIR sets KIB: what a user may still write there.
kib_free() {
  KIB=
  # shellcheck disable=SC2046
  set -- $(df -Pk "$1" 2>/dev/null | tail -n 1)
  [ $# -ge 4 ] && KIB=$4
  case $KIB in '' | *[!0-9]*) KIB= && return 1 ;; esac
}

check_gpus() {
  if ! command -v nvidia-smi >/dev/null 2>&1; then
    refuse no_gpu_visible "nvidia-smi is not there: the container was started without the GPU runtime"
  fi
  G=$(nvidia-smi --query-gpu=driver_version,memory.total,memory.free,compute_cap --format=csv,noheader,nounits 2>&1) || {
    case $G in
    *'version mismatch'*) refuse nvml_driver_mismatch "${G%%"$NL"*}" ;;
    *) refuse no_gpu_visible "${G%%"$NL"*}" ;;
    esac
  }
  SEEN=0 DRIVER= TOTAL= FREE= CAP=
  OLD_IFS=$IFS
  IFS=$NL
  for L in $G; do
    SEEN=$((SEEN + 1))
    IFS=', '
    # shellcheck disable=SC2086
    set -- $L
    IFS=$NL
    DRIVER=$1
    [ -n "$TOTAL" ] && [ "$TOTAL" -le "${2%%.*}" ] || TOTAL=${2%%.*}
    [ -n "$FREE" ] && [ "$FREE" -le "${3%%.*}" ] || FREE=${3%%.*}
    CAP=$4
  done
  IFS=$OLD_IFS
  [ "$SEEN" -ge "$JR_GPUS" ] || refuse no_gpu_visible "$SEEN GPUs here, $JR_GPUS wanted"
  HAVE=
  if [ -n "$JR_MIN_CUDA" ]; then
    G=$(nvidia-smi 2>/dev/null) || G=
    case $G in
    *CUDA*Version:*)
      HAVE=${G#*CUDA*Version:}
      HAVE=${HAVE# }
      HAVE=${HAVE%%[!0-9.]*}
      ;;
    esac
    if [ -n "$HAVE" ] && ! at_least "$HAVE" "$JR_MIN_CUDA"; then
      refuse driver_too_old "driver $DRIVER offers CUDA $HAVE, this stack asks for $JR_MIN_CUDA"
    fi
  fi
  if [ -n "$JR_MIN_DRIVER" ] && ! at_least "$DRIVER.0" "$JR_MIN_DRIVER.0"; then
    refuse driver_too_old "driver $DRIVER, this stack asks for $JR_MIN_DRIVER"
  fi
  if [ -n "$JR_MIN_CAPABILITY" ] && ! at_least "$CAP" "$JR_MIN_CAPABILITY"; then
    refuse gpu_too_old "compute capability $CAP, this stack asks for $JR_MIN_CAPABILITY"
  fi
  if [ "$JR_GPU_MIB" -gt 0 ]; then
    [ "$TOTAL" -ge "$JR_GPU_MIB" ] || refuse cuda_oom_load "the GPU has $TOTAL MiB, the plan rests on $JR_GPU_MIB MiB"
    WANT=$((TOTAL * JR_GPU_PERCENT / 100))
    [ "$FREE" -ge "$WANT" ] ||
      refuse free_memory_below_utilization "$FREE of $TOTAL MiB are free, the engine will ask for $WANT: somebody else uses this GPU"
  fi
}

preflight() {
  phase preflight start
  mkdir -p "$JR_ROOT" "$JR_RUN" 2>/dev/null || refuse disk_full "cannot write below $JR_ROOT"
  P1= P2=
  if [ "$JR_INSTALL" = wheels ] && [ ! -e "$JR_ENV/$JR_DONE" ]; then
    probe_index &
    P1=$!
  fi
  if [ -n "$JR_MODEL_ID" ] && ! weights_here; then
    probe_hub &
    P2=$!
  fi
  if [ -z "$JR_PY3" ]; then
    refuse exec_not_found "no working python3 on this machine"
  fi
  if [ "$JR_INSTALL" = wheels ] && [ -z "$JR_PY" ] && [ "$JR_PYTHON_FETCH" = 0 ]; then
    refuse python_version_unsupported "none of Python $JR_PYTHONS is here"
  fi
  [ "$JR_GPUS" -eq 0 ] || check_gpus
  if [ -n "$JR_LOCAL_MODEL" ] && [ ! -f "$JR_LOCAL_MODEL/config.json" ]; then
    refuse missing_config "$JR_LOCAL_MODEL/config.json is not there"
  fi
  NEED=0
  [ -e "$JR_ENV/$JR_DONE" ] || [ "$JR_INSTALL" != wheels ] || NEED=$((NEED + JR_ENV_MIB))
  [ -z "$JR_MODEL_ID" ] || weights_here || NEED=$((NEED + JR_WEIGHTS_MIB))
  if [ $NEED -gt 0 ] && kib_free "$JR_ROOT" && [ $((KIB / 1024)) -lt $NEED ]; then
    refuse disk_full "$((KIB / 1024)) MiB free below $JR_ROOT, $NEED MiB needed"
  fi
  if [ "$JR_SHM_MIB" -gt 0 ] && kib_free /dev/shm && [ $((KIB / 1024)) -lt "$JR_SHM_MIB" ]; then
    refuse shm_too_small "/dev/shm has $((KIB / 1024)) MiB free, $JR_SHM_MIB MiB needed"
  fi
  if port_taken; then
    refuse port_in_use "something answers on port $JR_PORT already"
  fi
  if [ -n "$P1" ] && ! wait "$P1"; then
    refuse index_unreachable "$JR_INDEX does not answer"
  fi
  if [ -n "$P2" ]; then
    wait "$P2"
    case $? in
    0) ;;
    22) refuse gated_repo "the hub wants a token with access to $JR_MODEL_ID" ;;
    23) refuse hf_unauthorized "the hub refuses the token" ;;
    24) refuse repo_not_found "the hub has no $JR_MODEL_ID at $JR_REVISION" ;;
    25) refuse missing_config "$JR_MODEL_ID has no config.json" ;;
    26) refuse hf_rate_limited "the hub limits this address" ;;
    *) refuse hf_unreachable "$JR_HUB does not answer" ;;
    esac
  fi
  phase preflight ok python "${JR_PY:-none}" driver "${DRIVER:-none}" cuda "${HAVE:-none}"
}

# port_taken: a listener there would take our requests, or refuse the engine its port.
port_taken() {
  request GET "http://127.0.0.1:$JR_PORT/health" '' 2
}
