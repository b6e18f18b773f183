const MAX_BYTES = 32 * 2 ** 20;
const MAX_LEAVES = 100_000;

// The shape of a receipt, and nothing else.
function parseReceipt(bytes) {
  const refuse = (why) => {
    throw new NotReceipt(why);
  };
  const members = (value, name, expected) => {
    if (!(value instanceof Map)) refuse(`${name} must be an object`);
    for (const key of expected) if (!value.has(key)) refuse(`${name} lacks '${key}'`);
    for (const key of value.keys())
      if (!expected.includes(key)) refuse(`${name} has the unknown member '${key.slice(0, 40)}'`);
    return value;
  };
  const text = (row, name) => (isText(row.get(name)) ? row.get(name) : refuse(`${name} must be text`));
  const count = (row, name) => (isCount(row.get(name)) ? row.get(name) : refuse(`${name} must be an integer >= 0`));
  const hexed = (value, prefix, size, name) =>
    isText(value) && new RegExp(`^${prefix}[0-9a-f]{${size}}$`).test(value)
      ? unhex(value.slice(prefix.length))
      : refuse(`${name} must be lower-case hex of the right length`);
  const hash = (row, name) => hexed(row.get(name), "", 64, name);
  const or = (value, read) => (value === null ? null : read(value));
  const pathOf = (value) => {
    if (!Array.isArray(value) || value.length > 64) refuse("inclusion must be a list of at most 64 hashes");
    return value.map((item) => hexed(item, "", 64, "inclusion"));
  };
  const tx = (value) => {
    const row = value instanceof Map ? new Map(value) : refuse("settlement_tx must be an object");
    const invoice = row.get("invoice") ?? null;
    row.delete("invoice");
    members(row, "settlement_tx", ["tx_hash", "block"]);
    return {
      txHash: hex(hexed(row.get("tx_hash"), "0x", 64, "tx_hash")),
      block: count(row, "block"),
      invoice: or(invoice, (one) => {
        const proof = members(one, "invoice", ["root", "index", "size", "inclusion"]);
        return {
          root: hash(proof, "root"), index: count(proof, "index"), size: count(proof, "size"),
          path: pathOf(proof.get("inclusion")),
        };
      }),
    };
  };

  let value;
  try {
    if (bytes.length > MAX_BYTES) throw new Wrong(`more than ${MAX_BYTES} bytes`);
    value = parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    if (error instanceof Wrong || error instanceof TypeError) refuse("not a receipt: " + error.message);
    throw error;
  }
  let told = [];
  if (value instanceof Map && value.has("credits")) {
    told = value.get("credits");
    value.delete("credits");
  }
  const top = members(value, "receipt", [
    "format", "session", "bill", "tariff", "leaves", "head", "chain", "settlement_tx",
  ]);
  const version = ["wattproof-receipt/1", "wattproof-receipt/2"].indexOf(top.get("format")) + 1;
  if (!version) refuse("not a receipt: format must be 'wattproof-receipt/1' or 'wattproof-receipt/2'");
  const session = members(top.get("session"), "session", [
    "session_id", "session_key", "station_id", "evse_id", "started_at", "ended_at",
  ]);
  const head = members(top.get("head"), "head", ["size", "root", "tx_hash", "block"]);
  const listed = top.get("leaves");
  if (!Array.isArray(listed) || listed.length > MAX_LEAVES) refuse(`leaves must be a list of at most ${MAX_LEAVES}`);
  hash(session, "session_key");
  for (const name of ["session_id", "station_id", "started_at", "ended_at"]) text(session, name);
  count(session, "evse_id");
  for (const name of ["bill", "tariff"])
    if (!(top.get(name) instanceof Map)) refuse(`${name} must be an object`);
  const leaves = listed.map((one) => {
    const leaf = members(one, "leaf", ["index", "kind", "salt", "record", "inclusion"]);
    return {
      index: count(leaf, "index"),
      kind: text(leaf, "kind"),
      salt: hash(leaf, "salt"),
      record: text(leaf, "record"),
      path: pathOf(leaf.get("inclusion")),
    };
  });
  const found = {
    version,
    session,
    bill: top.get("bill"),
    tariff: top.get("tariff"),
    leaves,
    head: {
      size: count(head, "size"),
      root: hash(head, "root"),
      txHash: or(head.get("tx_hash"), (one) => hex(hexed(one, "0x", 64, "tx_hash"))),
      block: or(head.get("block"), () => count(head, "block")),
    },
    chain: or(top.get("chain"), (one) => {
      const row = members(one, "chain", ["chain_id", "genesis_hash", "anchor_contract", "settlement_contract"]);
      const address = (name) => "0x" + hex(hexed(row.get(name), "0x", 40, name));
      return {
        id: count(row, "chain_id"),
        genesis: "0x" + hex(hexed(row.get("genesis_hash"), "0x", 64, "genesis_hash")),
        StatusAnchor: address("anchor_contract"),
        Settlement: address("settlement_contract"),
      };
    }),
    settlementTx: or(top.get("settlement_tx"), tx),
    creditTxs: (Array.isArray(told) ? told : refuse("credits must be a list")).map((one) => {
      const row = members(one, "credit", ["leaf_index", "tx"]);
      return { leafIndex: count(row, "leaf_index"), tx: or(row.get("tx"), tx) };
    }),
  };
  const isSigned = leaves.some((leaf) => leaf.kind === "signed_meter" || leaf.kind === "meter_key");
  if (version !== (isSigned ? 2 : 1)) refuse("not a receipt: its leaves are not of this format");
  return found;
}
