// Runs the pinned forge with the arguments given and ends with its exit status. The launcher inside
// the npm package always ends with 0, so a failing test would pass unnoticed through it.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const PLATFORM = process.platform;
const ARCHITECTURE = { x64: "amd64", arm64: "arm64" }[process.arch];
const SUFFIX = PLATFORM === "win32" ? ".exe" : "";

/** Path of the forge executable for this machine. */
export const FORGE = createRequire(import.meta.url).resolve(
  `@foundry-rs/forge-${PLATFORM}-${ARCHITECTURE}/bin/forge${SUFFIX}`,
);

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const run = spawnSync(FORGE, process.argv.slice(2), { stdio: "inherit" });
  if (run.error) throw run.error;
  process.exit(run.status ?? 1);
}
