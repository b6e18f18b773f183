// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "./FlexToken.sol";
import {Handover} from "./Handover.sol";
import {LeafBook} from "./LeafBook.sol";
import {StatusAnchor} from "./StatusAnchor.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title SettlementWindows
/// @notice The part of Settlement that settles whole windows of the log: netted per user, or as one root.
/// @dev Credits of sessions in windows are netted off chain in a later window, or recorded against a
/// user's row. The anchor can be exchanged after an announced week (Handover): one foreign head ends an
/// anchor's use, and neither the books here nor the token may end with it.
/// @custom:kill Abstract: stopped with Settlement.
abstract contract SettlementWindows is Handover, LeafBook {
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

    /// @notice One correction in favour of a user of a netted window, or of its flexibility.
    /// @param fromLeaf First start leaf of the window.
    /// @param user The user.
    /// @param creditKey Salted key of the credit; never zero.
    /// @param leafHash RFC 9162 leaf hash of the credit leaf; never zero.
    /// @param amountMinor Credited amount in minor units of the window's currency; may be zero.
    /// @param flexMilliWh Flexibility to take back in mWh; whole Wh are taken.
    struct NettedCreditRow {
        uint64 fromLeaf;
        address user;
        bytes32 creditKey;
        bytes32 leafHash;
        uint64 amountMinor;
        uint64 flexMilliWh;
    }

    /// @notice What was credited of a user's row of a window.
    /// @param creditedMinor Sum in minor units.
    /// @param flexTakenBackWh Flexibility taken back in Wh.
    struct NettedCredits {
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
    StatusAnchor public statusAnchor;

    /// @notice Keccak-256 of the recorded credit with a key; zero when there is none.
    mapping(bytes32 creditKey => bytes32 content) public creditContent;
    /// @notice What was credited of a user's row of a window.
    mapping(uint64 fromLeaf => mapping(address user => NettedCredits)) public nettedCredits;

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

    /// @notice A credit for a user's row of a window was recorded.
    /// @param user The user.
    /// @param fromLeaf First start leaf of the window.
    /// @param creditKey Key of the credit.
    /// @param leafHash Leaf hash of the credit leaf.
    /// @param amountMinor Credited amount in minor units.
    /// @param flexMilliWh What is taken back in mWh, before the rounding.
    event NettedCreditRecorded(
        address indexed user,
        uint64 indexed fromLeaf,
        bytes32 indexed creditKey,
        bytes32 leafHash,
        uint64 amountMinor,
        uint64 flexMilliWh
    );

    /// @notice A credit for a user's row of a window arrived again with the same content and was skipped.
    /// @param user The user.
    /// @param fromLeaf First start leaf of the window.
    /// @param creditKey Key of the credit.
    event NettedCreditRepeated(address indexed user, uint64 indexed fromLeaf, bytes32 indexed creditKey);

    /// @notice The address of the token is zero.
    error SettlementTokenIsZero();
    /// @notice The address of the anchor is zero.
    error SettlementAnchorIsZero();
    /// @notice The new anchor holds less of the log than windows closed.
    /// @param headSize Number of leaves that it anchored.
    /// @param closedBefore End of the last window.
    error SettlementAnchorTooShort(uint64 headSize, uint64 closedBefore);
    /// @notice The window reaches beyond the anchored head.
    /// @param headSize Number of anchored leaves.
    /// @param toLeaf End of the window offered.
    error SettlementWindowBeyondHead(uint64 headSize, uint64 toLeaf);
    /// @notice The currency of a window or its root is zero, the users do not rise, or more are listed than counted.
    /// @param fromLeaf First start leaf of the window offered.
    error SettlementWindowMisshapen(uint64 fromLeaf);
    /// @notice The window was not settled with these rows.
    /// @param fromLeaf First start leaf of the window offered.
    error SettlementWindowDiffers(uint64 fromLeaf);
    /// @notice The window has no row of the user.
    /// @param fromLeaf First start leaf of the window.
    /// @param user The user.
    error SettlementUserNotNetted(uint64 fromLeaf, address user);
    /// @notice The credits of a row would exceed its amount or its flexibility.
    /// @param fromLeaf First start leaf of the window.
    /// @param user The user.
    /// @param leftMinor What can still be credited, in minor units.
    /// @param leftWh What can still be taken back, in Wh.
    error SettlementNettedCreditTooLarge(uint64 fromLeaf, address user, uint64 leftMinor, uint64 leftWh);
    /// @notice The key or the leaf hash of a credit is zero.
    /// @param sessionKey Key of the session offered.
    /// @param creditKey Key of the credit offered.
    error SettlementCreditIncomplete(bytes32 sessionKey, bytes32 creditKey);
    /// @notice The credit is recorded already, with other content.
    /// @param creditKey Key of the credit offered.
    error SettlementCreditConflict(bytes32 creditKey);

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    /// @param flexToken_ The FlexToken; its admin binds this contract as its minter.
    /// @param statusAnchor_ The StatusAnchor of the same log.
    constructor(address admin, address flexToken_, address statusAnchor_) Stoppable(admin) {
        if (flexToken_ == address(0)) revert SettlementTokenIsZero();
        if (statusAnchor_ == address(0)) revert SettlementAnchorIsZero();
        flexToken = FlexToken(flexToken_);
        statusAnchor = StatusAnchor(statusAnchor_);
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
    /// window but the open ones to any other settlement, and those that it lists. Sessions that an
    /// earlier window left open must be listed; those of the window itself need not be.
    /// @param fromLeaf Its first start leaf: where the window before it ended.
    /// @param toLeaf The first start leaf after it; not beyond the anchored head.
    /// @param invoicesRoot Root over the leaf hashes of its settlements; never zero.
    /// @param sessionCount Number of its sessions.
    /// @param listed Start leaves of sessions that it settles, rising: all that were left open earlier.
    /// @param open Start leaves inside of it that stay open, rising.
    function recordInvoices(
        uint64 fromLeaf,
        uint64 toLeaf,
        bytes32 invoicesRoot,
        uint64 sessionCount,
        uint64[] calldata listed,
        uint64[] calldata open
    ) external onlyRole(SETTLER_ROLE) whenNotPaused {
        if (invoicesRoot == bytes32(0) || sessionCount < listed.length) {
            revert SettlementWindowMisshapen(fromLeaf);
        }
        bytes32 content = keccak256(abi.encode(fromLeaf, toLeaf, invoicesRoot, sessionCount, listed, open));
        if (_closeNew(fromLeaf, toLeaf, listed, open, content)) {
            emit InvoicesRecorded(fromLeaf, toLeaf, invoicesRoot, sessionCount);
        }
    }

    /// @notice Records a credit for a user's row of a netted window, and takes back flexibility; an identical
    /// one is skipped.
    /// @dev The window and all its rows are shown again, which costs only who corrects. What the user does
    /// not hold any more becomes a debt: the credit never fails for it. Whoever credits amounts here
    /// must not net them in a later window, too.
    /// @param window The window.
    /// @param rows The rows that it was settled with.
    /// @param credit The credit.
    function recordNettedCredit(
        NettedWindow calldata window,
        NettedRow[] calldata rows,
        NettedCreditRow calldata credit
    ) external onlyRole(SETTLER_ROLE) whenNotPaused {
        if (credit.creditKey == bytes32(0) || credit.leafHash == bytes32(0)) {
            revert SettlementCreditIncomplete(bytes32(0), credit.creditKey);
        }
        if (!_noteCredit(credit.creditKey, keccak256(abi.encode(credit)))) {
            emit NettedCreditRepeated(credit.user, credit.fromLeaf, credit.creditKey);
            return;
        }
        if (windowContent[credit.fromLeaf] != keccak256(abi.encode(window, rows))) {
            revert SettlementWindowDiffers(credit.fromLeaf);
        }
        _creditRow(_findRow(rows, credit), credit);
    }

    /// @dev Mints whole Wh of flexibility.
    /// @param to Receiver.
    /// @param flexMilliWh Flexibility in mWh.
    function _mint(address to, uint64 flexMilliWh) internal {
        uint256 flexWh = flexMilliWh / MILLI_WH_PER_FLEX_UNIT;
        if (flexWh != 0) flexToken.mint(to, flexWh);
    }

    /// @dev Notes a credit.
    /// @param creditKey Key of the credit.
    /// @param content Keccak-256 of all that it says.
    /// @return Whether it is new.
    function _noteCredit(bytes32 creditKey, bytes32 content) internal returns (bool) {
        bytes32 known = creditContent[creditKey];
        if (known == content) return false;
        if (known != bytes32(0)) revert SettlementCreditConflict(creditKey);
        creditContent[creditKey] = content;
        return true;
    }

    /// @dev Trusts another anchor, which holds at least what windows closed.
    /// @param next The anchor.
    function _handOver(address next) internal override {
        (uint64 headSize,,) = StatusAnchor(next).head();
        if (headSize < closedBefore) revert SettlementAnchorTooShort(headSize, closedBefore);
        statusAnchor = StatusAnchor(next);
    }

    /// @dev Credits a user's row of a window.
    /// @param row The row.
    /// @param credit The credit.
    function _creditRow(NettedRow calldata row, NettedCreditRow calldata credit) private {
        NettedCredits storage known = nettedCredits[credit.fromLeaf][row.user];
        uint64 leftMinor = row.amountMinor - known.creditedMinor;
        uint64 leftWh = row.flexMilliWh / MILLI_WH_PER_FLEX_UNIT - known.flexTakenBackWh;
        uint64 flexWh = credit.flexMilliWh / MILLI_WH_PER_FLEX_UNIT;
        if (credit.amountMinor > leftMinor || flexWh > leftWh) {
            revert SettlementNettedCreditTooLarge(credit.fromLeaf, row.user, leftMinor, leftWh);
        }
        known.creditedMinor += credit.amountMinor;
        known.flexTakenBackWh += flexWh;
        emit NettedCreditRecorded(
            row.user, credit.fromLeaf, credit.creditKey, credit.leafHash, credit.amountMinor, credit.flexMilliWh
        );
        if (flexWh != 0) flexToken.takeBack(row.user, flexWh);
    }

    /// @dev Finds the row that a credit is for.
    /// @param rows The rows of the window.
    /// @param credit The credit.
    /// @return The row.
    function _findRow(NettedRow[] calldata rows, NettedCreditRow calldata credit)
        private
        pure
        returns (NettedRow calldata)
    {
        for (uint256 i = 0; i < rows.length; ++i) {
            if (rows[i].user == credit.user) return rows[i];
        }
        revert SettlementUserNotNetted(credit.fromLeaf, credit.user);
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
}
