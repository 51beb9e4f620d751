// @ts-check
/** CSV (RFC 4180), and which column of it says what. */

/**
 * @param {string} text
 * @returns {string[][]}
 */
export function rows(text) {
  const found = [[""]];
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    const row = found[found.length - 1];
    if (quoted && character === '"' && text[at + 1] === '"') row[row.length - 1] += text[++at];
    else if (character === '"') quoted = !quoted;
    else if (!quoted && (character === "," || character === ";")) row.push("");
    else if (!quoted && character === "\n") found.push([""]);
    else if (quoted || character !== "\r") row[row.length - 1] += character;
  }
  return found.filter((row) => row.some((cell) => cell.trim()));
}

/**
 * Instructions by the name of a picture: columns named after them, else the first two.
 * @param {string} text
 * @returns {Map<string, string>}
 */
export function instructions(text) {
  const all = rows(text);
  const names = (all[0] ?? []).map((cell) => cell.trim().toLowerCase());
  const headed = names.includes("instruction");
  const said = headed ? names.indexOf("instruction") : 1;
  const named = headed ? Math.max(0, names.findIndex((name) => ["image", "file", "filename", "picture"].includes(name))) : 0;
  return new Map(all.slice(headed ? 1 : 0).map((row) => [row[named]?.trim() ?? "", row[said]?.trim() ?? ""]));
}
