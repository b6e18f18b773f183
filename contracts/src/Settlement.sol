// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SettlementWindows} from "./SettlementWindows.sol";

/// @title Settlement (SC3)
/// @notice Records what each session delivered and cost, exactly once, and mints its flexibility.
/// @dev Postpaid: the contract holds no money, and no driver has to sign (Escrow pays, where money is on
/// chain). A session is bound twice, by its key and by the index of its start leaf in the log, so it
/// cannot settle a second time under another salt. Four ways to settle, each start leaf in one of them:
/// alone, in a batch (`settleBatch`) or with the proof that its settlement leaf is in the anchored log
/// (`settleProven`); or in a window of the log, netted per user (`settleNetted`) or as one root
/// (`recordInvoices`). Sending any of them again is harmless. Corrections are credits against the
/// settled amount; in windows they may also be netted off chain, in a later window.
/// @custom:kill PAUSER_ROLE calls `pause()`: no settlement and no credit. Reading stays open, and
/// redemption of FLEX is not affected.
contract Settlement is SettlementWindows {
    /// @notice One settled session.
    /// @param sessionKey Salted key of the session; never zero.
    /// @param startLeafIndex Index of the session's start leaf in the log.
    /// @param leafHash RFC 9162 leaf hash of the settlement leaf; never zero.
    /// @param energyMilliWh Billed energy in mWh.
    /// @param amountMinor Billed amount in minor units of the currency.
    /// @param currency ISO 4217 code in ASCII; never zero.
    /// @param flexMilliWh Accepted flexibility in mWh.
    /// @param flexTo Receiver of the flexibility tokens; zero for none.
    struct SettlementRow {
        bytes32 sessionKey;
        uint64 startLeafIndex;
        bytes32 leafHash;
        uint64 energyMilliWh;
        uint64 amountMinor;
        bytes3 currency;
        uint64 flexMilliWh;
        address flexTo;
    }

    /// @notice One correction in the driver's favour.
    /// @param sessionKey The settled session.
    /// @param creditKey Salted key of the credit; never zero.
    /// @param leafHash RFC 9162 leaf hash of the credit leaf; never zero.
    /// @param amountMinor Credited amount in minor units of the session's currency.
    struct CreditRow {
        bytes32 sessionKey;
        bytes32 creditKey;
        bytes32 leafHash;
        uint64 amountMinor;
    }

    struct SettledSession {
        bytes32 content;
        uint64 amountMinor;
        uint64 creditedMinor;
        uint64 flexTakenBackWh;
    }

    /// @notice Number of settled sessions.
    uint256 public settledCount;
    mapping(bytes32 sessionKey => SettledSession) private _sessions;

    bytes private constant _SESSION_DOMAIN = "wattproof/session/1\x00";

    /// @notice A session was settled.
    /// @param sessionKey Key of the session.
    /// @param startLeafIndex Index of its start leaf.
    /// @param leafHash Leaf hash of the settlement leaf.
    /// @param energyMilliWh Billed energy in mWh.
    /// @param amountMinor Billed amount in minor units.
    /// @param currency ISO 4217 code.
    event SessionSettled(
        bytes32 indexed sessionKey,
        uint64 indexed startLeafIndex,
        bytes32 leafHash,
        uint64 energyMilliWh,
        uint64 amountMinor,
        bytes3 currency
    );

    /// @notice A row arrived again with the same content and was skipped.
    /// @param sessionKey Key of the session.
    /// @param startLeafIndex Index of its start leaf.
    event SettlementRepeated(bytes32 indexed sessionKey, uint64 indexed startLeafIndex);

    /// @notice Flexibility of a session was minted, rounded down to whole Wh.
    /// @param sessionKey Key of the session.
    /// @param flexTo Receiver.
    /// @param flexMilliWh Accepted flexibility in mWh, before the rounding.
    event FlexAwarded(bytes32 indexed sessionKey, address indexed flexTo, uint64 flexMilliWh);

    /// @notice A credit was recorded.
    /// @param sessionKey Key of the session.
    /// @param creditKey Key of the credit.
    /// @param leafHash Leaf hash of the credit leaf.
    /// @param amountMinor Credited amount in minor units.
    event CreditRecorded(bytes32 indexed sessionKey, bytes32 indexed creditKey, bytes32 leafHash, uint64 amountMinor);

    /// @notice A credit arrived again with the same content and was skipped.
    /// @param sessionKey Key of the session.
    /// @param creditKey Key of the credit.
    event CreditRepeated(bytes32 indexed sessionKey, bytes32 indexed creditKey);

    /// @notice Flexibility of a session is taken back with a credit, rounded down to whole Wh.
    /// @param sessionKey Key of the session.
    /// @param creditKey Key of the credit.
    /// @param flexTo Who received it.
    /// @param flexMilliWh What is taken back in mWh, before the rounding.
    event FlexCredited(
        bytes32 indexed sessionKey, bytes32 indexed creditKey, address indexed flexTo, uint64 flexMilliWh
    );

    /// @notice A window closed the start leaf: the session is settled in it, or will be in a later one.
    /// @param sessionKey Key of the session offered.
    /// @param startLeafIndex Index of the start leaf offered.
    error SettlementLeafClosed(bytes32 sessionKey, uint64 startLeafIndex);
    /// @notice The settlement leaf is not proven to stand in the anchored log, after its start leaf.
    /// @param sessionKey Key of the session offered.
    /// @param leafIndex Index of the settlement leaf offered.
    error SettlementNotIncluded(bytes32 sessionKey, uint64 leafIndex);
    /// @notice The session was settled with another row than the one given.
    /// @param sessionKey Key of the session.
    error SettlementRowDiffers(bytes32 sessionKey);
    /// @notice The credits of a session would take back more flexibility than it brought.
    /// @param sessionKey Key of the session.
    /// @param leftWh What can still be taken back, in Wh.
    /// @param flexWh What the credit offered takes back, in Wh.
    error SettlementFlexCreditTooLarge(bytes32 sessionKey, uint64 leftWh, uint64 flexWh);
    /// @notice The session or its start leaf is settled already, with other content.
    /// @param sessionKey Key of the session offered.
    /// @param startLeafIndex Index of the start leaf offered.
    error SettlementConflict(bytes32 sessionKey, uint64 startLeafIndex);
    /// @notice The key, the leaf hash or the currency is zero.
    /// @param sessionKey Key of the session offered.
    /// @param startLeafIndex Index of the start leaf offered.
    error SettlementRowIncomplete(bytes32 sessionKey, uint64 startLeafIndex);
    /// @notice The session of a credit is not settled.
    /// @param sessionKey Key offered.
    error SettlementSessionUnknown(bytes32 sessionKey);
    /// @notice The credits of a session would exceed what it was charged.
    /// @param sessionKey Key of the session.
    /// @param leftMinor What can still be credited, in minor units.
    /// @param amountMinor Credit offered, in minor units.
    error SettlementCreditTooLarge(bytes32 sessionKey, uint64 leftMinor, uint64 amountMinor);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    /// @param flexToken_ The FlexToken; its admin binds this contract as its minter.
    /// @param statusAnchor_ The StatusAnchor of the same log.
    constructor(address admin, address flexToken_, address statusAnchor_)
        SettlementWindows(admin, flexToken_, statusAnchor_)
    {}

    /// @notice Settles sessions, all or none; rows that are settled already are skipped.
    /// @param rows The sessions.
    function settleBatch(SettlementRow[] calldata rows) external onlyRole(SETTLER_ROLE) whenNotPaused {
        for (uint256 i = 0; i < rows.length; ++i) {
            _settle(rows[i]);
        }
    }

    /// @notice Settles one session whose settlement leaf is proven to be in the anchored log.
    /// @param row The session; skipped, without a look at the proof, if it is settled already.
    /// @param leafIndex Index of the settlement leaf, after the start leaf.
    /// @param proof RFC 9162 inclusion proof of the settlement leaf for the head in force.
    function settleProven(SettlementRow calldata row, uint64 leafIndex, bytes32[] calldata proof)
        external
        onlyRole(SETTLER_ROLE)
        whenNotPaused
    {
        if (_settle(row)) {
            if (leafIndex <= row.startLeafIndex || !statusAnchor.isIncluded(row.leafHash, leafIndex, proof)) {
                revert SettlementNotIncluded(row.sessionKey, leafIndex);
            }
        }
    }

    /// @notice Records a credit for a settled session; an identical one is skipped.
    /// @param row The credit.
    function recordCredit(CreditRow calldata row) external onlyRole(SETTLER_ROLE) whenNotPaused {
        _credit(row, keccak256(abi.encode(row)));
    }

    /// @notice Records a credit that also takes back flexibility; an identical one is skipped.
    /// @dev What the receiver does not hold any more becomes a debt: the credit never fails for it.
    /// @param settled The row that the session was settled with.
    /// @param row The credit; its amount may be zero.
    /// @param flexMilliWh Flexibility to take back in mWh; whole Wh are taken.
    function recordFlexCredit(SettlementRow calldata settled, CreditRow calldata row, uint64 flexMilliWh)
        external
        onlyRole(SETTLER_ROLE)
        whenNotPaused
    {
        if (!_credit(row, keccak256(abi.encode(row, flexMilliWh)))) return;
        SettledSession storage session = _sessions[row.sessionKey];
        if (session.content != keccak256(abi.encode(settled))) revert SettlementRowDiffers(row.sessionKey);
        uint64 mintedWh = settled.flexTo == address(0) ? 0 : settled.flexMilliWh / MILLI_WH_PER_FLEX_UNIT;
        uint64 leftWh = mintedWh - session.flexTakenBackWh;
        uint64 flexWh = flexMilliWh / MILLI_WH_PER_FLEX_UNIT;
        if (flexWh > leftWh) revert SettlementFlexCreditTooLarge(row.sessionKey, leftWh, flexWh);
        session.flexTakenBackWh += flexWh;
        emit FlexCredited(row.sessionKey, row.creditKey, settled.flexTo, flexMilliWh);
        if (flexWh != 0) flexToken.takeBack(settled.flexTo, flexWh);
    }

    /// @notice The key that a start leaf's salt and index make. For reading only: a salt that stands in a
    /// transaction cannot be erased.
    /// @param salt Salt of the start leaf.
    /// @param startLeafIndex Index of the start leaf.
    /// @return The session key.
    function sessionKeyOf(bytes32 salt, uint64 startLeafIndex) external pure returns (bytes32) {
        return sha256(bytes.concat(_SESSION_DOMAIN, salt, bytes8(startLeafIndex)));
    }

    /// @notice Keccak-256 of the ABI-encoded row that a session was settled with.
    /// @param sessionKey Key of the session.
    /// @return The hash; zero for a session that is not settled.
    function settledContent(bytes32 sessionKey) external view returns (bytes32) {
        return _sessions[sessionKey].content;
    }

    /// @notice What a session was charged and credited so far.
    /// @param sessionKey Key of the session.
    /// @return amountMinor Settled amount in minor units.
    /// @return creditedMinor Sum of its credits in minor units.
    function settledAmounts(bytes32 sessionKey) external view returns (uint64 amountMinor, uint64 creditedMinor) {
        SettledSession storage session = _sessions[sessionKey];
        return (session.amountMinor, session.creditedMinor);
    }

    /// @dev Settles one session.
    /// @param row The session.
    /// @return Whether it is new.
    function _settle(SettlementRow calldata row) private returns (bool) {
        bytes32 sessionKey = row.sessionKey;
        uint64 startLeafIndex = row.startLeafIndex;
        if (sessionKey == bytes32(0) || row.leafHash == bytes32(0) || row.currency == bytes3(0)) {
            revert SettlementRowIncomplete(sessionKey, startLeafIndex);
        }
        bytes32 content = keccak256(abi.encode(row));
        SettledSession storage session = _sessions[sessionKey];
        if (session.content == content) {
            emit SettlementRepeated(sessionKey, startLeafIndex);
            return false;
        }
        if (session.content != bytes32(0) || isStartLeafSettled(startLeafIndex)) {
            revert SettlementConflict(sessionKey, startLeafIndex);
        }
        if (isStartLeafClosed(startLeafIndex)) revert SettlementLeafClosed(sessionKey, startLeafIndex);

        session.content = content;
        session.amountMinor = row.amountMinor;
        _settleAlone(startLeafIndex);
        ++settledCount;
        emit SessionSettled(sessionKey, startLeafIndex, row.leafHash, row.energyMilliWh, row.amountMinor, row.currency);
        if (row.flexTo != address(0) && row.flexMilliWh >= MILLI_WH_PER_FLEX_UNIT) {
            emit FlexAwarded(sessionKey, row.flexTo, row.flexMilliWh);
            _mint(row.flexTo, row.flexMilliWh);
        }
        return true;
    }

    /// @dev Records one credit.
    /// @param row The credit.
    /// @param content Keccak-256 of all that it says.
    /// @return Whether it is new.
    function _credit(CreditRow calldata row, bytes32 content) private returns (bool) {
        if (row.creditKey == bytes32(0) || row.leafHash == bytes32(0)) {
            revert SettlementCreditIncomplete(row.sessionKey, row.creditKey);
        }
        if (!_noteCredit(row.creditKey, content)) {
            emit CreditRepeated(row.sessionKey, row.creditKey);
            return false;
        }
        SettledSession storage session = _sessions[row.sessionKey];
        if (session.content == bytes32(0)) revert SettlementSessionUnknown(row.sessionKey);
        uint64 leftMinor = session.amountMinor - session.creditedMinor;
        if (row.amountMinor > leftMinor) {
            revert SettlementCreditTooLarge(row.sessionKey, leftMinor, row.amountMinor);
        }
        session.creditedMinor += row.amountMinor;
        emit CreditRecorded(row.sessionKey, row.creditKey, row.leafHash, row.amountMinor);
        return true;
    }
}
