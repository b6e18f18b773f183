// What a reader brings along: heads of other times, contracts as they are published.
const MAX_HEADS = 10_000;
const FORMATS = { heads: "wattproof-heads/1", contracts: "wattproof-contracts/1", cabinet: "wattproof-cabinet/1" };

function parseHeads(bytes, known) {
  const what = "a file of heads";
  const top = members(objectOf(bytes, what, 8 * 2 ** 20), what, ["format", "heads"], ["proofs"]);
  if (top.get("format") !== FORMATS.heads) refuse("not a file of heads");
  for (const one of listOf(top.has("proofs") ? top.get("proofs") : [], "proofs", MAX_HEADS)) {
    const row = members(one, "proof", ["old_size", "new_size", "proof"]);
    known.proofs.set(`${count(row, "old_size")}:${count(row, "new_size")}`, hashesOf(row.get("proof"), "proof", 128));
  }
  for (const one of listOf(top.get("heads"), "heads", MAX_HEADS)) {
    const row = members(one, "head", ["size", "root"]);
    known.heads.push({ size: count(row, "size"), root: hash(row, "root") });
  }
}

// All that is known of other times; null: nothing was given.
function knownHeads(files, since) {
  const known = { heads: [], proofs: new Map() };
  const kept = since.split(/[\s,;]+/).filter(Boolean);
  for (const bytes of files) parseHeads(bytes, known);
  for (const one of kept) {
    const found = /^(\d{1,16}):([0-9a-f]{64})$/.exec(one);
    if (!found) refuse("not a head, write it as SIZE:ROOT");
    known.heads.push({ size: BigInt(found[1]), root: unhex(found[2]) });
  }
  return files.length || kept.length ? known : null;
}

function parseContracts(bytes) {
  const what = "a file of contracts";
  const top = objectOf(bytes, what, 2 ** 20);
  if (top.get("format") !== FORMATS.contracts) refuse("not a file of contracts");
  for (const name of ["release", "chain_id", "genesis_hash", "contracts"])
    if (!top.has(name)) refuse(`${what} lacks '${name}'`);
  const listed = top.get("contracts");
  if (!(listed instanceof Map)) refuse("contracts must be an object");
  const contracts = new Map();
  for (const [name, value] of listed) {
    const one = members(value, name.slice(0, 40), ["address", "code_sha256"], ["block", "tx_hash"]);
    const address = "0x" + hex(hexed(one.get("address"), "0x", 40, "address"));
    contracts.set(name, { address, code: hex(hash(one, "code_sha256")) });
  }
  count(top, "release");
  const genesis = "0x" + hex(hexed(top.get("genesis_hash"), "0x", 64, "genesis_hash"));
  return { id: count(top, "chain_id"), genesis, contracts };
}

function comparedHeads(old, now, path) {
  const isRight = (one, other) => isSame(one.root, other);
  if (old.size === 0n) return !path.length && isRight(old, treeRoot([])) ? "true" : isRight(old, treeRoot([])) ? "unchecked" : "false";
  if (!path.length) return "unchecked";
  const isWhole = (old.size & (old.size - 1n)) === 0n; // itself the first node of the path
  const led = walkedHeads(old.size, now.size, isWhole ? [old.root, ...path] : path);
  if (led && isRight(old, led[0]) && isRight(now, led[1])) return "true";
  return !isWhole && led && isRight(now, led[1]) ? "false" : "unchecked";
}

function checkConsistency(known, head) {
  const said = (verdict, reason, isClaimed) => made("consistency", verdict, reason, isClaimed);
  const { size } = head;
  if (!known) return said("unchecked", `no head of another time was given; keep this: ${size}:${hex(head.root)}`, false);
  const found = { true: [], unchecked: [], open: [] };
  for (const other of known.heads) {
    if (other.size === size) {
      if (!isSame(other.root, head.root)) return said("false", `two logs: another head of ${size} leaves is known`);
      found.true.push(size);
      continue;
    }
    const [old, now] = other.size < size ? [other, head] : [head, other];
    const path = known.proofs.get(`${old.size}:${now.size}`);
    const verdict = path || old.size === 0n ? comparedHeads(old, now, path ?? []) : "open";
    if (verdict === "false") return said("false", `the log of ${now.size} does not continue the head of ${old.size}`);
    found[verdict].push(other.size);
  }
  if (!known.heads.length) return said("unchecked", "no head of another time was given, only proofs");
  if (found.true.length) return said("true", `one log with ${counted(found.true.length, "known head")}`);
  if (found.unchecked.length) return said("unchecked", "the proof between the two logs proves nothing, either way");
  return said("unchecked", `there is no proof between the logs of ${found.open[0]} and ${size}`);
}

function checkPublished(published, named) {
  const said = (verdict, reason, isClaimed) => made("contracts", verdict, reason, isClaimed);
  if (!named) return said("unchecked", "the receipt names no contracts", false);
  if (!published) return said("unchecked", "that these are the operator's contracts is the receipt's word", false);
  if (named.id !== published.id || named.genesis !== published.genesis)
    return said("false", "the receipt names another chain than is published");
  for (const name of ["StatusAnchor", "Settlement"]) {
    const known = published.contracts.get(name);
    if (!known) return said("false", `no ${name} is published`);
    if (known.address !== named[name]) return said("false", `${name} is published at ${known.address}, not ${named[name]}`);
  }
  return said("true", "chain and addresses are those that are published");
}
