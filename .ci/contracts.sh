#!/usr/bin/env bash
# Recompiles the contracts, compares the committed artifacts byte for byte, runs their tests, shows that every
# invariant can fail, and compares what slither finds with what is accepted. Needs node >= 20, npm and Python 3.11; everything else comes pinned
# from contracts/package-lock.json and requirements-slither.lock.
set -euo pipefail
cd "$(dirname "$0")/../contracts"

npm ci --ignore-scripts --no-audit --no-fund
npm run check
npm test
npm run gas:check
npm run lint
npm run proof
make --no-print-directory -C .. slither
