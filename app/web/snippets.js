// @ts-check
/** The request behind a turn, as somebody would write it. */

/**
 * @param {any} turn
 * @param {string} origin of the server
 * @returns {Record<string, string>}
 */
export function snippets(turn, origin) {
  const { preview_every: _live, ...options } = turn.options;
  const said = turn.instruction;
  return { curl: curl(said, options, origin), Python: python(said, options, origin), "OpenAI SDK": openai(said, options, origin) };
}

/**
 * @param {string} text
 * @returns {string} quoted for a POSIX shell
 */
function shell(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function literal(value) {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([name, inner]) => `${literal(name)}: ${literal(inner)}`).join(", ")}}`;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  return JSON.stringify(value);
}

/**
 * @param {string} said
 * @param {Record<string, any>} options
 * @param {string} origin
 */
function curl(said, options, origin) {
  return [
    `curl ${origin}/v1/edits \\`,
    `  -H "Authorization: Bearer $BRUSHEDIT_API_KEY" -H "Prefer: wait=120" \\`,
    `  -F image=@picture.png \\`,
    `  -F instruction=${shell(said)} \\`,
    `  -F options=${shell(JSON.stringify(options))}`,
  ].join("\n");
}

/**
 * @param {string} said
 * @param {Record<string, any>} options
 * @param {string} origin
 */
function python(said, options, origin) {
  return `import json
import os
from pathlib import Path

import httpx

client = httpx.Client(
    base_url=${literal(origin)},
    headers={"Authorization": f"Bearer {os.environ.get('BRUSHEDIT_API_KEY', '')}"},
    timeout=120,
)
edit = client.post(
    "/v1/edits",
    headers={"Prefer": "wait=120"},
    files={"image": Path("picture.png").read_bytes()},
    data={"instruction": ${literal(said)}, "options": json.dumps(${literal(options)})},
).raise_for_status().json()
Path("edited.png").write_bytes(client.get(edit["images"][0]["url"]).content)`;
}

/**
 * @param {string} said
 * @param {Record<string, any>} options
 * @param {string} origin
 */
function openai(said, options, origin) {
  const { samples, ...rest } = options;
  return `import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=${literal(`${origin}/v1`)}, api_key=os.environ.get("BRUSHEDIT_API_KEY", "none"))
answer = client.images.edit(
    model="brushedit",
    image=Path("picture.png"),
    prompt=${literal(said)},
    n=${literal(samples ?? 1)},
    extra_body=${literal(rest)},
)
Path("edited.png").write_bytes(base64.b64decode(answer.data[0].b64_json))`;
}
