window.YTD.tweets.part0 = [
  {
    "tweet": {
      "id": "1",
      "id_str": "1",
      "full_text": "fish &amp; chips",
      "created_at": "Thu Apr 06 15:24:15 +0000 2017",
      "favorite_count": "3",
      "retweet_count": "2",
      "source": "<a href=\"https://example.org\" rel=\"nofollow\">Pen</a>",
      "lang": "en",
      "entities": {
        "hashtags": [],
        "urls": [],
        "user_mentions": []
      },
      "extended_entities": {
        "media": [
          {
            "id_str": "21",
            "type": "photo",
            "media_url_https": "https://pbs.example/media/one.jpg"
          },
          {
            "id_str": "22",
            "type": "photo",
            "media_url_https": "https://pbs.example/media/two.jpg"
          }
        ]
      }
    }
  },
  {
    "tweet": {
      "id": "2",
      "id_str": "2",
      "full_text": "fish &amp; chips",
      "created_at": "Thu Apr 06 15:24:15 +0000 2017",
      "favorite_count": "3",
      "retweet_count": "2",
      "source": "<a href=\"https://example.org\" rel=\"nofollow\">Pen</a>",
      "lang": "en",
      "entities": {
        "hashtags": [],
        "urls": [],
        "user_mentions": []
      },
      "in_reply_to_status_id_str": "1"
    }
  }
]