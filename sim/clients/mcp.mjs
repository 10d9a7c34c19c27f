// Drives RunPod's own MCP server, as it comes from npm, over stdio against a simulator.
// Usage: node mcp.mjs PATH-OF-stdio.mjs BASE-URL
import { spawn } from "node:child_process";

const [server, base] = process.argv.slice(2);
const child = spawn(process.execPath, [server], {
  env: { ...process.env, RUNPOD_API_KEY: "any-key", RUNPOD_API_BASE_URL: base },
  stdio: ["pipe", "pipe", "pipe"],
});
let said = "";
child.stderr.on("data", (d) => (said += d));
const waiting = new Map();
let buffer = "";
let last = 0;
child.stdout.on("data", (d) => {
  buffer += d;
  for (let i; (i = buffer.indexOf("\n")) >= 0; ) {
    const line = buffer.slice(0, i).trim();
    buffer = buffer.slice(i + 1);
    if (!line) continue;
    const m = JSON.parse(line);
    waiting.get(m.id)?.(m);
    waiting.delete(m.id);
  }
});

function request(method, params) {
  const id = ++last;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${method}: no answer in 60 s\n${said}`)), 60000);
    waiting.set(id, (m) => {
      clearTimeout(timer);
      m.error ? reject(new Error(`${method}: ${JSON.stringify(m.error)}`)) : resolve(m.result);
    });
    child.stdin.write(JSON.stringify({ jsonrpc: "2.0", id, method, params }) + "\n");
  });
}

// tool calls a tool and returns its answer's text, parsed when it is JSON.
async function tool(name, args, wantError = false) {
  const r = await request("tools/call", { name, arguments: args });
  const text = (r.content ?? []).map((c) => c.text ?? "").join("\n");
  if (Boolean(r.isError) !== wantError) throw new Error(`${name}: isError ${r.isError}: ${text}`);
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function check(step, ok, detail) {
  console.log(`client mcp-server ${ok ? "ok" : "FAIL"} ${step} ${detail ?? ""}`.trim());
  if (!ok) process.exitCode = 1;
}

const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const find = (v, id) => JSON.stringify(v).includes(id);

try {
  const hello = await request("initialize", {
    protocolVersion: "2024-11-05", capabilities: {}, clientInfo: { name: "justright-clients", version: "1" },
  });
  child.stdin.write(JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }) + "\n");
  check("start", true, hello.serverInfo.version);

  const gpus = await tool("list-gpu-types", { include: ["AVAILABILITY"], product: ["POD"] });
  check("list-gpu-types", find(gpus, "NVIDIA GeForce RTX 4090") && find(gpus, "cudaVersions"));
  const dcs = await tool("list-data-centers", { include: ["GPU_AVAILABILITY"] });
  check("list-data-centers", find(dcs, "EU-RO-1"));

  const body = {
    name: "mcp-pod", image: "vllm/vllm-openai:v0.19.1", disk: 60, ports: ["8000/http", "22/tcp"],
    args: "Qwen/Qwen3-0.6B --max-model-len 4096", env: { VLLM_API_KEY: "sk-mcp" },
    gpu: { id: "NVIDIA L4", count: 1, minCudaVersion: "12.9" },
  };
  const pod = await tool("create-pod", { body });
  const id = JSON.stringify(pod).match(/"id":\s*"([a-z0-9]{14})"/)?.[1];
  check("create-pod", Boolean(id), id);
  check("list-pods", find(await tool("list-pods", {}), id));

  let logs = "";
  for (let i = 0; i < 60 && !logs.includes("Application startup complete"); i++) {
    logs = JSON.stringify(await tool("stream-pod-logs", { podId: id, tail: 200, maxWaitMs: 500 }));
    await sleep(300);
  }
  check("stream-pod-logs", logs.includes("Application startup complete") && logs.includes("start container"));
  const got = await tool("get-pod", { id });
  check("get-pod", find(got, "RUNNING") && find(got, '"uptime"'));
  const models = await fetch(`${base}/proxy/${id}/8000/v1/models`, { headers: { Authorization: "Bearer sk-mcp" } });
  check("proxy", models.status === 200 && (await models.text()).includes("Qwen3-0.6B"));

  check("pod-action stop", find(await tool("pod-action", { id, body: { action: "stop" } }), "EXITED"));
  check("pod-action stop again", find(await tool("pod-action", { id, body: { action: "stop" } }, true), "409"));
  await tool("pod-action", { id, body: { action: "start" } });
  check("pod-action start", !find(await tool("get-pod", { id }), "EXITED"));
  await tool("update-pod", { id, body: { name: "renamed" } });
  check("update-pod", find(await tool("get-pod", { id }), "renamed"));
  await tool("delete-pod", { id });
  check("delete-pod", !find(await tool("list-pods", {}), id));
  check("get-pod after", find(await tool("get-pod", { id }, true), "404"));

  const full = await tool("create-pod", { body: { ...body, gpu: { id: "NVIDIA A30", count: 1 } } }, true);
  check("create-pod without stock", find(full, "no longer any instances"));
  const bad = await tool("create-pod", { body: { ...body, image: "vllm/vllm-openai:v9.9.9" } }, true);
  check("create-pod of a missing image", find(bad, "was not found on the registry"));

  const volume = await tool("create-network-volume", { body: { name: "v", size: 20, dataCenter: "EU-RO-1" } });
  const vid = JSON.stringify(volume).match(/"id":\s*"([a-z0-9]{10})"/)?.[1];
  check("create-network-volume", Boolean(vid), vid);
  await tool("delete-network-volume", { id: vid });
  check("delete-network-volume", !find(await tool("list-network-volumes", {}), vid));
  const bill = await tool("list-pod-billing", { bucketSize: "hour", lastN: 2 });
  check("list-pod-billing", find(bill, id));
} catch (e) {
  check("run", false, String(e.message ?? e).slice(0, 600));
} finally {
  child.kill();
}
