// Questions to a node of the reader's choice; the only requests that this page makes.
class Unasked extends Error {}

const quantity = (value) => {
  if (!isText(value) || !/^0x[0-9a-fA-F]+$/.test(value)) throw new Unasked("the node answers nonsense");
  return BigInt(value);
};
const blob = (value) => {
  if (!isText(value) || !/^0x([0-9a-fA-F]{2})*$/.test(value)) throw new Unasked("the node answers nonsense");
  return value.slice(2).toLowerCase();
};

function nodeAt(url) {
  return async (method, ...params) => {
    let answer;
    try {
      const response = await fetch(url, {
        method: "POST", credentials: "omit", referrerPolicy: "no-referrer", redirect: "error",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        signal: AbortSignal.timeout(15_000),
      });
      answer = await response.json();
    } catch (error) {
      throw new Unasked(`the chain does not answer: ${error.message}`);
    }
    if (!answer || typeof answer !== "object" || answer.error || !("result" in answer)) throw new Unasked("the node refuses " + method);
    return answer.result;
  };
}

// Code of a release of a contract, values fixed at deployment aside.
function isContract(name, code) {
  return CONTRACTS.code[name].some(([size, holes, digest]) => {
    if (code.length !== size) return false;
    const own = code.slice();
    for (const hole of holes) own.fill(0, hole, hole + 32);
    return hex(sha256(own)) === digest;
  });
}

function eventsOf(name, address, logs) {
  const { topic, topics, data } = CONTRACTS.events[name];
  return logs
    .filter((log) => log.address === address && log.topics[0] === topic)
    .map((log) => {
      if (log.topics.length !== topics.length + 1 || log.data.length < 64 * data.length)
        throw new Unasked("malformed event " + name);
      const found = {};
      topics.forEach((one, at) => (found[one] = log.topics[at + 1]));
      data.forEach((one, at) => (found[one] = log.data.slice(64 * at, 64 * at + 64)));
      return found;
    });
}

const word = (number) => BigInt(number).toString(16).padStart(64, "0");

async function checkChain(receipt, opened, url, published) {
  const names = ["chain", "code", "head", "settlement-on-chain"];
  if (hasCredits(receipt)) names.push("credits-on-chain");
  const all = (reason) => names.map((name) => made(name, "unchecked", reason));
  if (!receipt.chain) return all("the receipt names no chain: no anchor was made");
  if (!url) return all("no chain was asked: give the address of a node");
  try {
    return await askedChain(receipt, opened, nodeAt(url), names, published);
  } catch (error) {
    if (error instanceof Unasked) return all(error.message);
    throw error;
  }
}

async function askedChain(receipt, opened, ask, names, published) {
  const { chain: named, head, settlementTx, session, bill } = receipt;
  const found = [];
  const add = async (check) => {
    found.push(await outcome(names[found.length], check));
    return found.at(-1).verdict !== "false";
  };
  const others = (why) => [...found, ...notJudged(names.slice(found.length), why)];

  const minedIn = async (tx) => {
    const found = await ask("eth_getTransactionReceipt", "0x" + tx.txHash);
    if (found === null || found.blockNumber === null) throw new Wrong("the transaction is not on this chain");
    if (blob(found.transactionHash) !== tx.txHash) throw new Unasked("the node answers nonsense");
    if (quantity(found.status) !== 1n) throw new Wrong("the transaction failed");
    const block = quantity(found.blockNumber);
    if (block !== tx.block) throw new Wrong(`the transaction is in block ${block}, not ${tx.block}`);
    if (!Array.isArray(found.logs)) throw new Unasked("the node answers nonsense");
    return found.logs.map((log) => {
      if (!Array.isArray(log?.topics)) throw new Unasked("the node answers nonsense");
      return { address: "0x" + blob(log.address), topics: log.topics.map(blob), data: blob(log.data) };
    });
  };

  const isNamed = await add(async () => {
    const id = quantity(await ask("eth_chainId"));
    if (id !== named.id) throw new Wrong(`another chain: id ${id}`);
    const genesis = await ask("eth_getBlockByNumber", "0x0", false);
    if ("0x" + blob(genesis?.hash) !== named.genesis) throw new Wrong("another chain: its genesis block differs");
    return `chain ${id}, with its genesis block; asked over RPC`;
  });
  if (!isNamed) return others("that is another chain");
  const isKnown = await add(async () => {
    for (const name of ["StatusAnchor", "Settlement"]) {
      const code = unhex(blob(await ask("eth_getCode", named[name], "latest")));
      if (!isContract(name, code)) throw new Wrong(`the code at ${named[name]} is not ${name}`);
      const known = published?.contracts.get(name);
      if (known && hex(sha256(code)) !== known.code) throw new Wrong(`the code at ${named[name]} is not what is published`);
    }
    return `StatusAnchor and Settlement have ${published ? "known and published" : "known"} code at their addresses`;
  });
  if (!isKnown) return others("those are other contracts");
  await add(async () => {
    if (head.txHash === null || head.block === null) throw new Unproven("not anchored yet");
    const events = eventsOf("HeadAnchored", named.StatusAnchor, await minedIn(head));
    if (!events.some((one) => one.size === word(head.size) && one.root === hex(head.root)))
      throw new Wrong("that transaction anchored another head");
    const depth = quantity(await ask("eth_blockNumber")) - head.block;
    return `anchored in block ${head.block}, ${counted(Number(depth), "block")} deep`;
  });
  if (!opened) return others("the records do not hold");
  await add(async () => {
    if (!settlementTx) throw new Unproven("not settled on chain yet");
    const logs = await minedIn(settlementTx);
    const proof = settlementTx.invoice;
    if (proof) {
      const window = windowOf(proof, opened.settlement.hash, named, logs);
      await checkClosed(window, opened.start.index, named, ask);
      if (proof.user !== null) checkNetted(window, proof, bill);
      return `invoice ${proof.index + 1n} of ${proof.size} recorded in block ${settlementTx.block}, and its session is closed`;
    }
    const events = eventsOf("SessionSettled", named.Settlement, logs);
    const mine = events.find((one) => one.sessionKey === session.get("session_key"));
    const expected = {
      startLeafIndex: word(opened.start.index),
      leafHash: hex(opened.settlement.hash),
      energyMilliWh: isInt(bill.get("energy_milliwh")) ? word(bill.get("energy_milliwh")) : null,
      amountMinor: isInt(bill.get("amount_minor")) ? word(bill.get("amount_minor")) : null,
      currency: hex(toBytes(String(bill.get("currency")))) + "0".repeat(58), // three bytes, and no more
    };
    if (!mine) return settledBefore(expected, session.get("session_key"), named, ask, logs);
    for (const [name, value] of Object.entries(expected))
      if (mine[name] !== value) throw new Wrong(`settled on chain with another ${name}`);
    return `settled in block ${settlementTx.block}`;
  });
  if (found.length < names.length) await add(() => checkRecorded(receipt, opened, ask, minedIn));
  return found;
}

// A settlement that was sent again is skipped, and its event tells only its key: the contract is asked
// what it holds. Flexibility is a part of that, and no part of a receipt.
async function settledBefore(expected, key, named, ask, logs) {
  const row = Object.values(expected);
  if (!row.every((one) => /^[0-9a-f]{64}$/.test(one)) || !eventsOf("SettlementRepeated", named.Settlement, logs).some((one) => one.sessionKey === key))
    throw new Wrong("that transaction did not settle this session");
  const content = blob(await ask("eth_call", { to: named.Settlement, data: "0x" + CONTRACTS.calls.settledContent + key }, "latest"));
  if (content.length < 64) throw new Unasked("the node answers nonsense");
  if (content.slice(0, 64) !== hex(keccak256(unhex([key, ...row, word(0n), word(0n)].join("")))))
    throw new Unproven("settled before that transaction, otherwise or with flexibility");
  return "settled before that transaction, which sent it again";
}

// The window that a transaction recorded, with a leaf among its invoices.
function windowOf(proof, leaf, named, logs) {
  if (!holdsInvoice(proof, leaf)) throw new Wrong("its leaf is not among the invoices of that transaction");
  if (proof.user !== null) {
    const windows = eventsOf("WindowNetted", named.Settlement, logs);
    const rows = eventsOf("UserNetted", named.Settlement, logs).filter(
      (one) => one.sessionsRoot === hex(proof.root) && one.user === proof.user.slice(2).padStart(64, "0"),
    );
    for (const row of rows) {
      const window = windows.find((one) => one.fromLeaf === row.fromLeaf);
      if (window) return { ...window, ...row };
    }
    throw new Wrong("that transaction netted other sessions, or for another");
  }
  const found = eventsOf("InvoicesRecorded", named.Settlement, logs).find((one) => one.invoicesRoot === hex(proof.root));
  if (!found) throw new Wrong("that transaction recorded other invoices");
  return found;
}

// A row of one session says what that cost; one of several is a sum.
function checkNetted(window, proof, bill) {
  const said = (name) => (isInt(bill.get(name)) ? word(bill.get(name)) : null);
  if (window.currency !== hex(toBytes(String(bill.get("currency")))) + "0".repeat(58)) throw new Wrong("it was netted in another currency");
  if (proof.size !== 1n) return;
  if (window.energyMilliWh !== said("energy_milliwh")) throw new Wrong("it was netted with another energy");
  if (window.amountMinor !== said("amount_minor")) throw new Wrong("it was netted with another amount");
}

// Holds a session's start against its window, and against settlement elsewhere.
async function checkClosed(window, start, named, ask) {
  if (word(start) >= window.toLeaf) throw new Wrong("its session starts after the window that recorded it");
  const asked = async (name) => {
    const call = { to: named.Settlement, data: "0x" + CONTRACTS.calls[name] + word(start) };
    const answer = blob(await ask("eth_call", call, "latest"));
    if (answer !== word(0) && answer !== word(1)) throw new Unasked("the node answers nonsense");
    return answer === word(1);
  };
  if (!isContract("Settlement", unhex(blob(await ask("eth_getCode", named.Settlement, "latest")))))
    throw new Wrong("the contract is not Settlement");
  if (await asked("isStartLeafSettled")) throw new Wrong("its session was settled a second time, alone");
  if (!(await asked("isStartLeafClosed"))) throw new Wrong("its session is open on chain: it could settle again");
}

// A credit that was sent again is skipped, and its event tells only its key: the contract is asked
// whether it holds exactly this row.
async function repeated(expected, flex, chain, ask, logs) {
  const { creditKey, leafHash, amountMinor, sessionKey, user } = expected;
  const [name, keys] = user === undefined ? ["CreditRepeated", { sessionKey, creditKey }] : ["NettedCreditRepeated", { user, creditKey }];
  const found = eventsOf(name, chain.Settlement, logs).find((event) => Object.entries(keys).every(([key, value]) => event[key] === value));
  if (!found) return undefined;
  const row = [creditKey, leafHash, amountMinor];
  if (user === undefined) row.unshift(sessionKey);
  else row.unshift(found.fromLeaf, user);
  if (user !== undefined || flex) row.push(word(flex));
  const call = { to: chain.Settlement, data: "0x" + CONTRACTS.calls.creditContent + creditKey };
  const content = blob(await ask("eth_call", call, "latest"));
  if (content.length < 64) throw new Unasked("the node answers nonsense");
  return content.slice(0, 64) === hex(keccak256(unhex(row.join("")))) ? found : undefined;
}

async function checkRecorded({ creditTxs, chain, session, settlementTx }, { credits }, ask, minedIn) {
  if (creditTxs.map((one) => one.leafIndex).join() !== credits.map((one) => one.index).join())
    throw new Wrong("the receipt tells of other credits than it proves");
  let [recorded, inWindows, againstRows] = [0n, 0n, 0n];
  const user = settlementTx?.invoice?.user ?? null;
  for (const [at, { hash, body }] of credits.entries()) {
    const { tx } = creditTxs[at];
    if (!tx) continue;
    const logs = await minedIn(tx);
    if (tx.invoice) {
      windowOf(tx.invoice, hash, chain, logs);
      inWindows += body.get("amount_minor");
      continue;
    }
    const expected = { creditKey: body.get("credit_key"), leafHash: hex(hash), amountMinor: word(body.get("amount_minor")) };
    if (user === null) expected.sessionKey = session.get("session_key");
    else expected.user = user.slice(2).padStart(64, "0");
    const name = user === null ? "CreditRecorded" : "NettedCreditRecorded";
    const found =
      eventsOf(name, chain.Settlement, logs).find((event) => Object.entries(expected).every(([key, value]) => event[key] === value)) ??
      (await repeated(expected, body.get("flex_milliwh") ?? 0n, chain, ask, logs));
    if (!found) throw new Wrong(`credit ${body.get("ordinal")}: that transaction recorded another`);
    if (user !== null) {
      againstRows += body.get("amount_minor");
      const row = { to: chain.Settlement, data: "0x" + CONTRACTS.calls.nettedCredits + found.fromLeaf + found.user };
      const counts = blob(await ask("eth_call", row, "latest"));
      if (counts.length < 128) throw new Unasked("the node answers nonsense");
      if (BigInt("0x" + counts.slice(0, 64)) < againstRows) throw new Wrong("the contract counts less credit of its row");
      continue;
    }
    recorded += body.get("amount_minor");
  }
  const call = { to: chain.Settlement, data: "0x" + CONTRACTS.calls.settledAmounts + session.get("session_key") };
  const amounts = blob(await ask("eth_call", call, "latest"));
  if (amounts.length < 128) throw new Unasked("the node answers nonsense");
  const credited = BigInt("0x" + amounts.slice(64, 128));
  if (credited < recorded) throw new Wrong(`the contract counts credits of ${credited}, not ${recorded}`);
  if (creditTxs.some((one) => !one.tx)) throw new Unproven("a credit is not on chain yet");
  const later = credited > recorded ? `; ${credited - recorded} more were credited since` : "";
  return `credits of ${recorded + inWindows + againstRows} minor units are recorded${later}`;
}
