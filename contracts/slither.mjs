// Runs slither over src/ and compares what it finds with slither.json, where every finding stands with the
// reason why it is accepted. A new finding fails, and so does one that is listed and not found any more.
// Usage: node slither.mjs PATH-OF-SLITHER
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(fileURLToPath(import.meta.url));

/** What a finding says, without line numbers: it stays the same when code moves. */
function describe(finding) {
  return finding.description.replace(/ \([^()]*\.sol#[\d-]+\)/g, "").replace(/\s+/g, " ").trim();
}

/** Runs slither in a folder of its own for what forge builds, and returns its findings. */
function find(slither) {
  const folder = mkdtempSync(join(tmpdir(), "wattproof-slither-"));
  const report = join(folder, "report.json");
  // Unoptimized code has the same faults and compiles three times as fast.
  const env = {
    ...process.env,
    PATH: `${join(ROOT, "node_modules", ".bin")}${delimiter}${process.env.PATH}`,
    FOUNDRY_OUT: join(folder, "out"),
    FOUNDRY_CACHE_PATH: join(folder, "cache"),
    FOUNDRY_OPTIMIZER: "false",
  };
  const options = ["--foundry-out-directory", env.FOUNDRY_OUT, "--filter-paths", "node_modules", "--fail-none"];
  try {
    const run = spawnSync(slither, [".", ...options, "--json", report], { cwd: ROOT, encoding: "utf8", env });
    if (run.error || run.status !== 0) throw new Error(`slither failed:\n${run.error ?? run.stderr}`);
    const { success, error, results } = JSON.parse(readFileSync(report, "utf8"));
    if (!success) throw new Error(`slither failed:\n${error}`);
    return results.detectors ?? [];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const [slither] = process.argv.slice(2);
if (!slither) throw new Error("usage: node slither.mjs PATH-OF-SLITHER");
const accepted = JSON.parse(readFileSync(join(ROOT, "slither.json"), "utf8"));
const unargued = accepted.filter((entry) => !(entry.reason?.length > 20));
const key = (check, says) => `${check}: ${says}`;
const known = new Set(accepted.map((entry) => key(entry.check, entry.says)));
const found = find(resolve(slither)).map((one) => ({ check: one.check, impact: one.impact, says: describe(one) }));
const seen = new Set(found.map((one) => key(one.check, one.says)));
const fresh = found.filter((one) => !known.has(key(one.check, one.says)));
const stale = accepted.filter((entry) => !seen.has(key(entry.check, entry.says)));
for (const one of fresh) console.error(`new, ${one.impact}: ${JSON.stringify({ check: one.check, says: one.says })}`);
for (const entry of stale) console.error(`listed and not found: ${key(entry.check, entry.says)}`);
for (const entry of unargued) console.error(`listed without a reason: ${key(entry.check, entry.says)}`);
if (fresh.length + stale.length + unargued.length > 0) process.exit(1);
console.log(`${found.length} findings, all of them accepted with a reason`);
