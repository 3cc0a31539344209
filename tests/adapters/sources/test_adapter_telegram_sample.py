"""The Telegram sample, checked by hand: what the file says was read by a person."""

from __future__ import annotations

from datetime import UTC, datetime

from social_records import counts, links, read_set, said, samples

from adapters.records.folder import ScrapeFolder
from adapters.records.items import MediaFile
from adapters.sources.telegram.export import ADAPTERS

TELEGRAM = ADAPTERS[0]


def test_the_sample() -> None:
    items = read_set(TELEGRAM, "telegram-desktop-export")
    path = "telegram-test-json/result.json"
    # The chat, who made it, and eight messages; three service messages about members.
    assert counts(items) == {path: (10, 0)}
    assert TELEGRAM.sniff(ScrapeFolder.of(samples("telegram-desktop-export"))).confidence >= 0.9
    group, bot, owner = (
        "telegram:conversation:123456789",
        "telegram:user:460693903",
        "telegram:user:123456789",
    )
    assert said(items[(path, 0)], group).title == "Test 2022"
    made = said(items[(path, 1)], group)
    assert (made.author, made.update_time) == (owner, datetime(2022, 3, 16, 19, 23, 47, tzinfo=UTC))

    def post(number: int) -> str:
        return f"telegram:post:123456789/{number}"

    def common(number: int, sender: str, name: str) -> set[str]:
        return {
            f"{sender} -authored-> {post(number)}",
            f"{sender} -alias-> telegram:username:{name}",
            f"{group} -conversation-> {post(number)}",
        }

    march, folder = "александр март", "telegram-test-json"
    expected = {
        2: (426597, common(426597, bot, "get my id")),
        3: (
            428640,
            common(428640, owner, march)
            | {
                f"{post(428640)} -contains 0-> file:{folder}/photos/photo_1@23-03-2022_02-12-10.jpg",  # noqa: E501
                f"{post(428640)} -linked-> web:page:http://www.example.com/",
            },
        ),
        4: (428641, common(428641, bot, "get my id")),
        5: (428642, common(428642, owner, march)),
        6: (
            428645,
            common(428645, owner, march)
            | {
                f"{post(428645)} -contains 0-> file:{folder}/voice_messages/audio_1@23-03-2022_02-12-39.ogg",  # noqa: E501
            },
        ),
        7: (
            428647,
            common(428647, owner, march)
            | {
                f"{post(428647)} -contains 0-> file:{folder}/video_files/earth-globe.mp4",
            },
        ),
        8: (
            428648,
            common(428648, owner, march)
            | {
                f"{post(428648)} -contains 0-> telegram:media:123456789/428648",
                f"telegram:media:123456789/428648 -thumbnail-> file:{folder}/stickers/AnimatedSticker.tgs_thumb.jpg",  # noqa: E501
            },
        ),
        9: (
            428649,
            common(428649, owner, march)
            | {
                f"{post(428649)} -contains 0-> file:{folder}/files/image_2022-03-23_02-15-37.png",
                f"file:{folder}/files/image_2022-03-23_02-15-37.png -thumbnail-> "
                f"file:{folder}/files/image_2022-03-23_02-15-37.png_thumb.jpg",
            },
        ),
    }
    for number, (identity, edges) in expected.items():
        assert links(items[(path, number)]) == edges, identity
    assert (
        said(items[(path, 2)], post(426597)).title
        == "Your user ID: 123456789\nCurrent chat ID: -123456789"
    )
    assert said(items[(path, 5)], post(428642)).title == "asfd"
    assert said(items[(path, 5)], post(428642)).update_time == datetime(
        2022, 3, 23, 2, 12, 18, tzinfo=UTC
    )
    clip = said(items[(path, 7)], MediaFile(f"{folder}/video_files/earth-globe.mp4"))
    assert (clip.meta["media_type"], clip.meta["width"], clip.meta["height"]) == (
        "animation",
        288,
        432,
    )
    assert said(items[(path, 7)], post(428647)).meta["via_bot"] == "@gif"
