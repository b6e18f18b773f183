// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Stoppable} from "./Stoppable.sol";

/// @title FlexToken
/// @notice Counts accepted flexibility: 1 FLEX is 1 kWh of shifted charging, the smallest unit 1 Wh.
/// @dev Minted by Settlement alone and burnt by its holder on redemption. It is a unit of account and
/// not money, so transfers between holders are closed until TRANSFER_ENABLER_ROLE opens them.
/// @custom:kill PAUSER_ROLE calls `pause()`: no minting, no transfers; or the admin revokes MINTER_ROLE.
/// Redemption (`burn`) stays open always.
contract FlexToken is ERC20, Stoppable {
    /// @notice May mint; meant for the Settlement contract alone.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");
    /// @notice May open and close transfers between holders.
    bytes32 public constant TRANSFER_ENABLER_ROLE = keccak256("TRANSFER_ENABLER_ROLE");

    /// @notice Whether holders may transfer to each other.
    bool public transfersEnabled;

    /// @notice Transfers between holders were opened or closed.
    /// @param enabled The new state.
    event TransfersSwitched(bool enabled);

    /// @notice A holder burnt tokens to redeem them.
    /// @param holder The holder.
    /// @param amountWh Burnt amount in Wh, the smallest unit.
    event FlexRedeemed(address indexed holder, uint256 amountWh);

    /// @notice Transfers between holders are closed.
    error FlexTransfersDisabled();

    /// @param admin Holder of DEFAULT_ADMIN_ROLE.
    constructor(address admin) ERC20("Wattproof Flex", "FLEX") Stoppable(admin) {}

    /// @notice Creates tokens.
    /// @param to Receiver.
    /// @param amountWh Amount in Wh, the smallest unit.
    function mint(address to, uint256 amountWh) external onlyRole(MINTER_ROLE) whenNotPaused {
        _mint(to, amountWh);
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
