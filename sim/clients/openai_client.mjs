// OpenAI's own Node client, unmodified, against `justright serve`. Usage: openai_client.mjs PACKAGE BASE_URL KEY MODEL SLEEPING.
import { pathToFileURL } from "node:url";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [, , entry, baseURL, apiKey, model, sleeping] = process.argv;
const { default: OpenAI } = await import(pathToFileURL(entry));
const version = JSON.parse(readFileSync(join(dirname(entry), "package.json"))).version;
const client = new OpenAI({ baseURL, apiKey });
let failed = 0;

async function test(name, f) {
  const began = Date.now();
  try {
    const said = await f();
    console.log(`client openai-node ${version} ok ${name} ${((Date.now() - began) / 1000).toFixed(1)} s ${said ?? ""}`);
  } catch (e) {
    failed++;
    console.log(`client openai-node ${version} FAIL ${name}: ${e.name}: ${e.message}`);
  }
}

function must(truth, ...what) {
  if (!truth) throw new Error(what.map((w) => JSON.stringify(w)).join(" "));
}

async function fails(f, status, code) {
  try {
    await f();
  } catch (e) {
    must(e.status === status && e.code === code, e.status, e.code, e.message);
    return e;
  }
  throw new Error(`no ${status}`);
}

const ask = (more = {}, options = {}) => client.chat.completions.create({ messages: [{ role: "user", content: "Say one word." }], max_tokens: 8, model, ...more }, options);

await test("a stream of a model that sleeps", async () => {
  // The raw bytes beside what the client makes of them: comments while it wakes, then the answer.
  const raw = await fetch(`${baseURL}/chat/completions`, {
    method: "POST", headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: sleeping, stream: true, max_tokens: 8, messages: [{ role: "user", content: "x" }] }),
  });
  const both = Promise.all([raw.text(), (async () => {
    let text = "";
    for await (const chunk of await ask({ model: sleeping, stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
    return text;
  })()]);
  const [bytes, text] = await both;
  const comments = bytes.split("\n").filter((l) => l.startsWith(": waking"));
  must(text && bytes.trimEnd().endsWith("data: [DONE]"), text, bytes.slice(-200));
  must(comments.length > 0, "no comment came while it woke", bytes.slice(0, 200));
  return `${comments.length} comments, the first "${comments[0]}"`;
});
await test("an answer", async () => must((await ask()).choices[0].message.content));
await test("models", async () => {
  const ids = [];
  for await (const m of client.models.list()) ids.push(m.id);
  must(ids.includes(model) && ids.includes(sleeping), ids);
  must((await client.models.retrieve(model)).id === model);
});
await test("a stream that is given up", async () => {
  const stream = await ask({ stream: true, max_tokens: 4096 });
  for await (const chunk of stream) {
    must(chunk.id);
    break;
  }
});
await test("a wrong key", async () => void (await fails(() => new OpenAI({ baseURL, apiKey: "wrong" }).models.list(), 401, "invalid_api_key")));
await test("an unknown model", async () => must((await fails(() => ask({ model: "no/such" }), 404, "model_not_found")).message.includes(model)));
await test("an engine's own error", async () => must(/Field required/.test((await fails(() => ask({ messages: [] }), 400, 400)).message)));
process.exit(failed ? 1 : 0);
