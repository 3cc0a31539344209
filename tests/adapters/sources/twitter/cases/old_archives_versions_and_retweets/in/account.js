window.YTD.account.part0 = [
  {
    "account": {
      "username": "Ada_L",
      "accountId": "7",
      "createdAt": "2006-11-15T13:18:50.000Z",
      "accountDisplayName": "Ada"
    }
  }
]