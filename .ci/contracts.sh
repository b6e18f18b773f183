#!/usr/bin/env bash
# Recompiles the contracts, compares the committed artifacts byte for byte, and runs their tests.
# Needs node >= 20 and npm; everything else comes pinned from contracts/package-lock.json.
set -euo pipefail
cd "$(dirname "$0")/../contracts"

npm ci --ignore-scripts --no-audit --no-fund
npm run check
npm test
npm run gas:check
npm run lint
