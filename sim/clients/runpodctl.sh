#!/bin/sh
# Drives runpodctl, where a binary of it is at hand, against a simulator.
# Usage: runpodctl.sh RUNPODCTL BASE-URL
set -u
CTL=$1 BASE=$2
HOME=$(mktemp -d)
trap 'rm -rf "$HOME"' EXIT
export HOME RUNPOD_API_KEY=any-key RUNPOD_API_URL="$BASE/v1" RUNPOD_GRAPHQL_URL="$BASE/graphql"
FAILED=0

# expect STEP TEXT COMMAND... runs a command and looks for a text in what it prints.
expect() {
  STEP=$1 TEXT=$2
  shift 2
  OUT=$("$@" 2>&1)
  case $OUT in
  *"$TEXT"*) echo "client runpodctl ok $STEP" ;;
  *)
    echo "client runpodctl FAIL $STEP: $OUT"
    FAILED=1
    ;;
  esac
}

expect "user" '"clientBalance"' "$CTL" user
expect "gpu list" 'RTX 4090' "$CTL" gpu list
expect "datacenter list" 'EU-RO-1' "$CTL" datacenter list
OUT=$("$CTL" pod create --name ctl-pod --image vllm/vllm-openai:v0.19.1 --gpu-id "NVIDIA L4" --min-cuda-version 12.9 --ports 8000/http,22/tcp \
  --docker-args "Qwen/Qwen3-0.6B --max-model-len 4096" --env '{"VLLM_API_KEY":"sk-ctl"}' 2>&1)
ID=$(printf '%s' "$OUT" | sed -n 's/.*"id": *"\([a-z0-9]\{14\}\)".*/\1/p' | head -n 1)
if [ -n "$ID" ]; then echo "client runpodctl ok pod create $ID"; else
  echo "client runpodctl FAIL pod create: $OUT"
  exit 1
fi
expect "pod list" "$ID" "$CTL" pod list
expect "pod get" '"imageName"' "$CTL" pod get "$ID"
expect "pod stop" 'EXITED' "$CTL" pod stop "$ID"
expect "pod start" 'RUNNING' "$CTL" pod start "$ID"
expect "pod update" 'renamed' "$CTL" pod update "$ID" --name renamed
expect "legacy get pod" "$ID" "$CTL" get pod "$ID"
expect "legacy stop pod" 'stopped' "$CTL" stop pod "$ID"
expect "network-volume create" 'ctl-volume' "$CTL" network-volume create --name ctl-volume --size 20 --data-center-id EU-RO-1
expect "template list" 'Runpod' "$CTL" template list --type official
expect "pod delete" '"deleted": true' "$CTL" pod delete "$ID"
case $("$CTL" pod list --all 2>&1) in
*"$ID"*)
  echo "client runpodctl FAIL pod list after delete"
  FAILED=1
  ;;
*) echo "client runpodctl ok pod list after delete" ;;
esac
expect "pod create from a template" '"id"' "$CTL" pod create --template-id runpod-torch-v21 --name ctl-template --gpu-id "NVIDIA L4"
expect "serverless list" '[]' "$CTL" serverless list
expect "registry list" '[]' "$CTL" registry list
expect "billing" "$ID" "$CTL" billing pods

# The grammar of old, which images still carry, and whose --args the seed of this program fought with.
expect "legacy create pod" 'created for $0.' "$CTL" create pod --name ctl-old --imageName vllm/vllm-openai:v0.6.3.post1 --gpuType "NVIDIA L4" \
  --args "--model openai/gpt-oss-20b" --ports 8000/http --env "A=b" --containerDiskSize 20 --secureCloud
OLD=$("$CTL" get pod 2>/dev/null | awk '$2 == "ctl-old" {print $1}')
expect "legacy get one pod" 'vllm/vllm-openai:v0.6.3.post1' "$CTL" get pod "$OLD"
expect "legacy stop and start" 'started' sh -c '"$1" stop pod "$2" && "$1" start pod "$2"' - "$CTL" "$OLD"
expect "legacy get cloud" 'NVIDIA' "$CTL" get cloud 1
expect "legacy remove pod" 'removed' "$CTL" remove pod "$OLD"
expect "legacy remove pods by name" '1 pods removed' "$CTL" remove pods ctl-template
expect "pod create without stock" 'no longer any instances' "$CTL" pod create --image runpod/base:1.0.2-ubuntu2404 --gpu-id "NVIDIA A30"
exit $FAILED
