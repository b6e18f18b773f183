// Records of the Open Charge Metering Format: OCMF|payload|signature. What was signed
// is the payload's own text, from the first bar to the second.
const IMPORTS = ["1.8", "98.8", "B1.8", "B0.8", "B3.8", "B2.8"]; // the first counts before others
const MAX_REGISTER = 10n ** 15n;
const MAX_NUMBER = 40;

// A decimal number as sign, digits and power of ten.
function decimal(text) {
  const found = /^([-+]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([-+]?\d+))?$/.exec(text);
  if (!found || text.length > MAX_NUMBER) throw new Wrong("a register is no number");
  const part = found[3] ?? found[4] ?? "";
  return {
    isNegative: found[1] === "-", digits: BigInt((found[2] ?? "") + part),
    exponent: Number(found[5] ?? 0) - part.length, text,
  };
}

function jsonNumber(text) {
  if (text.length > MAX_NUMBER) throw new Wrong("its JSON cannot be read");
  return decimal(text);
}

function jsonAt(text, start) {
  while (/\s/.test(text[start] ?? "")) start++;
  const [value, end] = readJson(text, start, jsonNumber, 8);
  if (!(value instanceof Map)) throw new Wrong("its JSON is no object");
  return [value, end];
}

function wordOf(members, name) {
  const value = members.get(name) ?? null;
  if (value === null) return "";
  if (value.digits !== undefined) return value.text;
  if (!isText(value) || value.length > 1000) throw new Wrong(`${name} is no text, or too long`);
  return value;
}

function readOcmf(text) {
  if (!text.startsWith("OCMF|")) throw new Wrong("it does not begin with 'OCMF|'");
  const [payload, end] = jsonAt(text, 5);
  const bar = text.indexOf("|", end);
  if (bar < 0 || text.slice(end, bar).trim()) throw new Wrong("no signature follows the payload");
  const [proof, over] = jsonAt(text, bar + 1);
  if (/[^ \t\r\n\0|]/.test(text.slice(over))) throw new Wrong("something follows the signature");
  const page = /^\s*([TF])(\d{1,18})\s*$/.exec(wordOf(payload, "PG"));
  if (!page) throw new Wrong("it has no page number");
  const gateway = wordOf(payload, "GS");
  return {
    signed: toBytes(text.slice(5, bar)), signature: signatureOf(proof), curve: curveOf(proof),
    isOfTransaction: page[1] === "T", page: BigInt(page[2]), pageText: page[1] + BigInt(page[2]),
    meter: wordOf(payload, "MS") || gateway, gateway, readings: readingsOf(payload.get("RD")),
  };
}

function curveOf(proof) {
  const name = (proof.get("SA") ?? null) === null ? "ECDSA-secp256r1-SHA256" : wordOf(proof, "SA");
  const [method, curve, ...rest] = name.split("-");
  if (method !== "ECDSA" || rest.join("-") !== "SHA256")
    throw new Wrong(`signed with ${name.slice(0, 40)}, which is not checked here`);
  return curve.toLowerCase().replaceAll("brainpoolp", "brainpool");
}

function signatureOf(proof) {
  const text = wordOf(proof, "SD");
  const encoding = proof.has("SE") ? proof.get("SE") : "hex";
  if (encoding === "base64" && unbase64(text)) return unbase64(text);
  if (encoding === "hex" && isHex(text.replace(/\s/g, ""))) return unhex(text.replace(/\s/g, ""));
  throw new Wrong("its signature cannot be read");
}

function readingsOf(found) {
  if (!Array.isArray(found) || !found.length) throw new Wrong("it has no readings");
  const known = new Map(); // what a reading leaves out is that of the one before
  return found.map((one) => {
    if (!(one instanceof Map)) throw new Wrong("a reading is no object");
    for (const [name, value] of one) known.set(name, value);
    const [kind, at, register, flags, status] = ["TX", "TM", "RI", "EF", "ST"].map((name) => wordOf(known, name));
    const milliwh = milliwhOf(known);
    return { kind, at, register, milliwh, flags, status, rank: rankOf(register.trim(), milliwh) };
  });
}

function rankOf(code, milliwh) {
  if (milliwh === null) return null;
  if (!code) return 0;
  const found = /^(?:.*:)?([0-9A-Fa-f]{1,3})\.([0-9A-Fa-f]{1,2})(?:[.*].*)?$/.exec(code);
  const groups = found?.slice(1).map((part) => part.replace(/^0+/, "").toUpperCase() || "0");
  const rank = groups ? IMPORTS.indexOf(groups.join(".")) : -1;
  return rank < 0 ? null : rank;
}

// The register in whole mWh, digits below cut off; null: no energy.
function milliwhOf(reading) {
  const power = { wh: 3, kwh: 6 }[wordOf(reading, "RU").trim().toLowerCase()];
  if (power === undefined) return null;
  let value = reading.get("RV") ?? null;
  if (isText(value)) value = decimal(value.trim());
  if (value?.digits === undefined) throw new Wrong("a register is no number");
  const { digits, isNegative } = value;
  if (!digits) return 0n;
  if (isNegative) throw new Wrong("a register is no number from zero on");
  const length = digits.toString().length;
  if (length - 1 + value.exponent > MAX_NUMBER) throw new Wrong("a register is of absurd size");
  const shift = value.exponent + power;
  const scale = 10n ** BigInt(Math.min(Math.abs(shift), 2 * MAX_NUMBER));
  const found = shift >= 0 ? digits * scale : digits / scale;
  if (found > MAX_REGISTER) throw new Wrong("a register is of absurd size");
  return found;
}

// Follows the register that counts from the begin to the end of a transaction.
function courseOf(records) {
  const pages = records.filter((one) => one.isOfTransaction);
  pages.sort((one, other) => (one.page < other.page ? -1 : one.page > other.page ? 1 : 0));
  if (pages.some((one) => one.meter !== pages[0].meter || one.gateway !== pages[0].gateway))
    throw new Wrong("the records are of different meters");
  pages.forEach((one, at) => {
    if (at && one.page !== pages[at - 1].page + 1n) throw new Wrong(`page T${one.page} follows page T${pages[at - 1].page}`);
  });
  const readings = pages.flatMap((one) => one.readings);
  const isEnd = (one) => [..."ELRAP"].includes(one.kind);
  const begun = readings.filter((one) => one.kind === "B");
  const ended = readings.filter(isEnd);
  if (!begun.length || !ended.length) throw new Wrong(`no record has the ${begun.length ? "end" : "begin"}`);
  const both = begun.filter((one) => one.rank !== null && ended.some((other) => other.register === one.register && other.rank === one.rank));
  both.sort((one, other) => one.rank - other.rank || byCodePoint(one.register, other.register));
  if (!both.length) throw new Wrong("no import register is at both begin and end");
  const { register } = both[0];
  const mine = new Map(); // a reading that is repeated word for word counts once
  for (const one of readings)
    if (one.register === register && one.rank !== null)
      mine.set(JSON.stringify([one.kind, one.at, String(one.milliwh), one.flags, one.status]), one);
  return checkedCourse(register, [...mine.values()], isEnd);
}

function checkedCourse(register, mine, isEnd) {
  if (mine.filter((one) => one.kind === "B").length !== 1) throw new Wrong("the transaction begins more than once");
  if (mine.filter(isEnd).length !== 1) throw new Wrong("the transaction ends more than once");
  for (const one of mine)
    if (one.flags.includes("E") || one.status !== "G") throw new Wrong(`the meter marks its reading of ${one.at} as faulty`);
  if (mine[0].kind !== "B" || !isEnd(mine.at(-1))) throw new Wrong("begin and end do not stand first and last");
  mine.forEach((one, at) => {
    if (at && one.milliwh < mine[at - 1].milliwh) throw new Wrong(`the register falls at ${one.at}`);
  });
  return { register, begin: mine[0], end: mine.at(-1) };
}
