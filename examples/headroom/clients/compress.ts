// Shrinks a conversation with a running `headroom proxy`: node compress.ts [URL] < messages.json
// (Node 22.18 runs TypeScript as it is; before: node --experimental-strip-types, or rename to .mjs)
import { readFileSync } from "node:fs";

const url = process.argv[2] ?? "http://127.0.0.1:8787";
const ask = { messages: JSON.parse(readFileSync(0, "utf8")), model: "claude-opus-5-5", retrievable: true };
const headers = { "content-type": "application/json" };
const response = await fetch(`${url}/v1/compress`, { method: "POST", headers, body: JSON.stringify(ask) });
if (!response.ok) throw new Error(await response.text());
const { messages, tool, report } = await response.json();
console.log(JSON.stringify(messages)); // send these, with `tool` listed last
console.error(report.tokens_saved, "tokens saved;", tool.name ?? tool.function.name, "is to be listed");
