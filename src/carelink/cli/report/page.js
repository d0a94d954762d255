"use strict";
// Third reader of the log's form: hashes every shown entry, folds the tree up to the signed root, checks the signature.
// It takes nothing from the network; a report that was changed says so, a report that was forged whole cannot be told
// from a true one but by the key's fingerprint.
const data = JSON.parse(document.getElementById("evidence").textContent);
const words = JSON.parse(document.getElementById("words").textContent);
const $ = (id) => document.getElementById(id);
const zh = () => document.documentElement.lang !== "en";
const say = (key) => words[key][zh() ? 1 : 0];
const utf8 = new TextEncoder();

const unbase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
const hex = (bytes) => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
};
const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
const leafHash = (bytes) => sha256(join([0], bytes));
const nodeHash = (left, right) => sha256(join([1], left, right));
const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);

// Roots of complete subtrees of `height` levels, pushed one after the other; RFC 6962 splits at powers of two.
class Tree {
  constructor() { this.stack = []; this.size = 0; }
  async push(hash, leaves) {
    let each = hash, span = leaves;
    while (this.stack.length && this.stack.at(-1)[1] === span) {
      each = await nodeHash(this.stack.pop()[0], each);
      span *= 2;
    }
    this.stack.push([each, span]);
    this.size += leaves;
  }
  async root() {
    if (!this.stack.length) return sha256(new Uint8Array());
    let total = this.stack.at(-1)[0];
    for (const [left] of this.stack.slice(0, -1).reverse()) total = await nodeHash(left, total);
    return total;
  }
}

async function signatureHolds(note) {
  const cut = note.lastIndexOf("\n\n");
  const text = note.slice(0, cut + 1), key = data.key.split("+");
  const blob = unbase64(key.slice(2).join("+"));
  const id = (await sha256(join(utf8.encode(key[0] + "\n"), blob))).slice(0, 4);
  if (hex(id) !== key[1] || blob[0] !== 1 || blob.length !== 33) return false;
  const mine = note.slice(cut + 2).split("\n").filter((row) => row.startsWith(`— ${key[0]} `))
    .map((row) => unbase64(row.split(" ")[2])).filter((each) => same(each.slice(0, 4), id));
  if (!mine.length || text.split("\n")[0] !== key[0]) return false;
  const imported = await crypto.subtle.importKey("raw", blob.slice(1), { name: "Ed25519" }, false, ["verify"]);
  for (const each of mine) {
    if (!await crypto.subtle.verify({ name: "Ed25519" }, imported, each.slice(4), utf8.encode(text))) return false;
  }
  return true;
}

async function check() {
  const lines = data.checkpoint.split("\n"), size = Number(lines[1]), tree = new Tree(), rows = [];
  const shown = new Map(data.shown.map(([index, bytes]) => [index, bytes]));
  for (let block = 0, index = 0; block < data.blocks.length; block++) {
    const held = unbase64(data.blocks[block]), width = Math.min(256, size - index);
    if (held.length === 32 && width === 256) { await tree.push(held, 256); index += 256; continue; }
    if (held.length !== width * 32) return [`block ${block}`, rows];
    for (let at = 0; at < width; at++, index++) {
      const leaf = held.slice(at * 32, at * 32 + 32);
      if (shown.has(index)) {
        const bytes = unbase64(shown.get(index));
        if (!same(await leafHash(bytes), leaf)) return [`${say("entry")} ${index}`, rows];
        rows.push([index, JSON.parse(new TextDecoder().decode(bytes))]);
        shown.delete(index);
      }
      await tree.push(leaf, 1);
    }
  }
  if (shown.size) return [`${say("entry")} ${[...shown.keys()][0]}`, rows];
  if (tree.size !== size || base64(await tree.root()) !== lines[2]) return ["root", rows];
  let signed = null;
  try { signed = await signatureHolds(data.checkpoint); } catch (error) { if (error.name !== "NotSupportedError") signed = false; }
  if (signed === false) return ["signature", rows];
  return [signed === null ? "no Ed25519" : "", rows];
}

const instant = (micros) => new Date(micros / 1000).toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z");

function row(index, entry) {
  const body = entry.body, ask = body.facts.ask, tr = document.createElement("tr");
  const reasons = body.reasons.map((each) => `${each.reason} (${each.rule})`).join(", ");
  tr.className = body.effect;
  const cells = [[String(index), "n"], [instant(body.facts.at), "mono"], [body.request.slice(0, 12), "mono"],
    [entry.kind, ""], [ask.purpose, ""], [ask.channel_kind, ""], [say(body.effect), "e"], [reasons, ""],
    [body.earliest ? instant(body.earliest) : "", "mono"]];
  for (const [text, name] of cells) {
    const td = document.createElement("td");
    td.textContent = text; td.className = name; tr.append(td);
  }
  tr.dataset.words = [body.request, ask.purpose, ask.channel_kind, body.effect, reasons, entry.kind].join(" ").toLowerCase();
  return tr;
}

let checked = [];
function draw() {
  const wanted = $("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean), effect = $("effect").value;
  const body = $("rows"); body.replaceChildren();
  let count = 0;
  for (const [index, entry] of checked) {
    const tr = row(index, entry);
    if ((effect && tr.className !== effect) || !wanted.every((word) => tr.dataset.words.includes(word))) continue;
    body.append(tr); count++;
  }
  $("count").textContent = `${say("shown")}: ${count} / ${checked.length}`;
}

function verdict(problem, fingerprint) {
  const box = $("verdict");
  box.className = `verdict ${problem && problem !== "no Ed25519" ? "bad" : "good"}`;
  if (problem === "no Ed25519") {
    box.textContent = zh() ? "表中记录与树根一致;此浏览器不支持 Ed25519,未校验签名。"
      : "The table is consistent with the root; this browser has no Ed25519, so the signature was not checked.";
  } else if (problem) {
    box.textContent = (zh() ? "已被篡改:以下内容与签名不一致:" : "TAMPERED: does not agree with what was signed: ") + problem;
  } else {
    box.textContent = (zh() ? "表中记录与密钥一致,密钥指纹 " : "The table is consistent with key ") + fingerprint;
  }
}

(async () => {
  const fingerprint = hex(await sha256(utf8.encode(data.key)));
  let problem, found;
  try { [problem, found] = await check(); } catch (error) { [problem, found] = [`${error.name}`, []]; }
  checked = problem && problem !== "no Ed25519" ? [] : found.reverse();
  const show = () => { verdict(problem, fingerprint); draw(); };
  $("fingerprint").textContent = fingerprint;
  show();
  document.documentElement.dataset.checked = problem || "consistent";
  $("search").addEventListener("input", draw);
  $("effect").addEventListener("change", draw);
  $("language").addEventListener("click", () => {
    document.documentElement.lang = zh() ? "en" : "zh-CN";
    for (const option of $("effect").options) option.textContent = say(option.value || "all");
    show();
  });
  $("print").addEventListener("click", () => window.print());
})();
