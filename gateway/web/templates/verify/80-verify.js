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

// All checks of the bytes of a receipt, in the order of the command line verifier.
async function verifyReceipt(bytes, { rpc = "", meterKey = "" } = {}) {
  const given = meterKey ? readKey(meterKey) : null;
  const receipt = parseReceipt(bytes);
  const checks = [made("format", "true", `a receipt, version ${receipt.version}`)];
  const report = () => ({
    verdict: VERDICTS[Math.max(...checks.filter((one) => one.is_claimed).map((one) => VERDICTS.indexOf(one.verdict)))],
    checks,
    receipt,
  });
  let opened = null;
  checks.push(
    await outcome("records", () => {
      opened = openReceipt(receipt);
      return `${receipt.leaves.length} canonical records of one session`;
    }),
  );
  if (!opened) return report();
  await compareHashes(receipt);
  const parts = [
    ["inclusion", checkInclusion], ["readings", checkReadings], ["registers", checkRegisters],
    ["bill", checkBillAndTariff], ["settlement", checkSettlement],
  ];
  if (opened.decision) parts.push(["decision", checkDecision]);
  if (opened.credits.length || receipt.creditTxs.length) parts.push(["credits", checkCredits]);
  if (invoicesOf(receipt).length) parts.push(["invoice", checkInvoices]);
  for (const [name, check] of parts) checks.push(await outcome(name, () => check(receipt, opened)));
  checks.push(...(await checkSigned(receipt, opened, given)));
  for (const [name, what] of [["consistency", "heads of other times"], ["contracts", "what the operator publishes"]])
    checks.push(made(name, "unchecked", `not compared here: wattproof verify takes ${what}`, false));
  checks.push(...(await checkChain(receipt, opened, rpc)));
  return report();
}

// Where the browser has SHA-256 itself, both must come to the same commitments.
async function compareHashes(receipt) {
  if (!subtle()) return;
  for (const leaf of receipt.leaves) {
    const found = new Uint8Array(await subtle().digest("SHA-256", leaf.committed));
    if (!isSame(found, leaf.commitment)) throw new Error("this browser computes SHA-256 in two ways");
  }
}
