// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "./FlexToken.sol";
import {LeafBook} from "./LeafBook.sol";
import {StatusAnchor} from "./StatusAnchor.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title Settlement (SC3)
/// @notice Records what each session delivered and cost, exactly once, and mints its flexibility.
/// @dev Postpaid: the contract holds no money, and no driver has to sign (Escrow pays, where money is on
/// chain). A session is bound twice, by its key and by the index of its start leaf in the log, so it
/// cannot settle a second time under another salt. Four ways to settle, each start leaf in one of them:
/// alone, in a batch (`settleBatch`) or with the proof that its settlement leaf is in the anchored log
/// (`settleProven`); or in a window of the log, netted per user (`settleNetted`) or as one root
/// (`recordInvoices`). Sending any of them again is harmless. Corrections are credits against the
/// settled amount; in windows they are netted off chain, in a later window.
/// @custom:kill PAUSER_ROLE calls `pause()`: no settlement and no credit. Reading stays open, and
/// redemption of FLEX is not affected.
contract Settlement is Stoppable, LeafBook {
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

    /// @notice A part of the log whose sessions are settled together.
    /// @param fromLeaf Its first start leaf: where the window before it ended.
    /// @param toLeaf The first start leaf after it; not beyond the anchored head.
    /// @param listed Start leaves of the sessions that it settles, rising.
    /// @param open Start leaves inside of it that stay open, rising.
    /// @param currency ISO 4217 code in ASCII; never zero.
    struct NettedWindow {
        uint64 fromLeaf;
        uint64 toLeaf;
        uint64[] listed;
        uint64[] open;
        bytes3 currency;
    }

    /// @notice What one user owes for a window, less credits.
    /// @param user The user's address for this operator; rising from row to row.
    /// @param energyMilliWh Billed energy in mWh.
    /// @param amountMinor Billed amount in minor units of the currency.
    /// @param flexMilliWh Accepted flexibility in mWh, minted to the user.
    /// @param sessionsRoot Root over the leaf hashes of the user's settlements and credits.
    struct NettedRow {
        address user;
        uint64 energyMilliWh;
        uint64 amountMinor;
        uint64 flexMilliWh;
        bytes32 sessionsRoot;
    }

    struct SettledSession {
        bytes32 content;
        uint64 amountMinor;
        uint64 creditedMinor;
        uint64 flexTakenBackWh;
    }

    /// @notice May settle sessions and record credits.
    bytes32 public constant SETTLER_ROLE = keccak256("SETTLER_ROLE");
    /// @notice Energy of one smallest unit of FLEX: 1 Wh.
    uint64 public constant MILLI_WH_PER_FLEX_UNIT = 1000;

    /// @notice The token that carries accepted flexibility.
    FlexToken public immutable flexToken;
    /// @notice The contract that holds the head of the log.
    StatusAnchor public immutable statusAnchor;

    /// @notice Number of settled sessions.
    uint256 public settledCount;
    /// @notice Keccak-256 of the recorded credit with a key; zero when there is none.
    mapping(bytes32 creditKey => bytes32 content) public creditContent;
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

    /// @notice A user's sessions of a window were settled as one row.
    /// @param user The user.
    /// @param fromLeaf First start leaf of the window.
    /// @param energyMilliWh Billed energy in mWh.
    /// @param amountMinor Billed amount in minor units.
    /// @param flexMilliWh Accepted flexibility in mWh, before the rounding.
    /// @param sessionsRoot Root over the leaf hashes of the user's settlements and credits.
    event UserNetted(
        address indexed user,
        uint64 indexed fromLeaf,
        uint64 energyMilliWh,
        uint64 amountMinor,
        uint64 flexMilliWh,
        bytes32 sessionsRoot
    );

    /// @notice A window was settled, netted per user.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    /// @param currency ISO 4217 code.
    /// @param sessionCount Number of its sessions.
    /// @param userCount Number of its users.
    event WindowNetted(
        uint64 indexed fromLeaf, uint64 toLeaf, bytes3 currency, uint256 sessionCount, uint256 userCount
    );

    /// @notice The invoices of a window were recorded as one root.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    /// @param invoicesRoot Root over the leaf hashes of its settlements.
    /// @param sessionCount Number of its sessions.
    event InvoicesRecorded(uint64 indexed fromLeaf, uint64 toLeaf, bytes32 invoicesRoot, uint64 sessionCount);

    /// @notice A window arrived again with the same content and was skipped.
    /// @param fromLeaf Its first start leaf.
    event WindowRepeated(uint64 indexed fromLeaf);

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

    /// @notice The address of the token is zero.
    error SettlementTokenIsZero();
    /// @notice The address of the anchor is zero.
    error SettlementAnchorIsZero();
    /// @notice A window closed the start leaf: the session is settled in it, or will be in a later one.
    /// @param sessionKey Key of the session offered.
    /// @param startLeafIndex Index of the start leaf offered.
    error SettlementLeafClosed(bytes32 sessionKey, uint64 startLeafIndex);
    /// @notice The settlement leaf is not proven to stand in the anchored log, after its start leaf.
    /// @param sessionKey Key of the session offered.
    /// @param leafIndex Index of the settlement leaf offered.
    error SettlementNotIncluded(bytes32 sessionKey, uint64 leafIndex);
    /// @notice The window reaches beyond the anchored head.
    /// @param headSize Number of anchored leaves.
    /// @param toLeaf End of the window offered.
    error SettlementWindowBeyondHead(uint64 headSize, uint64 toLeaf);
    /// @notice The currency of a window or its root is zero, or the users do not rise.
    /// @param fromLeaf First start leaf of the window offered.
    error SettlementWindowMisshapen(uint64 fromLeaf);
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
    /// @param flexToken_ The FlexToken; its admin binds this contract as its minter.
    /// @param statusAnchor_ The StatusAnchor of the same log.
    constructor(address admin, address flexToken_, address statusAnchor_) Stoppable(admin) {
        if (flexToken_ == address(0)) revert SettlementTokenIsZero();
        if (statusAnchor_ == address(0)) revert SettlementAnchorIsZero();
        flexToken = FlexToken(flexToken_);
        statusAnchor = StatusAnchor(statusAnchor_);
    }

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

    /// @notice Settles the listed sessions of a window, one row for each user.
    /// @param window The window; skipped if it is settled already with the same rows.
    /// @param rows The users, rising by address.
    function settleNetted(NettedWindow calldata window, NettedRow[] calldata rows)
        external
        onlyRole(SETTLER_ROLE)
        whenNotPaused
    {
        if (window.currency == bytes3(0)) revert SettlementWindowMisshapen(window.fromLeaf);
        bytes32 content = keccak256(abi.encode(window, rows));
        if (!_closeNew(window.fromLeaf, window.toLeaf, window.listed, window.open, content)) return;
        address last = address(0);
        for (uint256 i = 0; i < rows.length; ++i) {
            NettedRow calldata row = rows[i];
            if (row.user <= last) revert SettlementWindowMisshapen(window.fromLeaf);
            last = row.user;
            emit UserNetted(
                row.user, window.fromLeaf, row.energyMilliWh, row.amountMinor, row.flexMilliWh, row.sessionsRoot
            );
            _mint(row.user, row.flexMilliWh);
        }
        emit WindowNetted(window.fromLeaf, window.toLeaf, window.currency, window.listed.length, rows.length);
    }

    /// @notice Records the invoices of all sessions of a window as one root: no amounts, no users.
    /// @dev The contract does not see which sessions the root covers; it closes all start leaves of the
    /// window but the open ones to any other settlement.
    /// @param fromLeaf Its first start leaf: where the window before it ended.
    /// @param toLeaf The first start leaf after it; not beyond the anchored head.
    /// @param invoicesRoot Root over the leaf hashes of its settlements; never zero.
    /// @param sessionCount Number of its sessions.
    /// @param open Start leaves inside of it that stay open, rising.
    function recordInvoices(
        uint64 fromLeaf,
        uint64 toLeaf,
        bytes32 invoicesRoot,
        uint64 sessionCount,
        uint64[] calldata open
    ) external onlyRole(SETTLER_ROLE) whenNotPaused {
        if (invoicesRoot == bytes32(0)) revert SettlementWindowMisshapen(fromLeaf);
        bytes32 content = keccak256(abi.encode(fromLeaf, toLeaf, invoicesRoot, sessionCount, open));
        if (_closeNew(fromLeaf, toLeaf, open[:0], open, content)) {
            emit InvoicesRecorded(fromLeaf, toLeaf, invoicesRoot, sessionCount);
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
        bytes32 known = creditContent[row.creditKey];
        if (known == content) {
            emit CreditRepeated(row.sessionKey, row.creditKey);
            return false;
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
        return true;
    }

    /// @dev Closes a window that the anchored log covers, or tells of its repetition.
    /// @param fromLeaf Its first start leaf.
    /// @param toLeaf The first start leaf after it.
    /// @param listed Start leaves that it settles.
    /// @param open Start leaves that stay open.
    /// @param content Keccak-256 of all that it says.
    /// @return Whether it is new.
    function _closeNew(
        uint64 fromLeaf,
        uint64 toLeaf,
        uint64[] calldata listed,
        uint64[] calldata open,
        bytes32 content
    ) private returns (bool) {
        (uint64 headSize,,) = statusAnchor.head();
        if (toLeaf > headSize) revert SettlementWindowBeyondHead(headSize, toLeaf);
        if (_closeWindow(fromLeaf, toLeaf, listed, open, content)) return true;
        emit WindowRepeated(fromLeaf);
        return false;
    }

    /// @dev Mints whole Wh of flexibility.
    /// @param to Receiver.
    /// @param flexMilliWh Flexibility in mWh.
    function _mint(address to, uint64 flexMilliWh) private {
        uint256 flexWh = flexMilliWh / MILLI_WH_PER_FLEX_UNIT;
        if (flexWh != 0) flexToken.mint(to, flexWh);
    }
}
