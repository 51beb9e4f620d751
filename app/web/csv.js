// @ts-check
/** Lists of what is to become of which picture: CSV (RFC 4180), and JSONL, a JSON object in each line. */

/**
 * @typedef {object} Line
 * @property {string} where it stands, for messages
 * @property {string} name of its picture; of a whole request, the `custom_id`
 * @property {string} said
 * @property {{url: string, text: string}} [request] in the API's own form, sent as it is
 *
 * @typedef {{lines: Line[], faults: string[]}} List
 */

const NAMES = ["image", "file", "filename", "picture"];
const ENDPOINTS = ["/v1/edits", "/v1/images/edits"];

/**
 * @param {string} name of the file
 * @param {string} text
 * @returns {List}
 */
export function readList(name, text) {
  const found = /\.jsonl$/i.test(name) ? objects(text) : records(text);
  /** @type {List} */
  const list = { lines: [], faults: [] };
  for (const { number, ...one } of found) {
    const where = `${name}, line ${number}`;
    if ("fault" in one) list.faults.push(`${where}: ${one.fault}`);
    else list.lines.push({ where, ...one });
  }
  return list;
}

/** @typedef {{number: number} & ({fault: string} | Omit<Line, "where">)} Numbered */

/**
 * @param {string} text
 * @returns {Numbered[]}
 */
function objects(text) {
  return text
    .split("\n")
    .map((line, at) => ({ line: line.trim(), number: at + 1 }))
    .filter(({ line }) => line)
    .map(({ line, number }) => ({ number, ...object(line) }));
}

/**
 * @param {string} text
 * @returns {{fault: string} | Omit<Line, "where">}
 */
function object(text) {
  /** @type {any} */
  let read = null;
  try {
    read = JSON.parse(text);
  } catch {
    return { fault: "it is no JSON." };
  }
  if (read === null || typeof read !== "object" || Array.isArray(read)) return { fault: 'an object is expected, such as {"image": "name.png", "instruction": "remove the cube"}.' };
  const { custom_id, url = ENDPOINTS[0], body } = read;
  if (body && typeof body === "object") {
    if (typeof custom_id !== "string" || !custom_id) return { fault: "a whole request needs a custom_id." };
    if (!ENDPOINTS.includes(url)) return { fault: `its url has to be ${ENDPOINTS.join(" or ")}.` };
    return { name: custom_id, said: String(body.instruction ?? body.prompt ?? "").trim(), request: { url, text } };
  }
  const name = NAMES.map((known) => read[known]).find((value) => typeof value === "string")?.trim();
  if (!name || /^(data|https?):/.test(name)) return { fault: 'it names no picture: "image" has to be the name of a file that is added here as well.' };
  const said = read.instruction ?? "";
  return typeof said === "string" ? { name, said: said.trim() } : { fault: "its instruction is no text." };
}

/**
 * Columns named after what they hold, else the first two.
 * @param {string} text
 * @returns {Numbered[]}
 */
function records(text) {
  const all = rows(text);
  const names = (all[0]?.cells ?? []).map((cell) => cell.trim().toLowerCase());
  const headed = names.includes("instruction");
  const said = headed ? names.indexOf("instruction") : 1;
  const named = headed ? Math.max(0, names.findIndex((name) => NAMES.includes(name))) : 0;
  return all.slice(headed ? 1 : 0).map(({ number, cells }) => {
    const name = cells[named]?.trim();
    return name ? { number, name, said: cells[said]?.trim() ?? "" } : { number, fault: "it names no picture." };
  });
}

/**
 * @param {string} text
 * @returns {{number: number, cells: string[]}[]} what is not blank, with the line each begins in
 */
function rows(text) {
  const found = [{ number: 1, cells: [""] }];
  let quoted = false;
  let number = 1;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    const { cells } = found[found.length - 1];
    if (character === "\n") number++;
    if (quoted && character === '"' && text[at + 1] === '"') cells[cells.length - 1] += text[++at];
    else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "," || character === ";")) cells.push("");
    else if (!quoted && character === "\n") found.push({ number, cells: [""] });
    else if (quoted || character !== "\r") cells[cells.length - 1] += character;
  }
  return found.filter(({ cells }) => cells.some((cell) => cell.trim()));
}
