// A cabinet's history: timestep by timestep, and none left out.
function parseCabinet(value) {
  const top = members(value, "file", ["format", "cabinet_id", "head", "steps"]);
  const head = members(top.get("head"), "head", ["size", "root"]);
  return {
    cabinetId: text(top, "cabinet_id"),
    head: { size: count(head, "size"), root: hash(head, "root") },
    steps: listOf(top.get("steps"), "steps", MAX_LEAVES).map((one) => {
      const step = members(one, "step", ["leaf", "members"]);
      const leaf = members(step.get("leaf"), "leaf", ["index", "salt", "record", "inclusion"]);
      return {
        leaf: {
          index: count(leaf, "index"), kind: "cabinet", salt: hash(leaf, "salt"), record: text(leaf, "record"),
          path: pathOf(leaf), stated: null,
        },
        members: listOf(step.get("members"), "members", MAX_LEAVES).map((each) => {
          const row = members(each, "member", ["index", "kind", "commitment", "salt", "record"]);
          const isErased = row.get("salt") === null || row.get("record") === null;
          return {
            index: count(row, "index"), kind: text(row, "kind"), stated: hash(row, "commitment"),
            salt: isErased ? null : hash(row, "salt"), record: isErased ? null : text(row, "record"),
          };
        }),
      };
    }),
  };
}

function gatheredSteps({ cabinetId, head, steps }) {
  const isLike = (one, other) => canonicalText(one ?? null) === canonicalText(other ?? null);
  let before = null;
  steps.forEach(({ leaf, members: shown }, at) => {
    if (leaf.body.get("cabinet_id") !== cabinetId) throw new Wrong(`step ${at} is of another cabinet`);
    if (at && !isLike(leaf.body.get("previous_leaf_index"), before))
      throw new Wrong(`a timestep is missing before step ${at}`);
    before = leaf.index;
    if (
      hex(treeRoot(shown.map((one) => leafHash(one.stated)))) !== leaf.body.get("leaves_root") ||
      !isLike(leaf.body.get("leaf_indexes"), shown.map((one) => one.index)) ||
      leaf.body.get("leaves_count") !== BigInt(shown.length)
    )
      throw new Wrong(`step ${at} gathers other leaves than those shown`);
  });
  const first = steps.length ? steps[0].leaf.body.get("previous_leaf_index") ?? null : null;
  if (first !== null && !isInt(first)) throw new Wrong("the first timestep goes on from no leaf");
  if (!steps.length) throw new Unproven("the file shows no timestep");
  const begin = first === null ? "from its beginning" : `after the timestep of leaf ${first}`;
  const all = steps.flatMap((one) => one.members);
  const erased = all.filter((one) => one.record === null).length;
  const told = counted(all.length, "leaf", "leaves") + (erased ? `, ${erased} of them erased` : "");
  return `${counted(steps.length, "timestep")} of ${cabinetId} ${begin}, none left out, with ${told}, in a log of ${head.size}`;
}

async function cabinetChecks(value, known) {
  const file = parseCabinet(value);
  const all = file.steps.flatMap((step) => step.members);
  const shown = all.filter((one) => one.record !== null);
  const read = [...file.steps.map((step) => step.leaf), ...shown];
  read.forEach(hashLeaf);
  const size = `${counted(file.steps.length, "timestep")}, ${counted(all.length, "leaf", "leaves")}`;
  const checks = [made("format", "true", `a cabinet's history, ${size}`)];
  checks.push(
    await outcome("canonical", () => {
      for (const leaf of read) {
        const { kind, body } = readRecord(leaf);
        if (kind !== leaf.kind) throw new Wrong(`leaf ${leaf.index} is of another kind: ${kind}`);
        leaf.body = body;
      }
      return "every record is in canonical form, and of the kind stated";
    }),
  );
  const isRead = checks[1].verdict === "true";
  checks.push(
    await outcome("commitment", () => {
      for (const leaf of shown)
        if (!isSame(leaf.stated, leaf.commitment)) throw new Wrong(`leaf ${leaf.index} is not that of its record`);
      return `${counted(shown.length, "commitment")} computed, as stated`;
    }),
    await outcome("inclusion", () => {
      for (const { leaf } of file.steps)
        if (!isUnder(leaf, file.head)) throw new Wrong(`leaf ${leaf.index} is not under this head`);
      return `${counted(file.steps.length, "timestep")} in the log of ${file.head.size}`;
    }),
    isRead ? await outcome("sub-trees", () => gatheredSteps(file)) : notJudged(["sub-trees"], "a record does not hold")[0],
    checkConsistency(known, file.head),
  );
  await compareHashes(read);
  return { checks };
}
