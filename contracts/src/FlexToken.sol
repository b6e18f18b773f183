// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Handover} from "./Handover.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title FlexToken
/// @notice Counts accepted flexibility: 1 FLEX is 1 kWh of shifted charging, the smallest unit 1 Wh.
/// @dev Minted by one contract alone, bound once, and burnt by its holder on redemption. Another one can take
/// its place a week after it was announced: a faulty Settlement does not end the token. The minter
/// can also take back what was minted too much: what the holder does not hold any more
/// becomes a debt, which further minting pays first. It is a unit of account and not money, so transfers
/// between holders are closed until TRANSFER_ENABLER_ROLE opens them.
/// @custom:kill PAUSER_ROLE calls `pause()`: no minting, no transfers. Redemption (`burn`) and taking
/// back stay open always.
contract FlexToken is ERC20, Handover {
    /// @notice May open and close transfers between holders.
    bytes32 public constant TRANSFER_ENABLER_ROLE = keccak256("TRANSFER_ENABLER_ROLE");

    /// @notice Whether holders may transfer to each other.
    bool public transfersEnabled;
    /// @notice The only minter, the Settlement contract; zero until it is bound.
    address public minter;
    /// @notice What a holder owes in Wh, from flexibility that was taken back after it was gone.
    mapping(address holder => uint256 amountWh) public debtOf;

    /// @notice Transfers between holders were opened or closed.
    /// @param enabled The new state.
    event TransfersSwitched(bool enabled);

    /// @notice A holder burnt tokens to redeem them.
    /// @param holder The holder.
    /// @param amountWh Burnt amount in Wh, the smallest unit.
    event FlexRedeemed(address indexed holder, uint256 amountWh);

    /// @notice The minter was bound: the first, or the next after an announced week.
    /// @param minter The contract.
    event MinterBound(address indexed minter);

    /// @notice Flexibility was taken back from a holder.
    /// @param holder The holder.
    /// @param burntWh What the holder held of it, in Wh.
    /// @param owedWh What became a debt, in Wh.
    event FlexTakenBack(address indexed holder, uint256 burntWh, uint256 owedWh);

    /// @notice A debt was paid by minting less.
    /// @param holder The holder.
    /// @param amountWh What was paid, in Wh.
    event FlexDebtPaid(address indexed holder, uint256 amountWh);

    /// @notice The caller is not the minter.
    /// @param account The caller.
    error FlexNotMinter(address account);
    /// @notice A minter is bound already.
    /// @param minter It.
    error FlexMinterIsBound(address minter);
    /// @notice The minter offered is no contract.
    /// @param account The address offered.
    error FlexMinterHasNoCode(address account);
    /// @notice Transfers between holders are closed.
    error FlexTransfersDisabled();

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    constructor(address admin) ERC20("Wattproof Flex", "FLEX") Stoppable(admin) {}

    /// @dev Lets only the minter in.
    modifier onlyMinter() {
        if (msg.sender != minter) revert FlexNotMinter(msg.sender);
        _;
    }

    /// @notice Binds the first minter.
    /// @param minter_ The Settlement contract.
    function bindMinter(address minter_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (minter != address(0)) revert FlexMinterIsBound(minter);
        if (minter_.code.length == 0) revert FlexMinterHasNoCode(minter_);
        _handOver(minter_);
    }

    /// @notice Creates tokens, after what the receiver owes.
    /// @param to Receiver.
    /// @param amountWh Amount in Wh, the smallest unit.
    function mint(address to, uint256 amountWh) external onlyMinter whenNotPaused {
        uint256 owedWh = debtOf[to];
        if (owedWh != 0) {
            uint256 paidWh = owedWh < amountWh ? owedWh : amountWh;
            debtOf[to] = owedWh - paidWh;
            amountWh -= paidWh;
            emit FlexDebtPaid(to, paidWh);
        }
        if (amountWh != 0) _mint(to, amountWh);
    }

    /// @notice Takes tokens back; what the holder does not hold becomes a debt. Never reverts for want of
    /// balance, and not while paused.
    /// @param holder Who received them.
    /// @param amountWh Amount in Wh, the smallest unit.
    function takeBack(address holder, uint256 amountWh) external onlyMinter {
        uint256 heldWh = balanceOf(holder);
        uint256 burntWh = heldWh < amountWh ? heldWh : amountWh;
        debtOf[holder] += amountWh - burntWh;
        _burn(holder, burntWh);
        emit FlexTakenBack(holder, burntWh, amountWh - burntWh);
    }

    /// @notice Destroys tokens of the caller, as redemption.
    /// @param amountWh Amount in Wh, the smallest unit.
    function burn(uint256 amountWh) external {
        _burn(msg.sender, amountWh);
        emit FlexRedeemed(msg.sender, amountWh);
    }

    /// @notice Opens or closes transfers between holders.
    /// @param enabled The new state.
    function setTransfersEnabled(bool enabled) external onlyRole(TRANSFER_ENABLER_ROLE) {
        transfersEnabled = enabled;
        emit TransfersSwitched(enabled);
    }

    /// @notice Decimals of the token: the smallest unit is 1 Wh.
    /// @return 3.
    function decimals() public pure override returns (uint8) {
        return 3;
    }

    /// @dev The minter is another contract.
    /// @param next The contract.
    function _handOver(address next) internal override {
        minter = next;
        emit MinterBound(next);
    }

    /// @dev Closes the path between two holders; minting and burning have a zero end.
    /// @param from Sender, zero for minting.
    /// @param to Receiver, zero for burning.
    /// @param amountWh Amount in Wh.
    function _update(address from, address to, uint256 amountWh) internal override {
        if (from != address(0) && to != address(0)) {
            _requireNotPaused();
            if (!transfersEnabled) revert FlexTransfersDisabled();
        }
        super._update(from, to, amountWh);
    }
}
