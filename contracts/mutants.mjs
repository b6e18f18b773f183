// Shows that the tests can fail: breaks one rule of one contract at a time, in a copy, and demands that
// a test notices. A rule marked `invariant` must be noticed by the invariants alone.
// Usage: node mutants.mjs ["File" or the beginning of "File: name" ...]
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(fileURLToPath(import.meta.url));
const COPIED = ["src", "test", "foundry.toml", "package.json", "solcjs-bin.mjs"];

/** The test contracts that have to do with a source; the others are not run on its mutants. */
const JUDGES = {
  AlgorithmRegistry: "AlgorithmRegistry",
  AssetRegistry: "AssetRegistry",
  DriverConsent: "Escrow",
  Escrow: "Escrow",
  FlexToken: "FlexToken|Settlement|Handover",
  Handover: "Handover",
  LeafBook: "Settlement",
  MerkleLog: "MerkleLog|StatusAnchor",
  Settlement: "Settlement|Escrow",
  SettlementWindows: "Settlement|Handover",
  StatusAnchor: "StatusAnchor",
  Stoppable: "Stoppable",
};

/** Each mutant: what is broken, where, and the text that stands there once and what replaces it. */
const MUTANTS = [
  {
    name: "leaf and node prefix are the same",
    file: "MerkleLog",
    find: "mstore8(free, 0x01)",
    replace: "mstore8(free, 0x00)",
  },
  {
    name: "a node is hashed over its left child only",
    file: "MerkleLog",
    find: "mstore(add(free, 0x21), right)",
    replace: "",
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
    name: "lone levels are not skipped",
    file: "MerkleLog",
    find: "while (node & 1 == 0 && node != 0) {",
    replace: "while (false) {",
  },
  {
    name: "consistency of a shrunken log",
    file: "MerkleLog",
    find: "if (oldSize > newSize) return false;",
    replace: "",
  },
  {
    name: "consistency proof may go on",
    file: "MerkleLog",
    find: "return end == _offset(proof, proof.length) && oldEnd == oldRoot && newEnd == newRoot;",
    replace: "return end != 0 && oldEnd == oldRoot && newEnd == newRoot;",
  },
  {
    name: "consistency ignores the old root",
    file: "MerkleLog",
    find: "return end == _offset(proof, proof.length) && oldEnd == oldRoot && newEnd == newRoot;",
    replace: "return end == _offset(proof, proof.length) && oldEnd != 0 && newEnd == newRoot;",
    invariant: true,
  },
  {
    name: "consistency ignores the new root",
    file: "MerkleLog",
    find: "return end == _offset(proof, proof.length) && oldEnd == oldRoot && newEnd == newRoot;",
    replace: "return end == _offset(proof, proof.length) && oldEnd == oldRoot && newEnd != 0;",
  },
  {
    name: "consistency treats every old tree as complete",
    file: "MerkleLog",
    find: "if (node != 0) {",
    replace: "if (node > type(uint64).max) {",
    invariant: true,
  },
  {
    name: "consistency starts at the last leaf",
    file: "MerkleLog",
    find: "uint256 width = oldSize & (~oldSize + 1);",
    replace: "uint256 width = 1;",
    invariant: true,
  },
  {
    name: "the old tree is hashed under the leaf prefix",
    file: "MerkleLog",
    find: "mstore8(oldPair, 0x01)",
    replace: "mstore8(oldPair, 0x00)",
    invariant: true,
  },
  {
    name: "the new tree is hashed under the leaf prefix",
    file: "MerkleLog",
    find: "mstore8(newPair, 0x01)",
    replace: "mstore8(newPair, 0x00)",
    invariant: true,
  },
  {
    name: "a sibling on the right counts for the old tree",
    file: "MerkleLog",
    find: "mstore(newLeft, mload(newHash))",
    replace: "mstore(newLeft, mload(newHash)) mstore(oldHash, hash)",
    invariant: true,
  },
  {
    name: "below the meeting of the paths a sibling on the left counts for the new tree alone",
    file: "MerkleLog",
    find: "                    mstore(oldLeft, hash)\n                    mstore(newLeft, hash)\n                    pop(staticcall(gas(), 0x02, oldPair, 0x41, oldHash, 0x20))\n",
    replace: "                    mstore(newLeft, hash)\n",
    invariant: true,
  },
  {
    name: "above the meeting of the paths a sibling on the left counts for the new tree alone",
    file: "MerkleLog",
    find: "                mstore(oldLeft, hash)\n                mstore(newLeft, hash)\n                pop(staticcall(gas(), 0x02, oldPair, 0x41, oldHash, 0x20))\n                pop",
    replace: "                mstore(newLeft, hash)\n                pop",
    invariant: true,
  },
  {
    name: "levels without a sibling take one",
    file: "MerkleLog",
    find: "for {} node { node := and(node, sub(node, 1)) } {",
    replace: "for {} node { node := shr(1, node) } {",
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
    name: "half a position",
    file: "AssetRegistry",
    find: "latitudeE7 == NO_POSITION && longitudeE7 == NO_POSITION",
    replace: "latitudeE7 == NO_POSITION || longitudeE7 == NO_POSITION",
  },
  {
    name: "no position without its mark",
    file: "AssetRegistry",
    find: "latitudeE7 == NO_POSITION && longitudeE7 == NO_POSITION",
    replace: "false",
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
    file: "LeafBook",
    find: "_settledAlone[startLeafIndex >> 8] |= _bit(startLeafIndex);",
    replace: "_settledAlone[startLeafIndex >> 8] |= type(uint256).max;",
    invariant: true,
  },
  {
    name: "flexibility is minted in milliwatt-hours",
    file: "SettlementWindows",
    find: "uint256 flexWh = flexMilliWh / MILLI_WH_PER_FLEX_UNIT;",
    replace: "uint256 flexWh = flexMilliWh;",
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
    file: "SettlementWindows",
    find: "        creditContent[creditKey] = content;\n",
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
    find: "if (msg.sender != minter) revert",
    replace: "if (false) revert",
  },
  {
    name: "the minter can be bound again",
    file: "FlexToken",
    find: "if (minter != address(0)) revert",
    replace: "if (false) revert",
  },
  {
    name: "anyone binds the minter",
    file: "FlexToken",
    find: "function bindMinter(address minter_) external onlyRole(DEFAULT_ADMIN_ROLE)",
    replace: "function bindMinter(address minter_) external",
  },
  {
    name: "flexibility is taken back only where it is held",
    file: "FlexToken",
    find: "uint256 burntWh = heldWh < amountWh ? heldWh : amountWh;",
    replace: "uint256 burntWh = amountWh;",
    invariant: true,
  },
  {
    name: "flexibility that is gone is not owed",
    file: "FlexToken",
    find: "debtOf[holder] += amountWh - burntWh;",
    replace: "",
    invariant: true,
  },
  {
    name: "a debt is never paid",
    file: "FlexToken",
    find: "amountWh -= paidWh;",
    replace: "",
    invariant: true,
  },
  {
    name: "taking back stops with the token",
    file: "FlexToken",
    find: "function takeBack(address holder, uint256 amountWh) external onlyMinter {",
    replace: "function takeBack(address holder, uint256 amountWh) external onlyMinter whenNotPaused {",
  },
  {
    name: "flexibility is taken back without a limit",
    file: "Settlement",
    find: "session.flexTakenBackWh += flexWh;",
    replace: "",
    invariant: true,
  },
  {
    name: "flexibility is taken back from whoever the settler names",
    file: "Settlement",
    find: "if (session.content != keccak256(abi.encode(settled))) revert",
    replace: "if (false) revert",
  },
  {
    name: "a session settles without being in the log",
    file: "Settlement",
    find: "!statusAnchor.isIncluded(row.leafHash, leafIndex, proof)",
    replace: "false",
  },
  {
    name: "a settlement stands before its start",
    file: "Settlement",
    find: "leafIndex <= row.startLeafIndex ||",
    replace: "",
  },
  {
    name: "a netted session settles alone",
    file: "Settlement",
    find: "if (isStartLeafClosed(startLeafIndex)) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "a window beyond the log",
    file: "SettlementWindows",
    find: "if (toLeaf > headSize) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "a user has two rows",
    file: "SettlementWindows",
    find: "if (row.user <= last) revert",
    replace: "if (row.user < last) revert",
  },
  {
    name: "a session settled alone is netted",
    file: "LeafBook",
    find: "if (isStartLeafSettled(leaf)) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "a closed session is netted again",
    file: "LeafBook",
    find: "if (!_isLeftOpen(leaf)) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "an open session is netted twice",
    file: "LeafBook",
    find: "_leftOpen[leaf >> 8] &= ~_bit(leaf);",
    replace: "",
    invariant: true,
  },
  {
    name: "a session is netted and left open",
    file: "LeafBook",
    find: "if (next < listed.length && listed[next] == leaf) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "a window overlaps or leaves a gap",
    file: "LeafBook",
    find: "if (fromLeaf != closedBefore || toLeaf <= fromLeaf) revert",
    replace: "if (toLeaf <= fromLeaf) revert",
  },
  {
    name: "an empty window closes what is not there",
    file: "LeafBook",
    find: "if (fromLeaf != closedBefore || toLeaf <= fromLeaf) revert",
    replace: "if (fromLeaf != closedBefore) revert",
    invariant: true,
  },
  {
    name: "a window lists a session twice",
    file: "LeafBook",
    find: "if (leaf >= toLeaf || (i != 0 && leaf <= listed[i - 1])) revert",
    replace: "if (leaf >= toLeaf) revert",
  },
  {
    name: "a lock needs no signature",
    file: "Escrow",
    find: "if (msg.sender != terms.user) _requireSigned(",
    replace: "if (false) _requireSigned(",
  },
  {
    name: "a receipt needs no signature",
    file: "Escrow",
    find: "        _requireSigned(receipt.user, receiptDigest(receipt), signature);\n",
    replace: "",
    invariant: true,
  },
  {
    name: "the signature of a receipt is good for other sessions",
    file: "DriverConsent",
    find: "                    receipt.sessionId,\n                    receipt.user,",
    replace: "                    receipt.user,",
    invariant: true,
  },
  {
    name: "the receipt is of another session than the row",
    file: "Escrow",
    find: "if (receipt.sessionId != row.sessionKey || receipt.energyWh != row.energyMilliWh / 1000) {",
    replace: "if (receipt.energyWh != row.energyMilliWh / 1000) {",
  },
  {
    name: "the receipt is of another energy than the row",
    file: "Escrow",
    find: "if (receipt.sessionId != row.sessionKey || receipt.energyWh != row.energyMilliWh / 1000) {",
    replace: "if (receipt.sessionId != row.sessionKey) {",
  },
  {
    name: "a receipt without a deadline",
    file: "Escrow",
    find: "if (block.timestamp > receipt.deadline) revert",
    replace: "if (false) revert",
  },
  {
    name: "a receipt without a maximum",
    file: "Escrow",
    find: "if (due > receipt.maxAmount) revert",
    replace: "if (false) revert",
  },
  {
    name: "what was paid is forgotten",
    file: "Escrow",
    find: "        paidFor[sessionId][cpo] += amount;\n",
    replace: "",
    invariant: true,
  },
  {
    name: "each driver's payment counts alone",
    file: "Escrow",
    find: "        paidFor[sessionId][cpo] += amount;\n",
    replace: "        paidFor[sessionId][cpo] = amount;\n",
    invariant: true,
  },
  {
    name: "what one operator was paid is missing to another",
    file: "Escrow",
    find: "        paidFor[sessionId][cpo] += amount;\n",
    replace: "        paidFor[sessionId][claimableOf[cpo] == type(uint256).max ? cpo : address(1)] += amount;\n",
    invariant: true,
  },
  {
    name: "a receipt of a paid session is used again and again",
    file: "Escrow",
    find: "if (left == 0 && payment.state != PaymentState.Locked) {",
    replace: "if (false) {",
    invariant: true,
  },
  {
    name: "a used lock ends the receipt",
    file: "Escrow",
    find: "if (left == 0 && payment.state != PaymentState.Locked) {",
    replace: "if (payment.state == PaymentState.Used || (left == 0 && payment.state == PaymentState.None)) {",
    invariant: true,
  },
  {
    name: "what was signed for a lock locks again",
    file: "Escrow",
    find: "if (payment.state != PaymentState.None) revert",
    replace: "if (payment.state == PaymentState.Locked) revert",
    invariant: true,
  },
  {
    name: "money goes to the escrow itself",
    file: "Escrow",
    find: "if (party == address(0) || party == address(this)) revert",
    replace: "if (party == address(0)) revert",
    invariant: true,
  },
  {
    name: "money goes to nobody",
    file: "Escrow",
    find: "if (party == address(0) || party == address(this)) revert",
    replace: "if (party == address(this)) revert",
  },
  {
    name: "a lock pays twice",
    file: "Escrow",
    find: "        payment.state = PaymentState.Used;\n",
    replace: "",
    invariant: true,
  },
  {
    name: "a payment costs the driver nothing",
    file: "Escrow",
    find: "        _take(user, amount);\n        paidFor",
    replace: "        paidFor",
    invariant: true,
  },
  {
    name: "an ended lock keeps the money",
    file: "Escrow",
    find: "        depositOf[user] += amount;\n    }",
    replace: "    }",
    invariant: true,
  },
  {
    name: "more is paid than was locked",
    file: "Escrow",
    find: "_pay(row.sessionKey, user, cpo, left < locked ? left : locked, due);",
    replace: "_pay(row.sessionKey, user, cpo, left, due); locked;",
    invariant: true,
  },
  {
    name: "an expired lock still pays",
    file: "Escrow",
    find: "if (block.timestamp >= payment.expiry) revert",
    replace: "if (block.timestamp > payment.expiry) revert",
  },
  {
    name: "an expired lock pays for ever",
    file: "Escrow",
    find: "if (block.timestamp >= payment.expiry) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "a lock is released before its expiry",
    file: "Escrow",
    find: "if (block.timestamp < payment.expiry && msg.sender != cpo) revert",
    replace: "if (false) revert",
    invariant: true,
  },
  {
    name: "a lock is held one second longer",
    file: "Escrow",
    find: "if (block.timestamp < payment.expiry && msg.sender != cpo) revert",
    replace: "if (block.timestamp <= payment.expiry && msg.sender != cpo) revert",
  },
  {
    name: "a lock for ever",
    file: "Escrow",
    find: "terms.expiry > block.timestamp + LOCK_MAX_SECONDS",
    replace: "false",
    invariant: true,
  },
  {
    name: "a lock costs nothing",
    file: "Escrow",
    find: "        _take(terms.user, terms.maxAmount);\n",
    replace: "",
    invariant: true,
  },
  {
    name: "a deposit can be overdrawn",
    file: "Escrow",
    find: "if (amount > available) revert",
    replace: "if (amount > available) amount = available; if (false) revert",
    invariant: true,
  },
  {
    name: "a claim can be repeated",
    file: "Escrow",
    find: "        claimableOf[msg.sender] = 0;\n",
    replace: "",
    invariant: true,
  },
  {
    name: "withdrawal stops with the contract",
    file: "Escrow",
    find: "function withdraw(address to, uint256 amount) external nonReentrant {",
    replace: "function withdraw(address to, uint256 amount) external nonReentrant whenNotPaused {",
    invariant: true,
  },
  {
    name: "claims stop with the contract",
    file: "Escrow",
    find: "function claim(address to) external nonReentrant {",
    replace: "function claim(address to) external nonReentrant whenNotPaused {",
    invariant: true,
  },
  {
    name: "release stops with the contract",
    file: "Escrow",
    find: "function release(bytes32 sessionId, address user, address cpo) external {",
    replace: "function release(bytes32 sessionId, address user, address cpo) external whenNotPaused {",
    invariant: true,
  },
  {
    name: "what was sent is booked, not what arrived",
    file: "Escrow",
    find: "uint256 received = token.balanceOf(address(this)) - before;",
    replace: "uint256 received = before == 0 ? amount : amount;",
  },
  {
    name: "deposits can be nested",
    file: "Escrow",
    find: "function deposit(address user, uint256 amount) external whenNotPaused nonReentrant {",
    replace: "function deposit(address user, uint256 amount) external whenNotPaused {",
  },
  {
    name: "any allowance is a permit",
    file: "Escrow",
    find: "if (token.allowance(user, address(this)) != amount) revert",
    replace: "if (token.allowance(user, address(this)) < amount) revert",
  },
  {
    name: "an unsettled session is paid",
    file: "Escrow",
    find: "if (settlement.settledContent(row.sessionKey) != keccak256(abi.encode(row))) {",
    replace: "if (false) {",
  },
  {
    name: "credits are not deducted",
    file: "Escrow",
    find: "uint256(amountMinor - creditedMinor)",
    replace: "uint256(amountMinor)",
  },
  {
    name: "a handover without an announcement",
    file: "Handover",
    find: "if (next == address(0)) revert HandoverNotAnnounced();",
    replace: "",
  },
  {
    name: "a handover without the week",
    file: "Handover",
    find: "if (block.timestamp < successorFrom) revert",
    replace: "if (false) revert",
  },
  {
    name: "a handover a second early",
    file: "Handover",
    find: "if (block.timestamp < successorFrom) revert",
    replace: "if (block.timestamp + 1 < successorFrom) revert",
  },
  {
    name: "announcing again keeps the first week",
    file: "Handover",
    find: "successorFrom = uint64(block.timestamp) + HANDOVER_DELAY_SECONDS;",
    replace: "if (successorFrom == 0) successorFrom = uint64(block.timestamp) + HANDOVER_DELAY_SECONDS;",
  },
  {
    name: "anyone announces",
    file: "Handover",
    find: "function announceHandover(address successor_) external onlyRole(DEFAULT_ADMIN_ROLE) {",
    replace: "function announceHandover(address successor_) external {",
  },
  {
    name: "anyone completes a handover",
    file: "Handover",
    find: "function completeHandover() external onlyRole(DEFAULT_ADMIN_ROLE) {",
    replace: "function completeHandover() external {",
  },
  {
    name: "anyone takes an announcement back",
    file: "Handover",
    find: "if (!hasRole(PAUSER_ROLE, msg.sender)) _checkRole(DEFAULT_ADMIN_ROLE);",
    replace: "",
  },
  {
    name: "an announcement stands after it was used",
    file: "Handover",
    find: "        successor = address(0);\n",
    replace: "",
  },
  {
    name: "an anchor that holds less than was closed takes over",
    file: "SettlementWindows",
    find: "if (headSize < closedBefore) revert",
    replace: "if (false) revert",
  },
  {
    name: "invoices count fewer sessions than they list",
    file: "SettlementWindows",
    find: " || sessionCount < listed.length) {",
    replace: ") {",
  },
  {
    name: "a netted credit with rows of its own",
    file: "SettlementWindows",
    find: "windowContent[credit.fromLeaf] != keccak256(abi.encode(window, rows))",
    replace: "false",
  },
  {
    name: "netted credits without a limit",
    file: "SettlementWindows",
    find: "credit.amountMinor > leftMinor ||",
    replace: "",
  },
  {
    name: "flexibility of a window is taken back without a limit",
    file: "SettlementWindows",
    find: "|| flexWh > leftWh) {",
    replace: ") {",
  },
  {
    name: "netted credits are not added up",
    file: "SettlementWindows",
    find: "known.creditedMinor += credit.amountMinor;",
    replace: "known.creditedMinor = credit.amountMinor;",
  },
  {
    name: "flexibility taken back of a window is not added up",
    file: "SettlementWindows",
    find: "known.flexTakenBackWh += flexWh;",
    replace: "known.flexTakenBackWh = flexWh;",
  },
  {
    name: "flexibility of a window is credited and not taken",
    file: "SettlementWindows",
    find: "if (flexWh != 0) flexToken.takeBack(row.user, flexWh);",
    replace: "",
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

/** What makes a verdict cheap and changes none: no optimizer, no shortest sequence for what fails. */
const CHEAP = { FOUNDRY_OPTIMIZER: "false", FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: "0" };

function forge(folder, options) {
  // A sequence that noticed one mutant must not be played again on the next.
  rmSync(join(folder, "cache", "invariant"), { recursive: true, force: true });
  rmSync(join(folder, "cache", "fuzz"), { recursive: true, force: true });
  const run = spawnSync(join(ROOT, "node_modules", ".bin", "forge"), ["test", "--fail-fast", ...options], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, ...CHEAP },
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
    const filter = ["--match-contract", JUDGES[mutant.file]];
    if (mutant.invariant) filter.push("--match-test", "^invariant_");
    // Warnings that a mutant causes (an unused parameter, say) must not hide it.
    const result = forge(folder, ["--deny", "never", ...filter]);
    if (result.passed) return "SURVIVED";
    return result.failedTest ? null : `the tests did not run:\n${result.text}`;
  } finally {
    writeFileSync(path, original);
  }
}

const parts = process.argv.length > 2 ? process.argv.slice(2) : [""];
const wanted = MUTANTS.filter((mutant) => parts.some((part) => `${mutant.file}: ${mutant.name}`.startsWith(part)));
const folder = mkdtempSync(join(tmpdir(), "wattproof-mutants-"));
let survivors = 0;
try {
  for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  for (const name of ["Gas", "GasCases"]) rmSync(join(folder, "test", `${name}.t.sol`));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const honest = forge(folder, []);
  if (!honest.passed) throw new Error(`the tests fail without any mutant:\n${honest.text}`);
  for (const mutant of wanted) {
    const began = Date.now();
    const problem = judge(folder, mutant);
    if (problem !== null) survivors += 1;
    const took = `${Math.round((Date.now() - began) / 1000)} s`;
    console.log(`${problem === null ? "noticed " : "PROBLEM "} ${mutant.file}: ${mutant.name} (${took})`);
    if (problem !== null) console.log(`         ${problem}`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`${wanted.length - survivors} of ${wanted.length} mutants noticed`);
process.exit(survivors === 0 && wanted.length > 0 ? 0 : 1);
