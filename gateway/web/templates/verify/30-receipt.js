const MAX_BYTES = 32 * 2 ** 20;
const MAX_LEAVES = 100_000;

// The shape of files, and nothing else.
const refuse = (why) => {
  throw new NotReceipt(why);
};
const members = (value, name, expected, optional = []) => {
  if (!(value instanceof Map)) refuse(`${name} must be an object`);
  for (const key of expected) if (!value.has(key)) refuse(`${name} lacks '${key}'`);
  for (const key of value.keys())
    if (![...expected, ...optional].includes(key)) refuse(`${name} has the unknown member '${key.slice(0, 40)}'`);
  return value;
};
const listOf = (value, name, most) =>
  Array.isArray(value) && value.length <= most ? value : refuse(`${name} must be a list of at most ${most}`);
const text = (row, name) => (isText(row.get(name)) ? row.get(name) : refuse(`${name} must be text`));
const count = (row, name) => (isCount(row.get(name)) ? row.get(name) : refuse(`${name} must be an integer >= 0`));
const hexed = (value, prefix, size, name) =>
  isText(value) && new RegExp(`^${prefix}[0-9a-f]{${size}}$`).test(value)
    ? unhex(value.slice(prefix.length))
    : refuse(`${name} must be lower-case hex of the right length`);
const hash = (row, name) => hexed(row.get(name), "", 64, name);
const or = (value, read) => (value === null ? null : read(value));
const hashesOf = (value, name, most = 64) => listOf(value, name, most).map((item) => hexed(item, "", 64, name));
const pathOf = (row) => hashesOf(row.get("inclusion"), "inclusion");

function objectOf(bytes, what, most) {
  try {
    if (bytes.length > most) throw new Wrong(`more than ${most} bytes`);
    const found = parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
    return found instanceof Map ? found : refuse(`${what} must be an object`);
  } catch (error) {
    if (error instanceof Wrong || error instanceof TypeError) refuse(`not ${what}: ${error.message}`);
    throw error;
  }
}

function parseReceipt(value) {
  const tx = (value) => {
    const row = value instanceof Map ? new Map(value) : refuse("settlement_tx must be an object");
    const invoice = row.get("invoice") ?? null;
    row.delete("invoice");
    members(row, "settlement_tx", ["tx_hash", "block"]);
    return {
      txHash: hex(hexed(row.get("tx_hash"), "0x", 64, "tx_hash")),
      block: count(row, "block"),
      invoice: or(invoice, (one) => {
        const named = one instanceof Map ? new Map(one) : one;
        const user = named instanceof Map ? named.get("user") ?? null : null;
        if (named instanceof Map) named.delete("user");
        const proof = members(named, "invoice", ["root", "index", "size", "inclusion"]);
        return {
          user: or(user, (address) => "0x" + hex(hexed(address, "0x", 40, "user"))),
          root: hash(proof, "root"), index: count(proof, "index"), size: count(proof, "size"), path: pathOf(proof),
        };
      }),
    };
  };
  const top = members(
    value, "receipt", ["format", "session", "bill", "tariff", "leaves", "head", "chain", "settlement_tx"], ["credits"],
  );
  const told = top.has("credits") ? top.get("credits") : [];
  const version = ["wattproof-receipt/1", "wattproof-receipt/2"].indexOf(top.get("format")) + 1;
  if (!version) refuse("not a receipt: format must be 'wattproof-receipt/1' or 'wattproof-receipt/2'");
  const session = members(top.get("session"), "session", [
    "session_id", "session_key", "station_id", "evse_id", "started_at", "ended_at",
  ]);
  const head = members(top.get("head"), "head", ["size", "root", "tx_hash", "block"]);
  const listed = listOf(top.get("leaves"), "leaves", MAX_LEAVES);
  hash(session, "session_key");
  for (const name of ["session_id", "station_id", "started_at", "ended_at"]) text(session, name);
  count(session, "evse_id");
  for (const name of ["bill", "tariff"])
    if (!(top.get(name) instanceof Map)) refuse(`${name} must be an object`);
  const leaves = listed.map((one) => {
    const leaf = members(one, "leaf", ["index", "kind", "salt", "record", "inclusion"], ["commitment"]);
    return {
      index: count(leaf, "index"),
      kind: text(leaf, "kind"),
      salt: hash(leaf, "salt"),
      record: text(leaf, "record"),
      stated: leaf.has("commitment") ? hash(leaf, "commitment") : null,
      path: pathOf(leaf),
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
    creditTxs: listOf(told, "credits", MAX_LEAVES).map((one) => {
      const row = members(one, "credit", ["leaf_index", "tx"]);
      return { leafIndex: count(row, "leaf_index"), tx: or(row.get("tx"), tx) };
    }),
  };
  const isSigned = leaves.some((leaf) => leaf.kind === "signed_meter" || leaf.kind === "meter_key");
  if (version !== (isSigned ? 2 : 1)) refuse("not a receipt: its leaves are not of this format");
  return found;
}
