// @ts-check
/** The request behind a turn, as somebody would write it. */

/**
 * @typedef {object} Asked What makes a turn's picture again.
 * @property {string} said
 * @property {Record<string, any>} options
 * @property {any | null} plan null = the one made from the words is the turn's
 * @property {string | null} mask its address
 * @property {string} source where the picture is that the turn was made on; empty = the one that was opened
 */

/**
 * @param {any} turn
 * @param {string} origin of the server
 * @returns {Record<string, string>}
 */
export function snippets(turn, origin) {
  const { preview_every: _live, ...options } = turn.options;
  const mask = maskOf(turn);
  const plan = mask || turn.forked_from || turn.parent_id || turn.plan?.steps.length > 1 ? turn.plan : null;
  /** @type {Asked} */
  const asked = { said: turn.instruction, options, plan, mask, source: turn.parent_id ? `# picture.png is what this turn was made on: ${origin}${turn.urls.input}\n` : "" };
  return { curl: curl(asked, origin), Python: python(asked, origin), "OpenAI SDK": plan ? native(asked, origin) : openai(asked, origin) };
}

/**
 * A request takes one mask, for all steps: a person's (nothing had to be found then, and each step has the same), or
 * what a turn that was forked took over from another one.
 * @param {any} turn
 * @returns {string | null}
 */
function maskOf({ plan, regions, forked_from }) {
  if (!regions.length) return null;
  const [{ candidates, chosen, coverage, mask_url }] = regions;
  if (plan.steps.length === 1) return !candidates.length || (forked_from && chosen.length === 1) ? mask_url : null;
  return regions.every((/** @type {any} */ one) => !one.candidates.length && one.coverage === coverage) ? mask_url : null;
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
 * @param {Asked} asked
 * @param {string} origin
 */
function curl({ said, options, plan, mask, source }, origin) {
  // A header without text is none: a server without keys is asked without one.
  const key = `-H "\${BRUSHEDIT_API_KEY:+Authorization: Bearer $BRUSHEDIT_API_KEY}"`;
  return [
    ...(source ? [source.trim()] : []),
    ...(mask ? [`curl ${origin}${mask} ${key} -o mask.png`] : []),
    `curl ${origin}/v1/edits \\`,
    `  ${key} -H "Prefer: wait=120" \\`,
    `  -F image=@picture.png \\`,
    ...(mask ? [`  -F mask=@mask.png \\`] : []),
    `  -F instruction=${shell(said)} \\`,
    ...(plan ? [`  -F plan=${shell(JSON.stringify(plan))} \\`] : []),
    `  -F options=${shell(JSON.stringify(options))}`,
  ].join("\n");
}

/**
 * @param {Asked} asked
 * @param {string} origin
 */
function python({ said, options, plan, mask, source }, origin) {
  return `import json
import os
from pathlib import Path

import httpx

key = os.environ.get("BRUSHEDIT_API_KEY")
client = httpx.Client(
    base_url=${literal(origin)},
    headers={"Authorization": f"Bearer {key}"} if key else {},
    timeout=120,
)
${source}edit = client.post(
    "/v1/edits",
    headers={"Prefer": "wait=120"},
    files={"image": Path("picture.png").read_bytes()${mask ? `, "mask": client.get(${literal(mask)}).content` : ""}},
    data={
        "instruction": ${literal(said)},
${plan ? `        "plan": json.dumps(${literal(plan)}),\n` : ""}        "options": json.dumps(${literal(options)}),
    },
).raise_for_status().json()
Path("edited.png").write_bytes(client.get(edit["images"][0]["url"]).content)`;
}

/**
 * @param {Asked} asked
 * @param {string} origin
 */
function openai({ said, options }, origin) {
  const { samples, ...rest } = options;
  return `import base64
import os
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=${literal(`${origin}/v1`)}, api_key=os.environ.get("BRUSHEDIT_API_KEY") or "none")
answer = client.images.edit(
    model="brushedit",
    image=Path("picture.png"),
    prompt=${literal(said)},
    n=${literal(samples ?? 1)},
    extra_body=${literal(rest)},
)
Path("edited.png").write_bytes(base64.b64decode(answer.data[0].b64_json))`;
}

/**
 * With OpenAI's client, but not its `images.edit`: that takes no plan.
 * @param {Asked} asked
 * @param {string} origin
 */
function native({ said, options, plan, mask, source }, origin) {
  return `import base64
import os
from pathlib import Path

import httpx
from openai import OpenAI

client = OpenAI(base_url=${literal(`${origin}/v1`)}, api_key=os.environ.get("BRUSHEDIT_API_KEY") or "none")


def png(data):
    return "data:image/png;base64," + base64.b64encode(data).decode()


# images.edit takes no plan; this is the same client, asking for what does.
${source}edit = client.post(
    "/edits",
    cast_to=httpx.Response,
    options={"headers": {"Prefer": "wait=120"}},
    body={
        "image": png(Path("picture.png").read_bytes()),
${mask ? `        "mask": png(client.get(${literal(origin + mask)}, cast_to=httpx.Response).content),\n` : ""}        "instruction": ${literal(said)},
        "plan": ${literal(plan)},
        "options": ${literal(options)},
    },
).json()
made = client.get(${literal(origin)} + edit["images"][0]["url"], cast_to=httpx.Response)
Path("edited.png").write_bytes(made.content)`;
}
