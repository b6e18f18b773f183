// Written by tests/support/page_contracts.py from the artifacts: size of the code, where
// values are fixed at deployment, SHA-256 with those at zero.
const CONTRACTS = {
 "code": {
  "StatusAnchor": [
   [
    4605,
    [],
    "76f95e67bc7237bb1053f8e9c9b4ead9e4e15de2564af6a0c4f0c82fccc5bba2"
   ],
   [
    4588,
    [],
    "5edef5e1b6cf8fef86fda3217ba77bbdaaf595ee1d080ef8da155fcc83c8c580"
   ]
  ],
  "Settlement": [
   [
    15295,
    [ 1255, 4660, 6521, 10388 ],
    "cb86b7996f1d4d852d998afe31fe14be665dd438dae6fe40ebfdd61bae65de8f"
   ],
   [
    5566,
    [ 732, 4056 ],
    "c6c4a538570f937037094d5158b92c8162230f31eda5cdc8ee5cca65ea5c53cf"
   ]
  ]
 },
 "events": {
  "HeadAnchored": {
   "topic": "797ac3c08f47afe4a82982960a16c3c3ce30dfe9eb9629490718f41a2f98bc47",
   "topics": [ "size" ],
   "data": [ "root", "statusHash" ]
  },
  "SessionSettled": {
   "topic": "bf92ea2e6883baae7aa2b39c12e384fb4e170846742538c29876cfb0d0e04c63",
   "topics": [ "sessionKey", "startLeafIndex" ],
   "data": [ "leafHash", "energyMilliWh", "amountMinor", "currency" ]
  },
  "SettlementRepeated": {
   "topic": "c71a6bdb4661fa11c2c9cb53fcab43f74b47cc6ed460c31b26b65e29c3909c95",
   "topics": [ "sessionKey", "startLeafIndex" ],
   "data": []
  },
  "CreditRecorded": {
   "topic": "0df45b7ee73b7d3878e6dfc4ec4dafbae59290e6c56109a3cdb06688fc376b51",
   "topics": [ "sessionKey", "creditKey" ],
   "data": [ "leafHash", "amountMinor" ]
  },
  "CreditRepeated": {
   "topic": "d7511580557d20d1a4d02ca2be8f027fbdfb983bfa4e765c54f05aa76674610b",
   "topics": [ "sessionKey", "creditKey" ],
   "data": []
  },
  "InvoicesRecorded": {
   "topic": "0f9c69a4c32b8fa6c300e4fcdb6654c52745933957edb5a5d571562654a1f8d4",
   "topics": [ "fromLeaf" ],
   "data": [ "toLeaf", "invoicesRoot", "sessionCount" ]
  },
  "WindowNetted": {
   "topic": "4da7cfe75551defb1fbb012d146b264dfe2fca7bcb166c4e227d9714569fdfb5",
   "topics": [ "fromLeaf" ],
   "data": [ "toLeaf", "currency", "sessionCount", "userCount" ]
  },
  "UserNetted": {
   "topic": "e8a618a04062fc05b4e1bec06d8100482702c9a442be78ff2d11d8733c020387",
   "topics": [ "user", "fromLeaf" ],
   "data": [ "energyMilliWh", "amountMinor", "flexMilliWh", "sessionsRoot" ]
  },
  "NettedCreditRecorded": {
   "topic": "7d8eea200a19f861f8b0390a8bb9c172b3323576c9d61fba42a9e989b29e1396",
   "topics": [ "user", "fromLeaf", "creditKey" ],
   "data": [ "leafHash", "amountMinor", "flexMilliWh" ]
  },
  "NettedCreditRepeated": {
   "topic": "9d9efe76535dc64f90377d30615b2ec2438c86e4cd07d8966b200a1fb489afae",
   "topics": [ "user", "fromLeaf", "creditKey" ],
   "data": []
  }
 },
 "calls": {
  "settledAmounts": "59c3669e",
  "settledContent": "f5db6488",
  "isStartLeafSettled": "941db18f",
  "isStartLeafClosed": "854b2b1c",
  "creditContent": "6eb8c4a8",
  "nettedCredits": "12d2939e"
 }
};
