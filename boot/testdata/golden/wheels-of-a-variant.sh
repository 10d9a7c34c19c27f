#!/bin/sh
# justright boot script for vllm==0.19.1 by wheels
JR_AGENT='justright/1 (boot)'
JR_ENGINE='vllm==0.19.1'
JR_INSTALL=wheels
JR_ROOT=''
JR_PORT=8000
JR_NODES=1
JR_NAMED=''
JR_HOLD=300
JR_DONE=.justright-complete
JR_UV=0.13.9
JR_UV_MIN=0.9
JR_ENV_KEY=267ff6003615c360
JR_PYTHONS=3.12
JR_PYTHON_FETCH=1
JR_REQUIREMENTS='vllm==0.19.1
transformers==5.1.0'
JR_OVERRIDES=''
JR_EXCLUDES=''
JR_MODULES='vllm.entrypoints.openai.api_server vllm.entrypoints.cli.main vllm.v1.engine.core vllm.v1.engine.async_llm vllm.v1.executor.multiproc_executor vllm.v1.worker.cpu_worker vllm.v1.worker.gpu_worker'
JR_INDEX_URLS=https://wheels.vllm.ai/0.19.1/cu129
JR_TORCH_BACKEND=cu129
JR_AS_OF=''
JR_AS_OF_BUT=''
JR_LOCK=''
JR_LOCAL_MODEL=''
JR_MODEL_ID=openai/gpt-oss-20b
JR_REVISION=6666666666666666666666666666666666666666
JR_MODEL_DIR=openai--gpt-oss-20b@6666666666666666666666666666666666666666
JR_GPUS=1
JR_MIN_CUDA=12.1
JR_MIN_DRIVER=''
JR_MIN_CAPABILITY=8.0
JR_GPU_MIB=22855
JR_GPU_PERCENT=92
JR_ENV_MIB=14000
JR_WEIGHTS_MIB=13379
JR_SHM_MIB=0
…
…
exec_engine() {
set -- vllm serve "$JR_MODEL" --served-model-name openai/gpt-oss-20b --revision 6666666666666666666666666666666666666666 --gpu-memory-utilization 0.92 --host 0.0.0.0 --port "$JR_PORT"
[ "$JR_DOOR" = 0 ] || set -- "$@" --middleware justright_door.Door
exec "$JR_PY3" -c "$JR_POD" engine "$@"
}

# start string without a replaced entrypoint:
# /bin/sh -c '(packed)
# secret: VLLM_API_KEY: the key that clients of the endpoint must send
