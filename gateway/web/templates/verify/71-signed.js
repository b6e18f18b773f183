// From the bill down to the meter's signature.
async function checkSigned(receipt, opened, given) {
  const { settlement, start, signed, keys } = opened;
  const facts = settlement.body;
  if (facts.get("signed_verdict") !== "ok") return checkUnsigned(facts, signed, keys, given);
  const found = [];
  const add = async (name, check) => {
    found.push(await outcome(name, check));
    return found.at(-1).verdict === "true";
  };
  const count = counted(signed.length, "signed record");
  let [pinned, read] = [null, []];
  const hasData = await add("signed-data", () => {
    if (signed.length > 1000) throw new Wrong("more than 1000 signed records");
    if (!signed.length || BigInt(signed.length) !== facts.get("signed_count"))
      throw new Wrong(`${count}, the settlement counts another number`);
    if (hex(treeRoot(signed.map((leaf) => leaf.hash))) !== facts.get("signed_root"))
      throw new Wrong("the signed records are not those that were settled");
    if (signed.some((leaf) => leaf.index > settlement.index)) throw new Wrong("a signed record stands after the settlement");
    pinned = pinnedKey(settlement, start, keys);
    return `complete: ${count}, as settled; the key was pinned in leaf ${keys[0].index}`;
  });
  if (!hasData) return [...found, ...notJudged(SIGNED.slice(1), "the signed data does not hold")];
  const key = given ?? pinned;
  const isProven = await add("meter-signature", async () => {
    read = signed.map(({ index, body }) => {
      if (body.get("format") !== "OCMF") throw new Wrong(`leaf ${index} is in no format known here`);
      return readOcmf(body.get("text"));
    });
    for (const one of read) {
      if (one.curve !== key.curve.name)
        throw new Wrong(`record ${one.pageText} is signed on ${one.curve}, not on ${key.curve.name}`);
      if (!(await isSignedBy(key, one.signed, one.signature)))
        throw new Wrong(`record ${one.pageText} was not signed by the key ${fingerprint(key)}`);
    }
    const serial = keys[0].body.get("meter_serial");
    for (const one of read)
      if (serial !== null && one.meter !== serial)
        throw new Wrong(`signed by meter ${one.meter}, the key was pinned to ${serial}`);
    return `${count} of meter ${read[0].meter || "?"}, by the ${given ? "given" : "pinned"} key`;
  });
  if (!isProven) found.push(...notJudged(["signed-registers"], "a signature does not hold"));
  else
    await add("signed-registers", () => {
      const course = courseOf(read);
      for (const [name, reading] of [["start", course.begin], ["end", course.end]]) {
        const billed = receipt.bill.get(`register_${name}_milliwh`);
        if (billed !== reading.milliwh)
          throw new Wrong(`the bill's ${name} register is ${billed} mWh, the meter signed ${reading.milliwh} mWh`);
      }
      const told = [course.begin, course.end].map((one) => `${one.milliwh} mWh at ${one.at}`).join(", ");
      return `the bill has what the meter signed as ${course.register || "its register"}: ${told}`;
    });
  found.push(comparedKeys(pinned, given));
  return found;
}

function checkUnsigned(facts, signed, keys, given) {
  const verdict = facts.get("signed_verdict") ?? null;
  const reasons = facts.get("signed_reasons");
  const why = Array.isArray(reasons) ? ` (${reasons.map(String).join(", ")})` : "";
  const name = "meter-signature";
  let found = null;
  if (signed.length || keys.length) found = made(name, "false", "signed data in it that the settlement does not count");
  else if (verdict === null || verdict === "unsigned")
    found = made(name, "unchecked", "not signed by the meter: the bill rests on the station's word", false);
  else if (verdict === "unverified" || verdict === "failed")
    found = made(name, "unchecked", `not proven by the meter: its signed data was ${verdict}${why}`, false);
  else found = made(name, "false", "the settlement says nothing known of signed data");
  const left = notJudged(SIGNED.filter((one) => one !== name), "the bill rests on no signed data", false);
  if (given) left[2] = made("meter-key", "false", "there is no signature to hold against it");
  return [left[0], found, left[1], left[2]];
}

// The key that was pinned to this meter when the session was settled.
function pinnedKey(settlement, start, keys) {
  if (keys.length !== 1) throw new Wrong("a signed receipt has one leaf with a key");
  const [{ index, body }] = keys;
  if (index !== settlement.body.get("meter_key_leaf_index"))
    throw new Wrong(`leaf ${index} is not the key that was settled by`);
  if (index > settlement.index) throw new Wrong("the key was pinned after the settlement");
  for (const name of ["station_id", "evse_id"])
    if (body.get(name) !== start.body.get(name)) throw new Wrong(`leaf ${index} is the key of another meter`);
  const [curve, point] = [body.get("curve"), body.get("public_key")];
  if (!isText(curve) || !isText(point)) throw new Wrong(`leaf ${index} withdraws a key`);
  return keyOf(curve, point);
}

function comparedKeys(pinned, given) {
  const name = "meter-key";
  const mine = fingerprint(pinned);
  if (!given) return made(name, "unchecked", `that ${mine} is the meter's key is the operator's word`, false);
  if (given.curve === pinned.curve && isSame(coordinates(given), coordinates(pinned)))
    return made(name, "true", `${mine} was pinned, and is the given one`);
  return made(name, "false", `pinned was ${mine}, given is ${fingerprint(given)}`);
}
