// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title Stoppable
/// @notice Roles and the emergency stop that all Wattproof contracts share.
/// @dev The pauser can stop and only the admin can start again, so a stolen pauser key costs time
/// and nothing else. No upgrade path: a faulty contract is paused for good and replaced by a new one.
/// @custom:kill A holder of PAUSER_ROLE calls `pause()`; the admin may call `unpause()`.
abstract contract Stoppable is AccessControl, Pausable {
    /// @notice May stop the contract, cannot start it again.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    /// @notice The admin given at construction is the zero address: nobody could grant roles.
    error StoppableAdminIsZero();

    /// @param admin Holder of DEFAULT_ADMIN_ROLE: grants and revokes every other role.
    constructor(address admin) {
        if (admin == address(0)) revert StoppableAdminIsZero();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Stops every function marked `whenNotPaused`.
    function pause() external onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Lets the stopped functions run again.
    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }
}
