#!/usr/bin/env node
// Gives forge the pinned npm compiler behind the two options of `solc` that it uses,
// so that tests need no compiler download and compile with what the artifacts compile with.
import { readFileSync } from "node:fs";
import solc from "solc";

const options = process.argv.slice(2);
if (options.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (options.includes("--standard-json")) {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
} else {
  console.error(`expected --version or --standard-json, got: ${options.join(" ")}`);
  process.exit(2);
}
