// @ts-check
/** Server-sent events over fetch, because EventSource cannot carry a key. Takes up again where a line broke, and says so. */

import { ApiError, request } from "./api.js";

const LAST = new Set(["succeeded", "failed", "canceled"]);
const PAUSE = 700;

/**
 * @typedef {object} Told
 * @property {string} type the server's, or "lost" and "back"
 * @property {any} data
 */

/**
 * @param {string} path
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Told>}
 */
export async function* follow(path, signal) {
  let after = "";
  let lost = false;
  while (!signal.aborted) {
    try {
      const headers = after ? { "Last-Event-ID": after } : undefined;
      const response = await request(path, { signal, headers });
      if (lost) yield { type: "back", data: {} };
      lost = false;
      for await (const event of parse(response, signal)) {
        if (event.id) after = event.id;
        yield { type: event.type, data: event.data };
        if (LAST.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429) throw error;
      lost = true;
      yield { type: "lost", data: {} };
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

/**
 * @param {Response} response
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{type: string, id: string, data: any}>}
 */
async function* parse(response, signal) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    while (!signal.aborted) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + decoder.decode(value, { stream: true })).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const event = { type: "message", id: "", data: "" };
        for (const line of block.split("\n")) {
          if (line.startsWith("id: ")) event.id = line.slice(4);
          else if (line.startsWith("event: ")) event.type = line.slice(7);
          else if (line.startsWith("data: ")) event.data += line.slice(6);
        }
        if (event.data) yield { ...event, data: JSON.parse(event.data) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
