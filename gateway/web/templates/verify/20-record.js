// JSON as receipts have it: integers only, no member twice, bounded depth. Objects
// become Maps and integers BigInts, so that nothing is lost or guessed.
const LARGEST = 2n ** 53n;
const MAX_DEPTH = 32;
const MAX_RECORD = 4 * 2 ** 20;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

function safeInteger(text) {
  if (/[.eE]/.test(text)) throw new Wrong("not an integer: " + text.slice(0, 32));
  if (text === "-0") throw new Wrong("zero has no sign");
  const value = text.length > 17 ? LARGEST + 1n : BigInt(text);
  if (value > LARGEST || value < -LARGEST) throw new Wrong("integers beyond 2**53 are written as strings");
  return value;
}

function readJson(text, start = 0, number = safeInteger, maxDepth = MAX_DEPTH) {
  const bad = () => new Wrong("not JSON");
  const space = /[ \t\n\r]*/y;
  const digits = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
  const plain = /[^"\\\u0000-\u001f]*/y;
  let at = start;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found ? found[0] : null;
  };
  const skip = () => match(space);
  const take = (wanted) => {
    if (text.startsWith(wanted, at)) at += wanted.length;
    else throw bad();
  };
  function string() {
    take('"');
    let found = "";
    for (;;) {
      found += match(plain);
      const next = text[at++];
      if (next === '"') return found;
      if (next !== "\\") throw bad();
      const escape = text[at++];
      if (escape === "u") {
        const code = text.slice(at, at + 4);
        if (!/^[0-9a-fA-F]{4}$/.test(code)) throw bad();
        found += String.fromCharCode(parseInt(code, 16));
        at += 4;
      } else if (escape in ESCAPES) found += ESCAPES[escape];
      else throw bad();
    }
  }
  function value(depth) {
    const next = text[at];
    if (next === '"') return string();
    if (next === "{" || next === "[") {
      if (depth >= maxDepth) throw new Wrong("nested deeper than " + maxDepth);
      at++;
      return next === "{" ? object(depth + 1) : list(depth + 1);
    }
    for (const [word, means] of [["null", null], ["true", true], ["false", false]])
      if (text.startsWith(word, at)) {
        at += word.length;
        return means;
      }
    const found = match(digits);
    if (!found) throw bad();
    return number(found);
  }
  function object(depth) {
    const found = new Map();
    skip();
    if (text[at] === "}") return at++, found;
    for (;;) {
      skip();
      const name = string();
      skip();
      take(":");
      skip();
      const item = value(depth);
      if (found.has(name)) throw new Wrong("a key occurs twice");
      found.set(name, item);
      skip();
      if (text[at] === "}") return at++, found;
      take(",");
    }
  }
  function list(depth) {
    const found = [];
    skip();
    if (text[at] === "]") return at++, found;
    for (;;) {
      skip();
      found.push(value(depth));
      skip();
      if (text[at] === "]") return at++, found;
      take(",");
    }
  }
  skip();
  const found = value(0);
  return [found, at];
}

function parseJson(text) {
  const [found, end] = readJson(text);
  if (/[^ \t\n\r]/.test(text.slice(end))) throw new Wrong("not JSON");
  return found;
}

function byCodePoint(one, other) {
  const order = (unit) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);
  for (let at = 0; at < one.length && at < other.length; at++) {
    const [x, y] = [one.charCodeAt(at), other.charCodeAt(at)];
    if (x !== y) return order(x) - order(y);
  }
  return one.length - other.length;
}

function canonicalText(value) {
  if (typeof value === "string") {
    if (/\p{Surrogate}/u.test(value)) throw new Wrong("text with a lone surrogate has no UTF-8 form");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return "[" + value.map(canonicalText).join(",") + "]";
  if (!(value instanceof Map)) return String(value);
  const keys = [...value.keys()].sort(byCodePoint);
  return "{" + keys.map((key) => canonicalText(key) + ":" + canonicalText(value.get(key))).join(",") + "}";
}

function canonical(value) {
  const found = toBytes(canonicalText(value));
  if (found.length > MAX_RECORD) throw new Wrong(`record of ${found.length} bytes`);
  return found;
}

const sha256Json = (value) => hex(sha256(canonical(value)));

const isText = (value) => typeof value === "string";
const isInt = (value) => typeof value === "bigint";
const isCount = (value) => isInt(value) && value >= 0n;
const isHash = (value) => isText(value) && /^[0-9a-f]{64}$/.test(value);
const orNull = (is) => (value) => value === null || is(value);
const PLACE = { session_id: isText, station_id: isText, evse_id: isCount };
const REGISTERS = {
  register_start_milliwh: isCount, register_end_milliwh: isCount, energy_milliwh: isCount,
  amount_minor: isInt, currency: isText,
};
const FIELDS = {
  session_start: { ...PLACE, started_at: isText },
  meter: {
    ...PLACE, session_id: orNull(isText), occurred_at: isText, received_at: isText,
    register_milliwh: orNull(isCount),
  },
  settlement: {
    ...REGISTERS, session_id: isText, session_key: isHash, start_leaf_index: isCount,
    readings_count: isCount, readings_root: isHash, tariff_sha256: isHash, bill_sha256: isHash,
    started_at: isText, ended_at: isText,
  },
  signed_meter: { ...PLACE, format: isText, text: isText },
  meter_key: {
    station_id: isText, evse_id: isCount, occurred_at: isText, curve: orNull(isText),
    public_key: orNull(isText), meter_serial: orNull(isText),
  },
  decision: { session_id: isText, decision: isText, reason: isText, decided_at: isText, decided_by: isText },
  credit: {
    session_id: isText, session_key: isHash, credit_key: isHash, ordinal: isCount,
    corrects_leaf_index: isCount, amount_minor: isCount, currency: isText, reason: isText,
    credited_at: isText,
  },
  plan: {
    plan_id: isText, cabinet_id: isText, made_at: isText, algorithm_id: isText, algorithm_version: isText,
    inputs_sha256: isHash, outputs_sha256: isHash, certificate_sha256: orNull(isHash), outcome: isText,
  },
  dispatch: {
    station_id: isText, evse_id: isCount, sent_at: isText, plan_id: orNull(isText), limit_sha256: isHash,
    outcome: isText,
  },
  status: { subject: isText, occurred_at: isText },
  cabinet: { cabinet_id: isText, timestep: isText, leaves_root: isHash, leaves_count: isCount },
  asset: { asset_id: isText, asset_kind: isText },
  correction: { corrects_leaf_index: isCount, reason: isText },
};

function parseRecord(text) {
  if (/\p{Surrogate}/u.test(text)) throw new Wrong("not JSON");
  if (toBytes(text).length > MAX_RECORD) throw new Wrong(`more than ${MAX_RECORD} bytes`);
  const found = parseJson(text);
  if (!(found instanceof Map)) throw new Wrong("a record is a JSON object");
  const kind = found.get("k");
  if (!isText(kind) || found.get("v") !== 1n) throw new Wrong("a record has a kind 'k' and the version 'v' 1");
  if (!Object.hasOwn(FIELDS, kind)) throw new Wrong("unknown kind of record");
  for (const [name, is] of Object.entries(FIELDS[kind])) {
    if (!found.has(name)) throw new Wrong(`${kind}: field '${name}' is missing`);
    if (!is(found.get(name))) throw new Wrong(`${kind}: field '${name}' has another shape`);
  }
  if (canonicalText(found) !== text) throw new Wrong("the record is not in canonical form");
  return { kind, body: found };
}

const commitment = (salt, record) => joined(toBytes("wattproof/leaf/1\0"), salt, record);
const numbered = (domain, key, number) => sha256(joined(toBytes(domain), key, fromBig(number, 8)));
const sessionKey = (salt, index) => numbered("wattproof/session/1\0", salt, index);
const creditKey = (key, ordinal) => numbered("wattproof/credit/1\0", key, ordinal);

// The tree of RFC 9162.
const leafHash = (data) => sha256(joined(Uint8Array.of(0), data));
const nodeHash = (left, right) => sha256(joined(Uint8Array.of(1), left, right));

function treeRoot(leaves) {
  if (!leaves.length) return sha256(new Uint8Array());
  let level = leaves;
  while (level.length > 1) {
    const next = [];
    for (let at = 0; at < level.length; at += 2)
      next.push(at + 1 < level.length ? nodeHash(level[at], level[at + 1]) : level[at]);
    level = next;
  }
  return level[0];
}

function isIncluded(leaf, index, size, path, root) {
  if (index >= size) return false;
  let [at, last, running] = [index, size - 1n, leaf];
  for (const item of path) {
    if (last === 0n) return false;
    if (at & 1n || at === last) {
      running = nodeHash(item, running);
      while (!(at & 1n) && at) [at, last] = [at >> 1n, last >> 1n];
    } else running = nodeHash(running, item);
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n && isSame(running, root);
}

// Both heads that a path of consistency leads to (RFC 9162, 2.1.4.2); null: a bad length.
function walkedHeads(oldSize, newSize, path) {
  let [at, last] = [oldSize - 1n, newSize - 1n];
  while (at & 1n) [at, last] = [at >> 1n, last >> 1n];
  let [old, now] = [path[0], path[0]];
  for (const item of path.slice(1)) {
    if (last === 0n) return null;
    if (at & 1n || at === last) {
      [old, now] = [nodeHash(item, old), nodeHash(item, now)];
      while (!(at & 1n) && at) [at, last] = [at >> 1n, last >> 1n];
    } else now = nodeHash(now, item);
    [at, last] = [at >> 1n, last >> 1n];
  }
  return last === 0n ? [old, now] : null;
}
