// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {FlexToken} from "../src/FlexToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {StatusAnchor} from "../src/StatusAnchor.sol";
import {TestBase} from "./Vm.sol";

/// @dev A settler that draws sessions, start leaves and credits from small pools, so that repeats and
/// conflicts are frequent. It keeps its own books, predicts each verdict and remembers every surprise.
contract SettlementHandler {
    Settlement public immutable settlement;
    FlexToken public immutable token;
    uint256 public settled;
    uint256 public heldWh;
    uint256 public owedWh;
    uint256 public surprises;

    uint256 public constant POOL = 8;
    mapping(bytes32 sessionKey => bytes32 content) public contentOf;
    mapping(uint64 leaf => bytes32 sessionKey) public sessionAtLeaf;
    mapping(bytes32 sessionKey => uint64 amountMinor) public amountOf;
    mapping(bytes32 sessionKey => uint64 amountMinor) public creditedOf;
    mapping(bytes32 creditKey => bytes32 content) public creditOf;
    mapping(bytes32 sessionKey => uint256 amountWh) public takenBackWh;
    mapping(bytes32 sessionKey => Settlement.SettlementRow row) private _rowOf;
    Settlement.CreditRow private _lastCredit;
    uint256 private _creditSerial;

    constructor(Settlement settlement_, FlexToken token_) {
        settlement = settlement_;
        token = token_;
    }

    function settle(uint8 session, uint8 leaf, uint8 variant) external {
        Settlement.SettlementRow memory row = Settlement.SettlementRow({
            sessionKey: keccak256(abi.encode("session", session % POOL)),
            startLeafIndex: uint64(leaf % POOL) * 100,
            leafHash: keccak256("leaf"),
            energyMilliWh: 10_000_000,
            amountMinor: 100 + variant % 2,
            currency: "EUR",
            flexMilliWh: uint64(variant % 5) * 700,
            flexTo: address(this)
        });
        bytes32 content = keccak256(abi.encode(row));
        bytes32 known = contentOf[row.sessionKey];
        bool isRepeat = known == content;
        bool isNew = known == bytes32(0) && sessionAtLeaf[row.startLeafIndex] == bytes32(0);

        Settlement.SettlementRow[] memory rows = new Settlement.SettlementRow[](1);
        rows[0] = row;
        bool passed;
        try settlement.settleBatch(rows) {
            passed = true;
        } catch {}
        if (passed != (isRepeat || isNew)) ++surprises;
        if (!isNew) return;
        contentOf[row.sessionKey] = content;
        sessionAtLeaf[row.startLeafIndex] = row.sessionKey;
        amountOf[row.sessionKey] = row.amountMinor;
        ++settled;
        _rowOf[row.sessionKey] = row;
        uint256 mintedWh = row.flexMilliWh / 1000;
        uint256 paidWh = owedWh < mintedWh ? owedWh : mintedWh;
        owedWh -= paidWh;
        heldWh += mintedWh - paidWh;
    }

    /// @dev Takes flexibility back, often after it was redeemed: the rest is owed, and nothing reverts.
    function flexCredit(uint8 session, uint8 key, uint8 wh) external {
        bytes32 sessionKey = keccak256(abi.encode("session", session % POOL));
        bytes32 creditKey = _creditKey(key);
        Settlement.SettlementRow memory known = _rowOf[sessionKey];
        Settlement.CreditRow memory row = Settlement.CreditRow(sessionKey, creditKey, "leaf", 0);
        uint64 flexMilliWh = uint64(wh % 3) * 1000;
        bytes32 content = keccak256(abi.encode(row, flexMilliWh));
        bool isRepeat = creditOf[creditKey] == content;
        bool isNew = creditOf[creditKey] == bytes32(0) && contentOf[sessionKey] != bytes32(0)
            && takenBackWh[sessionKey] + flexMilliWh / 1000 <= known.flexMilliWh / 1000;
        bool passed;
        try settlement.recordFlexCredit(known, row, flexMilliWh) {
            passed = true;
        } catch {}
        if (passed != (isRepeat || isNew)) ++surprises;
        if (!isNew) return;
        creditOf[creditKey] = content;
        takenBackWh[sessionKey] += flexMilliWh / 1000;
        uint256 burntWh = flexMilliWh / 1000 < heldWh ? flexMilliWh / 1000 : heldWh;
        heldWh -= burntWh;
        owedWh += flexMilliWh / 1000 - burntWh;
    }

    function credit(uint8 session, uint8 key, uint8 amountMinor) external {
        bytes32 sessionKey = keccak256(abi.encode("session", session % POOL));
        Settlement.CreditRow memory row =
            Settlement.CreditRow(sessionKey, _creditKey(key), "leaf", _aroundTheRest(sessionKey, amountMinor));
        if (key % 4 == 0) row = _lastCredit;
        (sessionKey, _lastCredit) = (row.sessionKey, row);
        bytes32 creditKey = row.creditKey;
        bytes32 content = keccak256(abi.encode(row));
        bool isRepeat = creditKey != bytes32(0) && creditOf[creditKey] == content;
        bool isNew = creditKey != bytes32(0) && creditOf[creditKey] == bytes32(0) && contentOf[sessionKey] != bytes32(0)
            && row.amountMinor <= amountOf[sessionKey] - creditedOf[sessionKey];
        bool passed;
        try settlement.recordCredit(row) {
            passed = true;
        } catch {}
        if (passed != (isRepeat || isNew)) ++surprises;
        if (!isNew) return;
        creditOf[creditKey] = content;
        creditedOf[sessionKey] += row.amountMinor;
    }

    function redeem(uint8 amountWh) external {
        uint256 balanceWh = token.balanceOf(address(this));
        uint256 burntNowWh = balanceWh == 0 ? 0 : amountWh % (balanceWh + 1);
        token.burn(burntNowWh);
        heldWh -= burntNowWh;
    }

    /// @dev Mostly a key of its own, at times the one before.
    function _creditKey(uint8 seed) private returns (bytes32) {
        if (seed % 4 != 1) ++_creditSerial;
        return keccak256(abi.encode("credit", _creditSerial));
    }

    /// @dev Mostly what can still be credited or one more, at times anything.
    function _aroundTheRest(bytes32 sessionKey, uint8 seed) private view returns (uint64) {
        if (seed % 3 == 0) return seed % 60;
        return amountOf[sessionKey] - creditedOf[sessionKey] + seed % 3 - 1;
    }
}

contract SettlementInvariantTest is TestBase {
    FlexToken private _token;
    Settlement private _settlement;
    SettlementHandler private _handler;
    address[] private _targets;

    function setUp() public {
        _token = new FlexToken(ADMIN);
        StatusAnchor anchor = new StatusAnchor(ADMIN);
        _settlement = new Settlement(ADMIN, address(_token), address(anchor));
        _handler = new SettlementHandler(_settlement, _token);
        vm.startPrank(ADMIN);
        _token.bindMinter(address(_settlement));
        _settlement.grantRole(_settlement.SETTLER_ROLE(), address(_handler));
        vm.stopPrank();
        _targets.push(address(_handler));
    }

    /// @dev Read by forge: calls go to the handler only.
    function targetContracts() external view returns (address[] memory) {
        return _targets;
    }

    function invariant_EveryVerdictIsAsPredicted() public view {
        vm.assertEq(_handler.surprises(), 0);
    }

    function invariant_NoSessionSettlesTwice() public view {
        vm.assertEq(_settlement.settledCount(), _handler.settled());
        for (uint256 i = 0; i < _handler.POOL(); ++i) {
            bytes32 key = keccak256(abi.encode("session", i));
            vm.assertEq(_settlement.settledContent(key), _handler.contentOf(key));
        }
    }

    function invariant_CreditsNeverExceedTheSettledAmount() public view {
        for (uint256 i = 0; i < _handler.POOL(); ++i) {
            bytes32 key = keccak256(abi.encode("session", i));
            (uint64 amountMinor, uint64 creditedMinor) = _settlement.settledAmounts(key);
            vm.assertEq(amountMinor, _handler.amountOf(key));
            vm.assertEq(creditedMinor, _handler.creditedOf(key));
            vm.assertTrue(creditedMinor <= amountMinor);
        }
    }

    function invariant_TokensAreWhatWasMintedLessRedeemedTakenBackAndOwed() public view {
        vm.assertEq(_token.totalSupply(), _handler.heldWh());
        vm.assertEq(_token.balanceOf(address(_handler)), _handler.heldWh());
        vm.assertEq(_token.debtOf(address(_handler)), _handler.owedWh());
    }
}
