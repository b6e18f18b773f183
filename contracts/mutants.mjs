// Shows that the tests can fail: breaks one rule of one contract at a time, in a copy, and demands that
// a test notices. A rule marked `invariant` must be noticed by the invariants alone, one that says which
// invariant it `breaks` by that one, run alone; and every invariant must be broken by one at least.
// Usage: node mutants.mjs ["File" or the beginning of "File: name" ...], or
//        node mutants.mjs --proof    the mutants that break invariants, each against its own, in one build
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
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

/**
 * Each mutant: what is broken, where, and the text that stands there once and what replaces it. `breaks` is an
 * invariant, `File.Name` of test/File.invariant.t.sol: its assertion must fail, with `reason` where that has words
 * of its own or the invariant is that a call goes through.
 */
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
    breaks: "StatusAnchor.TheHeadIsAlwaysTheHonestLog",
  },
  {
    name: "anchor may repeat or shrink",
    file: "StatusAnchor",
    find: "if (newSize <= currentSize) revert",
    replace: "if (newSize < currentSize && newSize > 1 << 60) revert",
    breaks: "StatusAnchor.EveryVerdictIsAsPredicted",
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
    breaks: "Settlement.NoSessionSettlesTwice",
  },
  {
    name: "one session settles under two salts",
    file: "Settlement",
    find: "session.content != bytes32(0) || isStartLeafSettled(startLeafIndex)",
    replace: "session.content != bytes32(0)",
    breaks: "Settlement.EveryVerdictIsAsPredicted",
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
    breaks: "Settlement.TokensAreWhatWasMintedLessRedeemedTakenBackAndOwed",
  },
  {
    name: "credits without a limit",
    file: "Settlement",
    find: "if (row.amountMinor > leftMinor) {",
    replace: "if (false) {",
    breaks: "Settlement.CreditsNeverExceedTheSettledAmount",
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
    breaks: "SettlementWindows.EveryLeafSettlesOnceWhicheverWay",
    reason: "closed leaves: ",
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
    breaks: "SettlementWindows.WindowsNeitherOverlapNorLeaveGaps",
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
    breaks: "Escrow.EveryVerdictIsAsPredictedPausedOrNot",
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
    breaks: "Escrow.ASessionIsPaidOnceAndOperatorsHaveWhatTheyWerePaid",
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
    breaks: "Escrow.TheBalanceIsWhatIsOwed",
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
    breaks: "Escrow.EverybodyTakesOutAllTheyHavePausedOrNot",
    reason: "custom error 0xd93c0665", // EnforcedPause()
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
const INVARIANT = /function invariant_(\w+)\(/g;

function forge(folder, options) {
  // A sequence that noticed one mutant must not be played again on the next.
  rmSync(join(folder, "cache", "invariant"), { recursive: true, force: true });
  rmSync(join(folder, "cache", "fuzz"), { recursive: true, force: true });
  const run = spawnSync(join(ROOT, "node_modules", ".bin", "forge"), ["test", ...options], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, ...CHEAP },
    maxBuffer: 1 << 28,
  });
  const { status, stdout, stderr } = run;
  return { passed: status === 0, failedTest: stdout.includes("[FAIL"), stdout, text: stdout + stderr };
}

/** Breaks a source; says what is wrong with the mutant, null when nothing is. */
function mutate(path, mutant) {
  const original = readFileSync(path, "utf8");
  if (original.split(mutant.find).length !== 2) return "its text does not stand exactly once in the source";
  writeFileSync(path, original.replace(mutant.find, () => mutant.replace));
  return null;
}

/** Runs the tests on one mutant and says what went wrong with it; null when it was noticed. */
function judge(folder, mutant) {
  const path = join(folder, "src", `${mutant.file}.sol`);
  const problem = mutate(path, mutant);
  if (problem !== null) return problem;
  try {
    const [file, invariant] = (mutant.breaks ?? ".").split(".");
    const filter = ["--match-contract", file ? `^${file}InvariantTest$` : JUDGES[mutant.file]];
    if (mutant.invariant || invariant) filter.push("--match-test", `^invariant_${invariant}`);
    // Warnings that a mutant causes (an unused parameter, say) must not hide it.
    const result = forge(folder, ["--fail-fast", "--deny", "never", ...filter]);
    if (result.passed) return "SURVIVED";
    return result.failedTest ? null : `the tests did not run:\n${result.text}`;
  } finally {
    cpSync(join(ROOT, "src", `${mutant.file}.sol`), path);
  }
}

/** Names every invariant that no mutant breaks, and every one that a mutant names and that is not there. */
function findUnproven() {
  const there = readdirSync(join(ROOT, "test")).flatMap((name) => {
    const text = readFileSync(join(ROOT, "test", name), "utf8");
    return [...text.matchAll(INVARIANT)].map((match) => `${name.split(".")[0]}.${match[1]}`);
  });
  const broken = MUTANTS.flatMap((mutant) => mutant.breaks ?? []);
  const unproven = there.filter((one) => !broken.includes(one)).map((one) => `no mutant breaks ${one}`);
  return [...unproven, ...broken.filter((one) => !there.includes(one)).map((one) => `there is no invariant ${one}`)];
}

/** Copies a file of the tests and all that it imports from here, to the same places below a folder. */
function copyWithImports(path, folder) {
  const text = readFileSync(join(ROOT, path), "utf8");
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
  for (const [, imported] of text.matchAll(/from "(\.[^"]+)";/g)) copyWithImports(join(dirname(path), imported), folder);
}

/**
 * Holds each mutant that names an invariant against this one alone, all in one build: every mutant has its own
 * copy of the sources, and in its copy of the test the other invariants are none.
 */
function prove(folder, mutants) {
  for (const name of ["foundry.toml", "solcjs-bin.mjs", "package.json"]) cpSync(join(ROOT, name), join(folder, name));
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const problems = mutants.map((mutant, number) => {
    const [file, invariant] = mutant.breaks.split(".");
    const copy = join(folder, "test", `m${number}`);
    const test = join("test", `${file}.invariant.t.sol`);
    copyWithImports(test, copy);
    const text = readFileSync(join(copy, test), "utf8");
    const alone = text.replace(INVARIANT, (all, name) => (name === invariant ? all : `function unasked_${name}(`));
    writeFileSync(join(copy, test), alone.replace(/contract (\w+) is TestBase/, `contract Mutant${number} is TestBase`));
    return mutate(join(copy, "src", `${mutant.file}.sol`), mutant);
  });
  const { stdout, text } = forge(folder, ["--deny", "never", "--json"]);
  let suites;
  try {
    suites = Object.entries(JSON.parse(stdout));
  } catch (error) {
    throw new Error(`the tests did not run: ${error}\n${text.slice(-4000)}`);
  }
  return mutants.map((mutant, number) => {
    if (problems[number] !== null) return problems[number];
    const [, suite] = suites.find(([name]) => name.endsWith(`:Mutant${number}`)) ?? [];
    const result = suite?.test_results?.[`invariant_${mutant.breaks.split(".")[1]}()`];
    if (result === undefined) return `the invariant did not run: ${JSON.stringify(suite?.test_results)}`;
    if (result.status === "Success") return "SURVIVED";
    return result.reason?.startsWith(mutant.reason ?? "assertion failed") ? null : `it failed otherwise: ${result.reason}`;
  });
}

function report(mutant, problem, took = "") {
  const what = `${mutant.file}: ${mutant.name}${mutant.breaks ? `, by ${mutant.breaks}` : ""}`;
  console.log(`${problem === null ? "noticed " : "PROBLEM "} ${what}${took}`);
  if (problem !== null) console.log(`         ${problem}`);
  return problem === null ? 0 : 1;
}

const unproven = findUnproven();
for (const line of unproven) console.error(line);
if (unproven.length > 0) process.exit(1);
const isProof = process.argv.includes("--proof");
const parts = process.argv.length > 2 && !isProof ? process.argv.slice(2) : [""];
const wanted = MUTANTS.filter(
  (mutant) => (mutant.breaks || !isProof) && parts.some((part) => `${mutant.file}: ${mutant.name}`.startsWith(part)),
);
const folder = mkdtempSync(join(tmpdir(), "wattproof-mutants-"));
let survivors = 0;
try {
  if (isProof) {
    prove(folder, wanted).forEach((problem, number) => (survivors += report(wanted[number], problem)));
  } else {
    for (const name of COPIED) cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    for (const name of ["Gas", "GasCases"]) rmSync(join(folder, "test", `${name}.t.sol`));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const honest = forge(folder, []);
    if (!honest.passed) throw new Error(`the tests fail without any mutant:\n${honest.text}`);
    for (const mutant of wanted) {
      const began = Date.now();
      const problem = judge(folder, mutant);
      survivors += report(mutant, problem, ` (${Math.round((Date.now() - began) / 1000)} s)`);
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`${wanted.length - survivors} of ${wanted.length} mutants noticed`);
process.exit(survivors === 0 && wanted.length > 0 ? 0 : 1);
