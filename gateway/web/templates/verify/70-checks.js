// The offline checks, each a function that returns why it holds or throws `Wrong`.
const bytesOf = (record) => {
  // A lone surrogate as Python writes it: such a record is not canonical, and still has a commitment.
  const parts = record.split(/(\p{Surrogate})/u);
  return joined(...parts.map((one) => {
    const code = one.length === 1 ? one.charCodeAt(0) : 0;
    return code >= 0xd800 && code < 0xe000
      ? Uint8Array.of(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63))
      : toBytes(one);
  }));
};

function hashLeaf(leaf) {
  leaf.committed = commitment(leaf.salt, bytesOf(leaf.record));
  leaf.commitment = sha256(leaf.committed);
  leaf.hash = leafHash(leaf.commitment);
}

const isUnder = ({ hash, index, path, stated }, { size, root }) =>
  isIncluded(stated ? leafHash(stated) : hash, index, size, path, root);

function readRecord(leaf) {
  try {
    return parseRecord(leaf.record);
  } catch (error) {
    if (error instanceof Wrong) error.message = `leaf ${leaf.index}: ${error.message}`;
    throw error;
  }
}

function openReceipt(receipt, records) {
  const found = { session_start: [], meter: [], settlement: [], decision: [], credit: [], signed_meter: [], meter_key: [] };
  receipt.leaves.forEach((leaf, at) => {
    const read = records[at];
    if (read.kind !== leaf.kind) throw new Wrong(`leaf ${leaf.index} is a ${read.kind}, not a ${leaf.kind}`);
    if (!Object.hasOwn(found, leaf.kind)) throw new Wrong(`a receipt has no ${leaf.kind} leaves`);
    // A key is a meter's, for all of its sessions.
    if (leaf.kind !== "meter_key" && read.body.get("session_id") !== receipt.session.get("session_id"))
      throw new Wrong(`leaf ${leaf.index} belongs to another session`);
    if (at && leaf.index <= receipt.leaves[at - 1].index) throw new Wrong(`leaf ${leaf.index} is out of order`);
    leaf.body = read.body;
    found[leaf.kind].push(leaf);
  });
  if (found.decision.length > 1) throw new Wrong("a held bill is decided on once");
  if (found.session_start.length !== 1 || found.settlement.length !== 1)
    throw new Wrong("a receipt has one start leaf and one settlement leaf");
  return {
    start: found.session_start[0], settlement: found.settlement[0], readings: found.meter,
    decision: found.decision[0] ?? null, credits: found.credit, signed: found.signed_meter, keys: found.meter_key,
  };
}

const counted = (number, one, many = one + "s") => (number === 1 ? `1 ${one}` : `${number} ${many}`);

function checkCommitment({ leaves, head }) {
  for (const leaf of leaves)
    if (leaf.stated && !isSame(leaf.stated, leaf.commitment))
      throw new Wrong(`leaf ${leaf.index}: salt and record commit to another`);
  for (const leaf of leaves)
    if (!leaf.stated && !isUnder(leaf, head))
      throw new Unproven(`not judged: no commitment is stated for leaf ${leaf.index}, and the log does not hold the computed one there`);
  return `${counted(leaves.length, "commitment")} computed`;
}

function checkInclusion(receipt) {
  for (const leaf of receipt.leaves)
    if (!isUnder(leaf, receipt.head))
      throw new Wrong(`leaf ${leaf.index} is not in the log with this head`);
  return `${counted(receipt.leaves.length, "record")} in the log of ${receipt.head.size}`;
}

function checkReadings(receipt, { settlement, readings }) {
  const count = counted(readings.length, "reading");
  if (BigInt(readings.length) !== settlement.body.get("readings_count"))
    throw new Wrong(`${count}, the settlement counts another number`);
  if (hex(treeRoot(readings.map((leaf) => leaf.hash))) !== settlement.body.get("readings_root"))
    throw new Wrong("the readings are not those that were settled");
  return `complete: ${count}, as settled`;
}

function checkRegisters({ bill }, { start, readings }) {
  const [first, last] = ["start", "end"].map((name) => bill.get(`register_${name}_milliwh`));
  if (!isInt(first) || !isInt(last)) throw new Wrong("the bill has no registers");
  const points = [];
  for (const { body } of readings)
    if (isInt(body.get("register_milliwh")))
      points.push([parseTime(body.get("occurred_at")), body.get("register_milliwh")]);
  const begun = start.body.get("register_start_milliwh");
  if (isInt(begun)) points.push([parseTime(start.body.get("started_at")), begun]);
  const known = new Set(points.map(([, register]) => register));
  for (const [name, register] of [["start", first], ["end", last]])
    if (!known.has(register)) throw new Wrong(`no reading shows the ${name} register ${register}`);
  const within = points.filter(([, register]) => first <= register && register <= last);
  let register = first;
  for (const part of partsOf(bill).slice(0, -1)) {
    register += part.energy;
    const below = within.filter(([at]) => at < part.end).map(([, one]) => one);
    const above = within.filter(([at]) => at > part.end).map(([, one]) => one);
    if (below.some((one) => one > register) || above.some((one) => one < register))
      throw new Wrong(`the energy before ${timeText(part.end)} fits no readings`);
  }
  const isByHand = ({ body }) => body.get("context") === "operator";
  const registers = (some) => new Set(some.map(({ body }) => body.get("register_milliwh")));
  const stated = registers(readings.filter(isByHand));
  const read = registers(readings.filter((one) => !isByHand(one)));
  const names = ["start", "end"].filter((name) => {
    const one = bill.get(`register_${name}_milliwh`);
    return stated.has(one) && !read.has(one);
  });
  if (names.length) throw new Unproven(`an operator stated the ${names.join(" and ")} register: no reading shows it`);
  return `registers ${first} and ${last} mWh were read, and nothing contradicts`;
}

function checkBillAndTariff({ bill, tariff }) {
  if (sha256Json(tariff) !== bill.get("tariff_sha256")) throw new Wrong("the tariff is not the one the bill names");
  const wrong = checkBill(bill, tariff);
  if (wrong.length) throw new Wrong(wrong.slice(0, 3).join("; "));
  return `${bill.get("energy_milliwh")} mWh cost ${bill.get("amount_minor")} minor units of ${bill.get("currency")}, recomputed`;
}

function checkSettlement({ bill, session }, { start, settlement, readings }) {
  const [facts, begun] = [settlement.body, start.body];
  const key = hex(sessionKey(start.salt, start.index));
  const pairs = [
    ["bill_sha256", facts.get("bill_sha256"), sha256Json(bill)],
    ["session_key", facts.get("session_key"), key],
    ["session.session_key", session.get("session_key"), key],
    ["start_leaf_index", facts.get("start_leaf_index"), start.index],
    ["session.started_at", session.get("started_at"), facts.get("started_at")],
    ["started_at", facts.get("started_at"), begun.get("started_at")],
    ["session.ended_at", session.get("ended_at"), facts.get("ended_at")],
    ["session.station_id", session.get("station_id"), begun.get("station_id")],
    ["session.evse_id", session.get("evse_id"), begun.get("evse_id")],
  ];
  for (const name of [...Object.keys(REGISTERS), "tariff_sha256"]) pairs.push([name, facts.get(name), bill.get(name)]);
  if (begun.has("tariff_sha256"))
    pairs.push(["the promised tariff", facts.get("tariff_sha256"), begun.get("tariff_sha256")]);
  for (const [name, one, other] of pairs) if (one !== other) throw new Wrong(`${name} differs from what was settled`);
  if ([start, ...readings].some((leaf) => leaf.index > settlement.index))
    throw new Wrong("the settlement stands before what it settles");
  return "session and bill are those of the settlement leaf";
}

function checkDecision(receipt, { settlement, decision }) {
  if (decision.index >= settlement.index) throw new Wrong("the decision stands after what it decides");
  const after = decision.body.get("after");
  if (!(after instanceof Map)) throw new Wrong("the decision does not say what was settled");
  for (const name of Object.keys(REGISTERS))
    if (after.get(name) !== settlement.body.get(name)) throw new Wrong(`an operator decided on another ${name}`);
  return `${decision.body.get("decision")} by an operator: ${decision.body.get("reason").slice(0, 200) || "no reason given"}`;
}

function checkCredits({ creditTxs }, { settlement, credits }) {
  const facts = settlement.body;
  let total = 0n;
  credits.forEach(({ index, body }, at) => {
    const ordinal = BigInt(at + 1);
    const expected = {
      ordinal, session_key: facts.get("session_key"), corrects_leaf_index: settlement.index,
      credit_key: hex(creditKey(unhex(facts.get("session_key")), ordinal)), currency: facts.get("currency"),
    };
    for (const [name, value] of Object.entries(expected))
      if (body.get(name) !== value) throw new Wrong(`credit ${ordinal} has another ${name}`);
    if (index <= settlement.index) throw new Wrong(`credit ${ordinal} stands before what it corrects`);
    if (!body.get("amount_minor")) throw new Wrong(`credit ${ordinal} credits nothing`);
    total += body.get("amount_minor");
  });
  const amount = facts.get("amount_minor");
  if (total > amount) throw new Wrong(`credits of ${total} minor units exceed the ${amount} settled`);
  if (creditTxs.map((one) => one.leafIndex).join() !== credits.map((one) => one.index).join())
    throw new Wrong("the receipt tells of other credits than it proves");
  return `${counted(credits.length, "credit")} of ${total} minor units of ${facts.get("currency")}: ${amount - total} of ${amount} stay`;
}

// A window records many settlements and credits under one root of their leaves.
const invoicesOf = ({ settlementTx, creditTxs }) =>
  [settlementTx, ...creditTxs.map((one) => one.tx)].filter((tx) => tx?.invoice);

const holdsInvoice = ({ index, size, path, root }, leaf) => isIncluded(leaf, index, size, path, root);

function checkInvoices({ settlementTx, creditTxs }, { settlement, credits }) {
  const told = creditTxs.map((one) => [one.tx, credits.find((leaf) => leaf.index === one.leafIndex)]);
  for (const [tx, leaf] of [...told, [settlementTx, settlement]])
    if (tx?.invoice && !(leaf && holdsInvoice(tx.invoice, leaf.hash)))
      throw new Wrong("a leaf is not among the invoices of its transaction");
  const proof = settlementTx?.invoice;
  if (!proof) return "its credits are among the invoices of their windows";
  const driver = settlement.body.get("flex_to") ?? null;
  if (proof.user !== null && driver !== null && !(isText(driver) && driver.toLowerCase() === proof.user))
    throw new Wrong("it was netted for another address than its driver's");
  const [amount, currency] = ["amount_minor", "currency"].map((name) => settlement.body.get(name));
  return `${amount} minor units of ${currency} are invoice ${proof.index + 1n} of ${proof.size} under ${hex(proof.root).slice(0, 16)}`;
}
