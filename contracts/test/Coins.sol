// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @dev A stablecoin with permit, 6 decimals. It can keep a fee of each transfer, and can call back into
/// whatever it was told while it moves money.
contract Coin is ERC20, ERC20Permit {
    uint256 public feePercent;
    address public calledBack;
    bytes public callData;
    bool public callSucceeded;

    constructor() ERC20("Coin", "COIN") ERC20Permit("Coin") {}

    function give(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function setFee(uint256 percent) external {
        feePercent = percent;
    }

    function callBack(address target, bytes calldata data) external {
        (calledBack, callData) = (target, data);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) {
            super._update(to, address(0xFEE), amount * feePercent / 100);
            address target = calledBack;
            calledBack = address(0);
            if (target != address(0)) (callSucceeded,) = target.call(callData);
        }
    }
}

/// @dev A wallet that is a contract: it says yes to one digest (ERC-1271).
contract Wallet {
    bytes32 public agreed;

    function agree(bytes32 digest) external {
        agreed = digest;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == agreed ? this.isValidSignature.selector : bytes4(0);
    }
}
