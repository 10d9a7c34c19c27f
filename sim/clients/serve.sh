#!/bin/sh
# Runs OpenAI's own clients, unmodified, against `justright serve` before the simulated RunPod: the Python one (PyPI) wakes a model,
# the Node one (npm) another. They are installed once into a cache directory; nothing outside it is touched.
# Usage: serve.sh [JUSTRIGHT]
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=${JUSTRIGHT_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/justright/clients}
PY=3.57.0
NODE=6.49.0
ONE=openai/gpt-oss-20b
TWO=Qwen/Qwen3-8B
mkdir -p "$CACHE"
FAILED=0
JUSTRIGHT=${1:-}
if [ -z "$JUSTRIGHT" ]; then
  JUSTRIGHT=$CACHE/justright
  (cd "$ROOT" && go build -o "$JUSTRIGHT" ./cmd/justright) || exit 1
fi
WORK=$(mktemp -d)
SIM= SERVE=
stop() {
  [ -z "$SERVE" ] || { kill "$SERVE" 2>/dev/null && wait "$SERVE" 2>/dev/null; }
  [ -z "$SIM" ] || { kill "$SIM" 2>/dev/null && wait "$SIM" 2>/dev/null; }
  rm -rf "$WORK"
}
trap stop EXIT
trap 'exit 130' INT TERM

# hello FILE: the url in the first line of what was started.
hello() {
  I=0
  while [ ! -s "$1" ] && [ $I -lt 300 ]; do
    sleep 0.1
    I=$((I + 1))
  done
  sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$1" | head -n 1
}

# begin: one simulator and one gateway a client. The boots last long enough for the gateway to speak meanwhile.
begin() {
  [ -z "$SERVE" ] || { kill "$SERVE" && wait "$SERVE"; }
  [ -z "$SIM" ] || { kill "$SIM" && wait "$SIM"; }
  rm -rf "$WORK/state" "$WORK/sim" "$WORK/serve"
  "$JUSTRIGHT" sim --quiet --delays 0.06 >"$WORK/sim" &
  SIM=$!
  URL=$(hello "$WORK/sim")
  export RUNPOD_API_BASE_URL="$URL" RUNPOD_API_KEY=rpa_CLIENTS JUSTRIGHT_STATE_DIR="$WORK/state"
  "$JUSTRIGHT" serve --json --quiet --listen 127.0.0.1:0 --on runpod --yes "$ONE" "$TWO" >"$WORK/serve" 2>"$WORK/serve.log" &
  SERVE=$!
  BASE=$(hello "$WORK/serve")/v1
  [ "$BASE" != /v1 ] || {
    echo "client serve FAIL start"
    tail -n 5 "$WORK/serve.log"
    exit 1
  }
  KEY=$(cat "$WORK/state/keys/serve")
}

# clear_up NAME: after down nothing bills, and neither key stands in what the gateway said.
clear_up() {
  "$JUSTRIGHT" down --all >/dev/null 2>&1
  BILLING=$( (curl -fsS "$URL/_sim/ledger" 2>/dev/null || python3 -c 'import sys,urllib.request;print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$URL/_sim/ledger") |
    sed -n 's/.*],"billing":\([0-9]*\).*/\1/p')
  if [ "$BILLING" = 0 ]; then echo "client $1 ok nothing bills"; else
    echo "client $1 FAIL nothing bills: $BILLING pods do"
    FAILED=1
  fi
  if grep -qF -e "$KEY" -e rpa_CLIENTS "$WORK/serve" "$WORK/serve.log"; then
    echo "client $1 FAIL no key in the output"
    FAILED=1
  fi
}

if command -v python3 >/dev/null 2>&1; then
  PYTHON=$CACHE/openai-$PY/bin/python
  if [ ! -x "$PYTHON" ] || ! "$PYTHON" -c 'import openai' 2>/dev/null; then
    python3 -m venv "$CACHE/openai-$PY" && "$PYTHON" -m pip install -q "openai==$PY" >"$WORK/pip.log" 2>&1 ||
      { echo "client openai-python FAIL install"; tail -n 5 "$WORK/pip.log"; FAILED=1; }
  fi
  begin
  HOME=$WORK "$PYTHON" "$HERE/openai_client.py" "$BASE" "$KEY" "$ONE" "$TWO" || FAILED=1
  clear_up openai-python
else
  echo "client openai-python skipped: no python3 here"
fi

if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
  DIR=$CACHE/openai-node-$NODE
  if [ ! -f "$DIR/node_modules/openai/index.mjs" ]; then
    mkdir -p "$DIR" && (cd "$DIR" && npm init -y >/dev/null 2>&1 && npm install --no-audit --no-fund --ignore-scripts "openai@$NODE" >"$WORK/npm.log" 2>&1) ||
      { echo "client openai-node FAIL install"; tail -n 5 "$WORK/npm.log"; FAILED=1; }
  fi
  begin
  node "$HERE/openai_client.mjs" "$DIR/node_modules/openai/index.mjs" "$BASE" "$KEY" "$ONE" "$TWO" || FAILED=1
  clear_up openai-node
else
  echo "client openai-node skipped: no node and npm here"
fi
[ $FAILED = 0 ] && echo "clients of serve ok"
exit $FAILED
