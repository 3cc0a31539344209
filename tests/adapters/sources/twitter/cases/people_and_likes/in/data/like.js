window.YTD.like.part0 = [
  {
    "like": {
      "tweetId": "9",
      "fullText": "good &lt;3",
      "expandedUrl": "https://x.com"
    }
  }
]