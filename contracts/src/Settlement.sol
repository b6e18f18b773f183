// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "./FlexToken.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title Settlement (SC3)
/// @notice Records what each session delivered and cost, exactly once, and mints its flexibility.
/// @dev Postpaid: the contract holds no money. A session is bound twice, by its key and by the index of
/// its start leaf in the log, so it cannot settle a second time under another salt. Sending a batch
/// again is harmless. Corrections are credits against the settled amount.
/// @custom:kill PAUSER_ROLE calls `pause()`: no settlement and no credit. Reading stays open, and
/// redemption of FLEX is not affected.
contract Settlement is Stoppable {
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
    }

    /// @notice May settle sessions and record credits.
    bytes32 public constant SETTLER_ROLE = keccak256("SETTLER_ROLE");
    /// @notice Energy of one smallest unit of FLEX: 1 Wh.
    uint64 public constant MILLI_WH_PER_FLEX_UNIT = 1000;

    /// @notice The token that carries accepted flexibility.
    FlexToken public immutable flexToken;

    /// @notice Number of settled sessions.
    uint256 public settledCount;
    /// @notice Keccak-256 of the recorded credit with a key; zero when there is none.
    mapping(bytes32 creditKey => bytes32 content) public creditContent;
    mapping(bytes32 sessionKey => SettledSession) private _sessions;
    mapping(uint256 word => uint256 bits) private _usedStartLeaves;

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

    /// @notice The address of the token is zero.
    error SettlementTokenIsZero();
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
    /// @notice The key or the leaf hash of a credit is zero.
    /// @param sessionKey Key of the session offered.
    /// @param creditKey Key of the credit offered.
    error SettlementCreditIncomplete(bytes32 sessionKey, bytes32 creditKey);
    /// @notice The credit is recorded already, with other content.
    /// @param creditKey Key of the credit offered.
    error SettlementCreditConflict(bytes32 creditKey);
    /// @notice The credits of a session would exceed what it was charged.
    /// @param sessionKey Key of the session.
    /// @param leftMinor What can still be credited, in minor units.
    /// @param amountMinor Credit offered, in minor units.
    error SettlementCreditTooLarge(bytes32 sessionKey, uint64 leftMinor, uint64 amountMinor);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    /// @param flexToken_ The FlexToken; its admin grants MINTER_ROLE to this contract.
    constructor(address admin, address flexToken_) Stoppable(admin) {
        if (flexToken_ == address(0)) revert SettlementTokenIsZero();
        flexToken = FlexToken(flexToken_);
    }

    /// @notice Settles sessions, all or none; rows that are settled already are skipped.
    /// @param rows The sessions.
    function settleBatch(SettlementRow[] calldata rows) external onlyRole(SETTLER_ROLE) whenNotPaused {
        for (uint256 i = 0; i < rows.length; ++i) {
            _settle(rows[i]);
        }
    }

    /// @notice Records a credit for a settled session; an identical one is skipped.
    /// @param row The credit.
    function recordCredit(CreditRow calldata row) external onlyRole(SETTLER_ROLE) whenNotPaused {
        if (row.creditKey == bytes32(0) || row.leafHash == bytes32(0)) {
            revert SettlementCreditIncomplete(row.sessionKey, row.creditKey);
        }
        bytes32 content = keccak256(abi.encode(row));
        bytes32 known = creditContent[row.creditKey];
        if (known == content) {
            emit CreditRepeated(row.sessionKey, row.creditKey);
            return;
        }
        if (known != bytes32(0)) revert SettlementCreditConflict(row.creditKey);
        SettledSession storage session = _sessions[row.sessionKey];
        if (session.content == bytes32(0)) revert SettlementSessionUnknown(row.sessionKey);
        uint64 leftMinor = session.amountMinor - session.creditedMinor;
        if (row.amountMinor > leftMinor) {
            revert SettlementCreditTooLarge(row.sessionKey, leftMinor, row.amountMinor);
        }
        creditContent[row.creditKey] = content;
        session.creditedMinor += row.amountMinor;
        emit CreditRecorded(row.sessionKey, row.creditKey, row.leafHash, row.amountMinor);
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

    /// @notice Tells whether a session that starts at a leaf is settled.
    /// @param startLeafIndex Index of the start leaf.
    /// @return Whether it is.
    function isStartLeafSettled(uint64 startLeafIndex) public view returns (bool) {
        return _usedStartLeaves[startLeafIndex >> 8] & (1 << (startLeafIndex & 0xff)) != 0;
    }

    /// @dev Settles one session.
    /// @param row The session.
    function _settle(SettlementRow calldata row) private {
        bytes32 sessionKey = row.sessionKey;
        uint64 startLeafIndex = row.startLeafIndex;
        if (sessionKey == bytes32(0) || row.leafHash == bytes32(0) || row.currency == bytes3(0)) {
            revert SettlementRowIncomplete(sessionKey, startLeafIndex);
        }
        bytes32 content = keccak256(abi.encode(row));
        SettledSession storage session = _sessions[sessionKey];
        if (session.content == content) {
            emit SettlementRepeated(sessionKey, startLeafIndex);
            return;
        }
        if (session.content != bytes32(0) || isStartLeafSettled(startLeafIndex)) {
            revert SettlementConflict(sessionKey, startLeafIndex);
        }

        session.content = content;
        session.amountMinor = row.amountMinor;
        _usedStartLeaves[startLeafIndex >> 8] |= 1 << (startLeafIndex & 0xff);
        ++settledCount;
        emit SessionSettled(sessionKey, startLeafIndex, row.leafHash, row.energyMilliWh, row.amountMinor, row.currency);
        uint256 flexWh = row.flexMilliWh / MILLI_WH_PER_FLEX_UNIT;
        if (flexWh != 0 && row.flexTo != address(0)) {
            emit FlexAwarded(sessionKey, row.flexTo, row.flexMilliWh);
            flexToken.mint(row.flexTo, flexWh);
        }
    }
}
