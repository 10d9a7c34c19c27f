"""Drives RunPod's own Python SDK, as it comes from PyPI, against a simulator.

Usage: RUNPOD_API_BASE_URL=URL python sdk.py   (the SDK reads the variable when it is imported)
"""

import os
import sys
import time
import urllib.request

import runpod
from runpod import error

BASE = os.environ["RUNPOD_API_BASE_URL"]
runpod.api_key = "any-key"
failed = False


def check(step, ok, detail=""):
    global failed
    failed = failed or not ok
    print(("client python-sdk %s %s %s" % ("ok" if ok else "FAIL", step, detail)).rstrip(), flush=True)


def main():
    gpus = runpod.get_gpus()
    check("get_gpus", any(g["id"] == "NVIDIA GeForce RTX 4090" for g in gpus), len(gpus))
    gpu = runpod.get_gpu("NVIDIA L4")
    check("get_gpu", gpu["memoryInGb"] == 24 and gpu["lowestPrice"]["uninterruptablePrice"] > 0)

    pod = runpod.create_pod(
        "sdk-pod", "vllm/vllm-openai:v0.19.1", "NVIDIA L4", cloud_type="SECURE", container_disk_in_gb=60, ports="8000/http,22/tcp",
        docker_args="Qwen/Qwen3-0.6B --max-model-len 4096", env={"VLLM_API_KEY": "sk-sdk"}, allowed_cuda_versions=["12.9", "13.0"],
    )
    pod_id = pod["id"]
    check("create_pod", len(pod_id) == 14, pod_id)
    check("get_pods", any(p["id"] == pod_id for p in runpod.get_pods()))
    for _ in range(100):
        got = runpod.get_pod(pod_id)
        if got["runtime"]:
            break
        time.sleep(0.2)
    ports = {p["privatePort"] for p in got["runtime"]["ports"]}
    check("get_pod", got["desiredStatus"] == "RUNNING" and ports == {8000, 22} and "VLLM_API_KEY=sk-sdk" in got["env"])

    status = 0
    for _ in range(60):
        try:
            q = urllib.request.Request("%s/proxy/%s/8000/v1/models" % (BASE, pod_id), headers={"Authorization": "Bearer sk-sdk"})
            status = urllib.request.urlopen(q, timeout=5).status
            break
        except OSError:
            time.sleep(0.2)
    check("proxy", status == 200)

    check("stop_pod", runpod.stop_pod(pod_id)["desiredStatus"] == "EXITED")
    check("resume_pod", runpod.resume_pod(pod_id, 1)["desiredStatus"] == "RUNNING")
    runpod.terminate_pod(pod_id)
    check("terminate_pod", all(p["id"] != pod_id for p in runpod.get_pods()))
    try:
        runpod.terminate_pod(pod_id)
        check("terminate_pod again", False)
    except error.QueryError as e:
        check("terminate_pod again", "pod not found to terminate" in str(e))
    try:
        runpod.create_pod("none", "runpod/base:1.0.2-ubuntu2404", "NVIDIA A30")
        check("create_pod without stock", False)
    except error.QueryError as e:
        check("create_pod without stock", "no longer any instances" in str(e))

    cpu = runpod.create_pod("cpu", "runpod/base:1.0.2-ubuntu2404", instance_id="cpu3c-2-4")
    check("create_pod cpu", len(cpu["id"]) == 14)
    runpod.terminate_pod(cpu["id"])
    template = runpod.create_template("sdk-template", "runpod/base:1.0.2-ubuntu2404", docker_start_cmd="sleep infinity")
    check("create_template", template["name"] == "sdk-template")
    auth = runpod.create_container_registry_auth("sdk-auth", "user", "word")
    check("create_container_registry_auth", auth["name"] == "sdk-auth")
    runpod.delete_container_registry_auth(auth["id"])
    check("get_user", runpod.get_user()["id"] != "")


try:
    main()
except Exception as e:  # whatever it is, it is a failure of this client
    check("run", False, "%s: %s" % (type(e).__name__, str(e)[:500]))
sys.exit(1 if failed else 0)
