window.YTD.tweet.part0 = [
  {
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
    }
  },
  {
    "tweet": {
      "id": "3",
      "id_str": "3",
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
      "edit_info": {
        "initial": {
          "editTweetIds": [
            "2",
            "3"
          ]
        }
      }
    }
  },
  {
    "tweet": {
      "id": "5",
      "id_str": "5",
      "full_text": "RT @bob: look",
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
            "media_url_https": "https://pbs.example/media/one.jpg",
            "source_status_id_str": "4"
          }
        ]
      }
    }
  }
];
