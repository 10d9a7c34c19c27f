#!/bin/sh
# Runs clients that nobody here wrote, unmodified, against the simulator: RunPod's MCP server (npm, REST v2), RunPod's
# Python SDK (PyPI, GraphQL), and runpodctl (REST v1 and GraphQL): the binary of RUNPODCTL or the PATH, else one built from
# RUNPODCTL_SOURCE, a git address or checkout (its own at GitHub when not said), where that can be reached.
# They are installed once into a cache directory; nothing outside it is touched.
# A client that cannot be had here is skipped, but those that CLIENTS_WANTED names fail.
# Usage: run.sh [JUSTRIGHT]
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=${JUSTRIGHT_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/justright/clients}
MCP=4.0.0
SDK=1.12.0
CTL_VERSION=v2.7.2
mkdir -p "$CACHE"
FAILED=0
JUSTRIGHT=${1:-}
if [ -z "$JUSTRIGHT" ]; then
  JUSTRIGHT=$CACHE/justright
  (cd "$ROOT" && go build -o "$JUSTRIGHT" ./cmd/justright) || exit 1
fi

WORK=$(mktemp -d)
SIM=
stop() {
  [ -z "$SIM" ] || { kill "$SIM" 2>/dev/null && wait "$SIM" 2>/dev/null; }
  rm -rf "$WORK"
}
trap stop EXIT
trap 'exit 130' INT TERM

# One simulator a client, so that none sees another's pods.
start_sim() {
  [ -z "$SIM" ] || { kill "$SIM" && wait "$SIM"; }
  : >"$WORK/hello"
  "$JUSTRIGHT" sim --quiet >"$WORK/hello" &
  SIM=$!
  I=0
  while [ ! -s "$WORK/hello" ] && [ $I -lt 100 ]; do
    sleep 0.1
    I=$((I + 1))
  done
  URL=$(sed -n 's/.*"url":"\([^"]*\)".*/\1/p' "$WORK/hello")
  [ -n "$URL" ] || { echo "client simulator FAIL start"; exit 1; }
}

fetch() {
  if command -v curl >/dev/null 2>&1; then curl -fsS "$1"; else
    python3 -c 'import sys,urllib.request;print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$1"
  fi
}

# skip says why a client is not run.
skip() {
  case " ${CLIENTS_WANTED:-} " in
  *" $1 "*)
    echo "client $1 FAIL $2"
    FAILED=1
    ;;
  *) echo "client $1 skipped: $2" ;;
  esac
}

# ledger_clear says that nothing is left that costs money.
ledger_clear() {
  BILLING=$(fetch "$URL/_sim/ledger" | sed -n 's/.*],"billing":\([0-9]*\).*/\1/p')
  if [ "$BILLING" = 0 ]; then echo "client $1 ok nothing bills"; else
    echo "client $1 FAIL nothing bills: $BILLING pods do"
    FAILED=1
  fi
}

if command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1; then
  SERVER=$CACHE/mcp-$MCP/node_modules/@runpod/mcp-server/dist/stdio.mjs
  if [ ! -f "$SERVER" ]; then
    mkdir -p "$CACHE/mcp-$MCP" && (cd "$CACHE/mcp-$MCP" && npm init -y >/dev/null 2>&1 && npm install --no-audit --no-fund --ignore-scripts "@runpod/mcp-server@$MCP" >"$WORK/npm.log" 2>&1) ||
      { echo "client mcp-server FAIL install"; tail -n 5 "$WORK/npm.log"; FAILED=1; }
  fi
  start_sim
  node "$HERE/mcp.mjs" "$SERVER" "$URL" || FAILED=1
  ledger_clear mcp-server
else
  skip mcp-server "no node and npm here"
fi

if command -v python3 >/dev/null 2>&1; then
  PYTHON=$CACHE/sdk-$SDK/bin/python
  if [ ! -x "$PYTHON" ] || ! "$PYTHON" -c 'import runpod' 2>/dev/null; then
    python3 -m venv "$CACHE/sdk-$SDK" && "$PYTHON" -m pip install -q "runpod==$SDK" >"$WORK/pip.log" 2>&1 ||
      { echo "client python-sdk FAIL install"; tail -n 5 "$WORK/pip.log"; FAILED=1; }
  fi
  start_sim
  HOME=$WORK RUNPOD_API_BASE_URL=$URL "$PYTHON" "$HERE/sdk.py" || FAILED=1
  ledger_clear python-sdk
else
  skip python-sdk "no python3 here"
fi

CTL=${RUNPODCTL:-$(command -v runpodctl 2>/dev/null)}
if [ -z "$CTL" ]; then
  CTL=$CACHE/runpodctl-$CTL_VERSION
  [ -x "$CTL" ] || {
    git -c advice.detachedHead=false clone -q --depth 1 --branch "$CTL_VERSION" "${RUNPODCTL_SOURCE:-https://github.com/runpod/runpodctl}" "$WORK/runpodctl" 2>"$WORK/git.log" &&
      (cd "$WORK/runpodctl" && go build -o "$CTL" .)
  } || CTL=
fi
if [ -n "$CTL" ]; then
  start_sim
  sh "$HERE/runpodctl.sh" "$CTL" "$URL" || FAILED=1
  ledger_clear runpodctl
else
  skip runpodctl "neither a binary (RUNPODCTL=PATH) nor its source (RUNPODCTL_SOURCE=GIT) can be had: $(tail -n 1 "$WORK/git.log")"
fi
[ $FAILED = 0 ] && echo "clients ok"
exit $FAILED
