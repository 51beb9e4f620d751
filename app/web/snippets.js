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
  // Where nothing had to be found, a person gave the mask, and without it this would be another edit.
  const mask = turn.regions[0] && !turn.regions[0].candidates.length ? turn.regions[0].mask_url : null;
  return { curl: curl(said, options, origin, mask), Python: python(said, options, origin, mask), "OpenAI SDK": openai(said, options, origin, mask) };
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
 * @param {string | null} mask its address
 */
function curl(said, options, origin, mask) {
  return [
    ...(mask ? [`curl ${origin}${mask} -H "Authorization: Bearer $BRUSHEDIT_API_KEY" -o mask.png`] : []),
    `curl ${origin}/v1/edits \\`,
    `  -H "Authorization: Bearer $BRUSHEDIT_API_KEY" -H "Prefer: wait=120" \\`,
    `  -F image=@picture.png \\`,
    ...(mask ? [`  -F mask=@mask.png \\`] : []),
    `  -F instruction=${shell(said)} \\`,
    `  -F options=${shell(JSON.stringify(options))}`,
  ].join("\n");
}

/**
 * @param {string} said
 * @param {Record<string, any>} options
 * @param {string} origin
 * @param {string | null} mask its address
 */
function python(said, options, origin, mask) {
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
    files={"image": Path("picture.png").read_bytes()${mask ? `, "mask": client.get(${literal(mask)}).content` : ""}},
    data={"instruction": ${literal(said)}, "options": json.dumps(${literal(options)})},
).raise_for_status().json()
Path("edited.png").write_bytes(client.get(edit["images"][0]["url"]).content)`;
}

/**
 * @param {string} said
 * @param {Record<string, any>} options
 * @param {string} origin
 * @param {string | null} mask its address
 */
function openai(said, options, origin, mask) {
  const { samples, ...rest } = options;
  return `import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=${literal(`${origin}/v1`)}, api_key=os.environ.get("BRUSHEDIT_API_KEY", "none"))
answer = client.images.edit(
    model="brushedit",
    image=Path("picture.png"),
${mask ? `    # White where it may change; this turn's is at ${origin}${mask}\n    mask=Path("mask.png"),\n` : ""}    prompt=${literal(said)},
    n=${literal(samples ?? 1)},
    extra_body=${literal(rest)},
)
Path("edited.png").write_bytes(base64.b64decode(answer.data[0].b64_json))`;
}
