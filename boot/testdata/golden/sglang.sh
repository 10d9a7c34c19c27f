#!/bin/sh
# justright boot script for sglang==0.5.9 by wheels
JR_AGENT='justright/1 (boot)'
JR_ENGINE='sglang==0.5.9'
JR_INSTALL=wheels
JR_ROOT=''
JR_PORT=8000
JR_NODES=1
JR_NAMED=''
JR_HOLD=300
JR_DONE=.justright-complete
JR_UV=0.13.9
JR_UV_MIN=0.9
JR_ENV_KEY=064122cda990b5df
JR_PYTHONS=3.12
JR_PYTHON_FETCH=0
JR_REQUIREMENTS='sglang==0.5.9
torch==2.9.1'
JR_OVERRIDES=''
JR_EXCLUDES=''
JR_MODULES=sglang.launch_server
JR_INDEX_URLS=''
JR_TORCH_BACKEND=''
JR_AS_OF=''
JR_AS_OF_BUT=''
JR_LOCK=''
JR_LOCAL_MODEL=''
JR_MODEL_ID=org/m
JR_REVISION=main
JR_MODEL_DIR=org--m@main
JR_GPUS=1
JR_MIN_CUDA=''
JR_MIN_DRIVER=''
JR_MIN_CAPABILITY=''
JR_GPU_MIB=0
JR_GPU_PERCENT=90
JR_ENV_MIB=14000
JR_WEIGHTS_MIB=0
JR_SHM_MIB=0
…
…
exec_engine() {
set -- python3 -m sglang.launch_server --model-path "$JR_MODEL" --served-model-name org/m --host 0.0.0.0 --port "$JR_PORT"
[ "$JR_DOOR" = 0 ] || set -- "$@" --middleware justright_door.Door
exec "$JR_PY3" -c "$JR_POD" engine "$@"
}

# start string without a replaced entrypoint:
# /bin/sh -c '(packed)
# secret: VLLM_API_KEY: the key that clients of the endpoint must send
