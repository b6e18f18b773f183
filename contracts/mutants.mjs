// Shows that the tests can fail: breaks one rule of one contract at a time, in a copy, and demands that
// a test notices. A rule marked `invariant` must be noticed by the invariants alone.
// Usage: node mutants.mjs [part of a name]
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(fileURLToPath(import.meta.url));
const COPIED = ["src", "test", "foundry.toml", "package.json", "solcjs-bin.mjs"];

/** Each mutant: what is broken, where, and the text that stands there once and what replaces it. */
const MUTANTS = [
  {
    name: "leaf and node prefix are the same",
    file: "MerkleLog",
    find: "bytes.concat(bytes1(0x01), left, right)",
    replace: "bytes.concat(bytes1(0x00), left, right)",
  },
  {
    name: "inclusion beyond the size",
    file: "MerkleLog",
    find: "if (leafIndex >= size) return false;",
    replace: "if (leafIndex > size) return false;",
  },
  {
    name: "inclusion proof may end early",
    file: "MerkleLog",
    find: "return last == 0 && hash == root;",
    replace: "return hash == root;",
  },
  {
    name: "consistency proof may end early",
    file: "MerkleLog",
    find: "return last == 0 && oldHash == oldRoot && newHash == newRoot;",
    replace: "return oldHash == oldRoot && newHash == newRoot;",
  },
  {
    name: "consistency ignores the old root",
    file: "MerkleLog",
    find: "return last == 0 && oldHash == oldRoot && newHash == newRoot;",
    replace: "return last == 0 && newHash == newRoot;",
    invariant: true,
  },
  {
    name: "consistency ignores the new root",
    file: "MerkleLog",
    find: "return last == 0 && oldHash == oldRoot && newHash == newRoot;",
    replace: "return last == 0 && oldHash == oldRoot;",
  },
  {
    name: "consistency treats every old tree as complete",
    file: "MerkleLog",
    find: "oldSize & (oldSize - 1) == 0 ? 0 : 1",
    replace: "0",
    invariant: true,
  },
  {
    name: "lone levels are not skipped",
    file: "MerkleLog",
    find: "while (node & 1 == 0 && node != 0) {",
    replace: "while (false) {",
    invariant: true,
  },
  {
    name: "anchor without the consistency check",
    file: "StatusAnchor",
    find: "!MerkleLog.isConsistent(currentSize, _root, newSize, newRoot, consistencyProof)",
    replace: "false",
    invariant: true,
  },
  {
    name: "anchor may repeat or shrink",
    file: "StatusAnchor",
    find: "if (newSize <= currentSize) revert",
    replace: "if (newSize < currentSize && newSize > 1 << 60) revert",
    invariant: true,
  },
  {
    name: "anchor forgets the root",
    file: "StatusAnchor",
    find: "_root = newRoot;",
    replace: "",
    invariant: true,
  },
  {
    name: "torn status records",
    file: "StatusAnchor",
    find: "packedStatus.length % STATUS_RECORD_BYTES != 0",
    replace: "false",
  },
  {
    name: "anyone anchors",
    file: "StatusAnchor",
    find: "        onlyRole(ANCHORER_ROLE)\n",
    replace: "",
  },
  {
    name: "anchor while paused",
    file: "StatusAnchor",
    find: "        whenNotPaused\n",
    replace: "",
  },
  {
    name: "the pauser starts again",
    file: "Stoppable",
    find: "function unpause() external onlyRole(DEFAULT_ADMIN_ROLE)",
    replace: "function unpause() external onlyRole(PAUSER_ROLE)",
  },
  {
    name: "private asset with a latitude",
    file: "AssetRegistry",
    find: "if (latitudeE7 != 0 || longitudeE7 != 0) revert",
    replace: "if (longitudeE7 != 0) revert",
  },
  {
    name: "private asset without a commitment",
    file: "AssetRegistry",
    find: "if (record.commitment == bytes32(0)) revert",
    replace: "if (false) revert",
  },
  {
    name: "two assets under one status reference",
    file: "AssetRegistry",
    find: "if (takenBy != bytes32(0)) revert",
    replace: "if (false) revert",
  },
  {
    name: "updates are counted",
    file: "AssetRegistry",
    find: "_assets[record.assetId].kind == 0;",
    replace: "true;",
  },
  {
    name: "one session settles twice",
    file: "Settlement",
    find: "session.content != bytes32(0) || isStartLeafSettled(startLeafIndex)",
    replace: "isStartLeafSettled(startLeafIndex)",
    invariant: true,
  },
  {
    name: "one session settles under two salts",
    file: "Settlement",
    find: "session.content != bytes32(0) || isStartLeafSettled(startLeafIndex)",
    replace: "session.content != bytes32(0)",
    invariant: true,
  },
  {
    name: "repeated rows are refused",
    file: "Settlement",
    find: "if (session.content == content) {",
    replace: "if (false) {",
    invariant: true,
  },
  {
    name: "start leaves share a bit",
    file: "Settlement",
    find: "_usedStartLeaves[startLeafIndex >> 8] |= 1 << (startLeafIndex & 0xff);",
    replace: "_usedStartLeaves[startLeafIndex >> 8] |= type(uint256).max;",
    invariant: true,
  },
  {
    name: "flexibility is minted in milliwatt-hours",
    file: "Settlement",
    find: "row.flexMilliWh / MILLI_WH_PER_FLEX_UNIT",
    replace: "row.flexMilliWh",
    invariant: true,
  },
  {
    name: "credits without a limit",
    file: "Settlement",
    find: "if (row.amountMinor > leftMinor) {",
    replace: "if (false) {",
    invariant: true,
  },
  {
    name: "credits are not added up",
    file: "Settlement",
    find: "session.creditedMinor += row.amountMinor;",
    replace: "session.creditedMinor = row.amountMinor;",
    invariant: true,
  },
  {
    name: "repeated credits count again",
    file: "Settlement",
    find: "creditContent[row.creditKey] = content;",
    replace: "",
    invariant: true,
  },
  {
    name: "credit for an unknown session",
    file: "Settlement",
    find: "if (session.content == bytes32(0)) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "transfers are open",
    file: "FlexToken",
    find: "if (!transfersEnabled) revert",
    replace: "if (false) revert",
  },
  {
    name: "anyone mints",
    file: "FlexToken",
    find: "external onlyRole(MINTER_ROLE) whenNotPaused",
    replace: "external whenNotPaused",
  },
  {
    name: "redemption stops with the contract",
    file: "FlexToken",
    find: "function burn(uint256 amountWh) external {",
    replace: "function burn(uint256 amountWh) external whenNotPaused {",
  },
  {
    name: "a release can be replaced",
    file: "AlgorithmRegistry",
    find: "if (isPublished(algorithmId)) revert",
    replace: "if (false) revert",
  },
];

function forge(folder, options) {
  const run = spawnSync(join(ROOT, "node_modules", ".bin", "forge"), ["test", "--fail-fast", ...options], {
    cwd: folder,
    encoding: "utf8",
  });
  return { passed: run.status === 0, failedTest: run.stdout.includes("[FAIL"), text: run.stdout + run.stderr };
}

/** Runs the tests on one mutant and says what went wrong with it; null when it was noticed. */
function judge(folder, mutant) {
  const path = join(folder, "src", `${mutant.file}.sol`);
  const original = readFileSync(path, "utf8");
  if (original.split(mutant.find).length !== 2) return "its text does not stand exactly once in the source";
  writeFileSync(path, original.replace(mutant.find, () => mutant.replace));
  try {
    const filter = mutant.invariant ? ["--match-test", "^invariant_"] : ["--no-match-contract", "GasTest"];
    // Warnings that a mutant causes (an unused parameter, say) must not hide it.
    const result = forge(folder, ["--deny", "never", ...filter]);
    if (result.passed) return "SURVIVED";
    return result.failedTest ? null : `the tests did not run:\n${result.text}`;
  } finally {
    writeFileSync(path, original);
  }
}

const wanted = MUTANTS.filter((mutant) => mutant.name.includes(process.argv[2] ?? ""));
const folder = mkdtempSync(join(tmpdir(), "wattproof-mutants-"));
let survivors = 0;
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const honest = forge(folder, ["--no-match-contract", "GasTest"]);
  if (!honest.passed) throw new Error(`the tests fail without any mutant:\n${honest.text}`);
  for (const mutant of wanted) {
    const problem = judge(folder, mutant);
    if (problem !== null) survivors += 1;
    console.log(`${problem === null ? "noticed " : "PROBLEM "} ${mutant.file}: ${mutant.name}`);
    if (problem !== null) console.log(`         ${problem}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`${wanted.length - survivors} of ${wanted.length} mutants noticed`);
process.exit(survivors === 0 && wanted.length > 0 ? 0 : 1);
