// Compiles src/*.sol with the pinned compiler and writes, or with --check compares, artifacts/*.json.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import solc from "solc";

const ROOT = dirname(fileURLToPath(import.meta.url));
const CONTRACTS = ["AlgorithmRegistry", "AssetRegistry", "Escrow", "FlexToken", "Settlement", "StatusAnchor"];
/** Code of earlier releases, which deployments still run: frozen, by the SHA-256 of each file. */
const RELEASED = {
  "1/AssetRegistry.json": "845f10921523819195ca8f31e108cf096f5578b38a017a25ae654ed70e39d2cc",
  "1/FlexToken.json": "1e9ddaaf648e1f968dbdf12e57abe92a957f488703cc854f3a06e0e77fb1dd59",
  "1/Settlement.json": "7a6abebd954f4a01262b5000339a812f660fb1db1baf7fdcc2c108b85bd31e0b",
  "1/StatusAnchor.json": "d46e55224b6e50787cdcdc36bc74aaa0e395a2ecc59f846268cc8ed25c2439f1",
};
const EVM_VERSION = "prague";
const OPTIMIZER_RUNS = 10_000;

/** Reads a source by its import path; `@` paths are packages. */
function readSource(path) {
  return readFileSync(join(ROOT, path.startsWith("@") ? "node_modules" : "", path), "utf8");
}

function compile() {
  const sources = {};
  for (const name of readdirSync(join(ROOT, "src")).sort()) {
    if (name.endsWith(".sol")) sources[`src/${name}`] = { content: readSource(`src/${name}`) };
  }
  const input = {
    language: "Solidity",
    sources,
    settings: {
      evmVersion: EVM_VERSION,
      optimizer: { enabled: true, runs: OPTIMIZER_RUNS },
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: {
        "*": { "*": ["abi", "metadata", "devdoc", "userdoc", "evm.bytecode.object", "evm.deployedBytecode.object"] },
      },
    },
  };
  const output = JSON.parse(
    solc.compile(JSON.stringify(input), { import: (path) => ({ contents: readSource(path) }) }),
  );
  const messages = (output.errors ?? []).map((error) => error.formattedMessage);
  if (messages.length > 0) throw new Error(`the compiler reported:\n${messages.join("\n")}`);
  return output;
}

function sha256(data) {
  return createHash("sha256").update(data).digest("hex");
}

/** Hashes the list that `sha256sum` prints for a contract's sources, sorted by path. */
function hashSources(metadata) {
  const paths = Object.keys(JSON.parse(metadata).sources).sort();
  return sha256(paths.map((path) => `${sha256(readSource(path))}  ${path}\n`).join(""));
}

function sortKeys(value) {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sortKeys(value[key])]));
}

function render(output, contractName) {
  const compiled = output.contracts[`src/${contractName}.sol`][contractName];
  const artifact = {
    abi: compiled.abi,
    bytecode: `0x${compiled.evm.bytecode.object}`,
    contractName,
    deployedBytecode: `0x${compiled.evm.deployedBytecode.object}`,
    evmVersion: EVM_VERSION,
    optimizerRuns: OPTIMIZER_RUNS,
    solcVersion: solc.version(),
    sourceSha256: hashSources(compiled.metadata),
  };
  return `${JSON.stringify(sortKeys(artifact), null, 2)}\n`;
}

function sign(entry) {
  const type = (item) => item.type.replace("tuple", `(${(item.components ?? []).map(type).join(",")})`);
  return `${entry.name}(${entry.inputs.map(type).join(",")})`;
}

/** Names every function, event and error of ours without a notice, or with a parameter that is not described. */
function findUndocumented(output) {
  const files = Object.entries(output.contracts);
  const inherited = files.filter(([path]) => path.startsWith("@")).flatMap(([, all]) => Object.values(all));
  const foreign = new Set(inherited.flatMap((one) => one.abi.filter((entry) => entry.name).map(sign)));
  const ours = files.filter(([path]) => path.startsWith("src/"));
  // Public variables have readers whose keys need no description.
  const variable = /\bpublic (?:(?:constant|immutable) )?(\w+)(?:;| =)/g;
  const readers = new Set(ours.flatMap(([path]) => [...readSource(path).matchAll(variable)].map((match) => match[1])));
  const missing = ours.flatMap(([path, all]) =>
    Object.values(all).flatMap((one) =>
      one.abi.filter((entry) => entry.name && !foreign.has(sign(entry))).filter((entry) => {
        const find = (docs) => [docs[{ function: "methods", event: "events", error: "errors" }[entry.type]]?.[sign(entry)]].flat()[0];
        if (!find(one.userdoc)?.notice) return true;
        return !readers.has(entry.name) && entry.inputs.some((input) => !find(one.devdoc)?.params?.[input.name]);
      }).map((entry) => `${path}: ${sign(entry)}`),
    ),
  );
  return [...new Set(missing)];
}

/** Names every artifact whose committed bytes differ from the rendered ones. */
function findDifferences(rendered) {
  const committed = new Set(readdirSync(join(ROOT, "artifacts")).filter((file) => file !== "releases"));
  const differing = [...rendered].filter(
    ([file, text]) => !committed.has(file) || readFileSync(join(ROOT, "artifacts", file), "utf8") !== text,
  );
  const unexpected = [...committed].filter((file) => !rendered.has(file));
  return [...differing.map(([file]) => file), ...unexpected];
}

/** Names every artifact of an earlier release that is missing, unknown or not what was released. */
function findThawed() {
  const folder = join(ROOT, "artifacts", "releases");
  const found = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".json"));
  const changed = Object.entries(RELEASED).filter(
    ([file, hash]) => !found.includes(file) || sha256(readFileSync(join(folder, file))) !== hash,
  );
  return [...changed.map(([file]) => file), ...found.filter((file) => !(file in RELEASED))];
}

const output = compile();
const undocumented = findUndocumented(output);
for (const what of undocumented) console.error(`${what} is not documented`);
if (undocumented.length > 0) process.exit(1);
const rendered = new Map(CONTRACTS.map((name) => [`${name}.json`, render(output, name)]));
if (process.argv.includes("--check")) {
  const differing = findDifferences(rendered);
  for (const file of differing) console.error(`artifacts/${file} is not what src/ compiles to`);
  const thawed = findThawed();
  for (const file of thawed) console.error(`artifacts/releases/${file} is not what was released`);
  if (differing.length + thawed.length > 0) process.exit(1);
  console.log(`${rendered.size} artifacts are what src/ compiles to`);
} else {
  mkdirSync(join(ROOT, "artifacts"), { recursive: true });
  for (const [file, text] of rendered) writeFileSync(join(ROOT, "artifacts", file), text);
  console.log(`wrote ${rendered.size} artifacts`);
}
