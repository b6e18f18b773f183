const VERDICTS = ["true", "self-witnessed", "unchecked", "false"]; // weakest last

const made = (name, verdict, reason, isClaimed = true) => ({ name, verdict, reason, is_claimed: isClaimed });

async function outcome(name, check) {
  try {
    return made(name, "true", await check());
  } catch (error) {
    if (error instanceof Wrong) return made(name, "false", error.message);
    if (error instanceof Unproven) return made(name, "unchecked", error.message);
    throw error;
  }
}

const notJudged = (names, why, isClaimed = true) =>
  names.map((name) => made(name, "unchecked", "not judged: " + why, isClaimed));
const SIGNED = ["signed-data", "meter-signature", "signed-registers", "meter-key"];

const hasCredits = ({ creditTxs, leaves }) => creditTxs.length > 0 || leaves.some((leaf) => leaf.kind === "credit");

// All checks of the bytes of a file, in the order of the command line verifier.
async function verifyFile(bytes, { rpc = "", meterKey = "", since = "", heads = [], contracts = null } = {}) {
  const key = meterKey ? readKey(meterKey) : null;
  const [known, published] = asBrought(() => [knownHeads(heads, since), contracts ? parseContracts(contracts) : null]);
  const value = objectOf(bytes, "a receipt", MAX_BYTES);
  const found =
    value.get("format") === FORMATS.cabinet
      ? await cabinetChecks(value, known)
      : await receiptChecks(value, { rpc, key, known, published });
  const claimed = found.checks.filter((one) => one.is_claimed);
  return { verdict: VERDICTS[Math.max(...claimed.map((one) => VERDICTS.indexOf(one.verdict)))], ...found };
}

function asBrought(read) {
  try {
    return read();
  } catch (error) {
    throw error instanceof NotReceipt ? new NotUsable(error.message) : error;
  }
}

async function receiptChecks(value, { rpc, key, known, published }) {
  const receipt = parseReceipt(value);
  receipt.leaves.forEach(hashLeaf);
  await compareHashes(receipt.leaves);
  const checks = [made("format", "true", `a receipt, version ${receipt.version}`)];
  let [records, opened] = [null, null];
  checks.push(
    await outcome("canonical", () => {
      records = receipt.leaves.map(readRecord);
      return `${counted(records.length, "record")} in canonical form`;
    }),
  );
  if (!records) checks.push(...notJudged(["records"], "a record is not canonical"));
  else
    checks.push(
      await outcome("records", () => {
        opened = openReceipt(receipt, records);
        return "of one session, in order: a start, its readings, a settlement";
      }),
    );
  const parts = [
    ["commitment", checkCommitment], ["inclusion", checkInclusion], ["readings", checkReadings],
    ["registers", checkRegisters], ["bill", checkBillAndTariff], ["settlement", checkSettlement],
  ];
  if (receipt.leaves.some((leaf) => leaf.kind === "decision")) parts.push(["decision", checkDecision]);
  if (hasCredits(receipt)) parts.push(["credits", checkCredits]);
  if (invoicesOf(receipt).length) parts.push(["invoice", checkInvoices]);
  const alone = ["commitment", "inclusion", "bill"];
  const why = "the records do not hold";
  for (const [name, check] of parts)
    if (opened || alone.includes(name)) checks.push(await outcome(name, () => check(receipt, opened)));
    else checks.push(...notJudged([name], why));
  if (opened) checks.push(...(await checkSigned(receipt, opened, key)));
  else checks.push(...notJudged(SIGNED, why, receipt.version > 1 || key !== null));
  checks.push(checkConsistency(known, receipt.head), checkPublished(published, receipt.chain));
  checks.push(...(await checkChain(receipt, opened, rpc, published)));
  return { checks, receipt, isOpened: opened !== null };
}

// Where the browser has SHA-256 itself, both must come to the same commitments.
async function compareHashes(leaves) {
  if (!subtle()) return;
  for (const leaf of leaves) {
    const found = new Uint8Array(await subtle().digest("SHA-256", leaf.committed));
    if (!isSame(found, leaf.commitment)) throw new Error("this browser computes SHA-256 in two ways");
  }
}
