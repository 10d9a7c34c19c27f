#!/bin/sh
# justright boot script for vllm==0.6.3.post1 by image
JR_AGENT='justright/1 (boot)'
JR_ENGINE='vllm==0.6.3.post1'
JR_INSTALL=image
JR_ROOT=''
JR_PORT=8000
JR_NODES=1
JR_NAMED=''
JR_HOLD=300
JR_DONE=.justright-complete
JR_UV=0.13.9
JR_UV_MIN=0.9
JR_ENV_KEY=0b04cc481f99a371
JR_PYTHONS=''
JR_PYTHON_FETCH=0
JR_REQUIREMENTS=''
JR_OVERRIDES=''
JR_EXCLUDES=''
JR_MODULES='vllm.entrypoints.openai.api_server vllm.entrypoints.cli.main vllm.v1.engine.core vllm.v1.engine.async_llm vllm.v1.executor.multiproc_executor vllm.v1.worker.cpu_worker vllm.v1.worker.gpu_worker'
JR_INDEX_URLS=''
JR_TORCH_BACKEND=''
JR_AS_OF=''
JR_AS_OF_BUT=''
JR_LOCK=''
JR_LOCAL_MODEL=''
JR_MODEL_ID=Qwen/Qwen2.5-7B-Instruct
JR_REVISION=main
JR_MODEL_DIR=Qwen--Qwen2.5-7B-Instruct@main
JR_GPUS=1
JR_MIN_CUDA=''
JR_MIN_DRIVER=''
JR_MIN_CAPABILITY=''
JR_GPU_MIB=22855
JR_GPU_PERCENT=90
JR_ENV_MIB=14000
JR_WEIGHTS_MIB=0
JR_SHM_MIB=0
…
…
exec_engine() {
set -- python3 -m vllm.entrypoints.openai.api_server --model "$JR_MODEL" --served-model-name Qwen/Qwen2.5-7B-Instruct --host 0.0.0.0 --port "$JR_PORT"
[ "$JR_DOOR" = 0 ] || set -- "$@" --middleware justright_door.Door
exec "$JR_PY3" -c "$JR_POD" engine "$@"
}

# start string without a replaced entrypoint:
# --model Qwen/Qwen2.5-7B-Instruct --port 8000
# secret: VLLM_API_KEY: the key that clients of the endpoint must send
# secret: HF_TOKEN: the model is gated; the engine does not inherit it
