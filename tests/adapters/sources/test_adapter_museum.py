"""Museums, libraries and stock sites: one record of every provider of the samples, read by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from api_checks import by_subject, counts, edges, fuzz, read, said, sample, write
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.records.folder import ScrapeFolder
from adapters.sources.museum import ADAPTERS
from adapters.sources.museum.responses import PROVIDERS
from adapters.sources.paths import compiled
from adapters.sources.reading.open_licenses import license_of

ADAPTER = ADAPTERS[0]
MET = {"objectID": 5, "primaryImage": "https://images.test/DP1234.jpg", "title": "Quail",
       "additionalImages": ["https://images.test/DP1235.jpg", "", "https://images.test/DP1236.jpg"],
       "constituents": [{"name": "Ann"}, {"name": "Bo"}], "isPublicDomain": True,
       "tags": [{"term": "Birds"}], "metadataDate": "2020-02-07T15:50:59Z"}  # fmt: skip
NYPL = {
    "nyplAPI": {
        "request": {"uuid": {"$": "cap-1"}},
        "response": {
            "mods": {"identifier": {"$": "item-1", "type": "uuid"},
                     "titleInfo": {"title": {"$": "Map"}},
                     "name": {"namePart": {"$": "Ann"}},
                     "subject": {"topic": [{"$": "Harbour"}, {"$": "x"}]}},
            "sibling_captures": {"capture": {
                "imageID": {"$": "567001"}, "uuid": {"$": "cap-1"},
                "imageLinks": {"imageLink": [{"$": "http://i.test/index.php?id=567001&t=w&x"},
                                             {"$": "http://i.test/index.php?id=567001&t=g&x"}]},
                "rightsStatementURI": {"$": "https://creativecommons.org/publicdomain/mark/1.0/"}}},
        },
    }
}  # fmt: skip
EUROPEANA = {"items": [{"id": "/1/a", "edmIsShownBy": ["https://e.test/abc123.jpg"],
                        "dcTitleLangAware": {"fr": ["Mur"], "en": ["Wall"]},
                        "dcCreator": ["http://a#1", "Bo"], "edmAgent": ["http://a#1"],
                        "edmAgentLabel": [{"def": "Ann"}],
                        "rights": ["http://creativecommons.org/licenses/by-sa/3.0/"]}]}  # fmt: skip
FINNA = {"records": [{"id": "m.1", "title": "Talo",
                      "images": ["/Cover/Show?index=0", "/Cover/Show?index=1"],
                      "imageRights": {"copyright": "CC BY 4.0"}, "subjects": [["koivu"], []],
                      "nonPresenterAuthors": [{"name": "Ann", "role": "kuvaaja"}]}]}  # fmt: skip
NAPPY = {"images": [{"foreign_identifier": 9, "foreign_landing_url": "https://nappy.co/photo/9",
                     "license": "CC0",
                     "filesize": "3.4MB", "views": "12", "title": "t", "tags": "a,b c",
                     "creator": "Ann"}]}  # fmt: skip
SOUND = [{"id": 77, "username": "Ann", "name": "drum",
          "previews": {"hq": "https://f.test/77_1234-hq.mp3"},
          "duration": 0.5, "pack": "https://freesound.org/apiv2/packs/5/", "tags": ["x"],
          "license": "http://creativecommons.org/licenses/by/3.0/"}]  # fmt: skip
FILES = {"m.json": MET, "n.json": NYPL, "e.json": EUROPEANA, "f.json": FINNA, "p.json": NAPPY,
         "s.json": SOUND}  # fmt: skip


@pytest.mark.parametrize(
    "values, expected",
    [(("CC BY-NC-SA 4.0",), ("by-nc-sa", "4.0")), (("CC0",), ("cc0", None)),
     (("https://creativecommons.org/licenses/by-nd/2.0/de/",), ("by-nd", "2.0")),
     (("https://creativecommons.org/publicdomain/mark/1.0/",), ("pdm", "1.0")),
     (("CC-BY-NC-SA 4.0",), ("by-nc-sa", "4.0")), ((None, "All Rights Reserved"),
                                                  ("All Rights Reserved", None)),
     ((5, {}), ("5", None)), ((), (None, None))],
)  # fmt: skip
def test_licences(values, expected):
    found = license_of(*values)
    assert (found["license"], found["license_version"]) == expected


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("Thomas Cole (American, 1801-1848)", "Thomas Cole"),
        ("Ann\nLee (1801-1848)", "Ann\nLee"),
        ("Ann", "Ann"),
        ("(" * 1_000_000, "(" * 4_096),
        (" (" * 500_000 + ")", "( " * 2_048),
    ],
)
def test_names_without_what_stands_in_brackets(told, name):
    assert compiled("a:outside_brackets").first_of()({"a": told})[0] == name


def test_an_unknown_provider_is_told_who_is_known(tmp_path):
    files = {"1.json": {"id": 1, "name": "x"}, "2.json": {"images": [NAPPY["images"][0], 7]},
             "3.json": {"stat": "fail", "code": 1, "message": "no"}}  # fmt: skip
    records, problems = read(ADAPTER, write(tmp_path, files))
    assert len(records) == 1
    assert all(provider.name in problems[0].reason for provider in PROVIDERS)
    assert "flickr" in problems[0].reason
    assert (problems[1].number, problems[1].reason) == (
        1, "not a record of openverse, as its neighbours are",
    )  # fmt: skip
    assert "Flickr answered" in problems[2].reason
    assert ADAPTER.sniff(ScrapeFolder.of(str(tmp_path))).confidence < 0.8


def test_samples_by_hand_of_museums():
    records, problems = read(ADAPTER, sample("museum-and-stock-apis"))
    assert problems == []
    assert counts(records) == {
        "brooklynmuseum/response_success.json": 1, "clevelandmuseum/complete_data.json": 1,
        "europeana/image_data_example.json": 1, "finnishmuseums/object_list_example.json": 13,
        "flickr/flickr_example_pretty.json": 30, "freesound/page.json": 6,
        "jamendo/audio_data_example.json": 1,
        "metropolitan_museum_of_art/sample_response.json": 1,
        "museumvictoria/response_success.json": 1, "nappy/images.json": 10,
        "nypl/response_itemdetails_success.json": 1, "phylopic/sample_record.json": 1,
        "rawpixel/public_domain_response.json": 2, "sciencemuseum/response_success.json": 1,
        "smithsonian/actual_record_data.json": 1, "smk/item.json": 1,
        "stocksnap/full_response.json": 40, "wordpress/full_item.json": 1,
    }  # fmt: skip
    found = by_subject(records)
    assert edges(found["brooklynmuseum:post:3054"]) == [
        "brooklynmuseum:user:10785 -alias-> brooklynmuseum:username:abbas al-musavi",
        "brooklynmuseum:user:10785 -authored-> brooklynmuseum:post:3054",
        "brooklynmuseum:post:3054 -contains(0)-> brooklynmuseum:media:2002.6_PS2.jpg",
    ]
    view = found["clevelandmuseum:post:93014"]
    assert edges(view) == [
        "clevelandmuseum:username:thomas cole -authored-> clevelandmuseum:post:93014",
        "clevelandmuseum:post:93014 -contains(0)-> clevelandmuseum:media:93014",
    ]
    medium = said(view, "clevelandmuseum:media:93014").meta
    assert (medium["width"], medium["size_bytes"]) == (6280, 72628688)
    assert edges(found["met:post:45734"]) == [
        "met:username:kiyohara yukinobu -authored-> met:post:45734",
        "met:tag:birds -tagged-> met:post:45734",
        "met:tag:leaves -tagged-> met:post:45734",
        "met:post:45734 -contains(0)-> met:media:45734",
        "met:post:45734 -contains(1)-> met:media:45734-1",
        "met:post:45734 -contains(2)-> met:media:45734-2",
    ]
    diary = found["museumsvictoria:post:items/826303"]
    assert len(edges(diary, "contains")) == 43 and len(edges(diary, "tagged")) == 4
    page = said(diary, "museumsvictoria:media:media/440365").meta
    # The object is under CC BY, this picture is not.
    assert said(diary).meta["license"] == "by" and page["license"] == "All Rights Reserved"
    assert (page["width"], page["size_bytes"]) == (2140, 1056345)
    votive = found["sciencemuseum:post:co85803"]
    assert edges(votive, "authored", "contains") == [
        "sciencemuseum:user:cp21665 -authored-> sciencemuseum:post:co85803",
        "sciencemuseum:post:co85803 -contains(0)-> sciencemuseum:media:i57370",
        "sciencemuseum:post:co85803 -contains(1)-> sciencemuseum:media:i57371",
        "sciencemuseum:post:co85803 -contains(2)-> sciencemuseum:media:i57372",
    ]
    assert said(votive, "sciencemuseum:media:i57370").meta["license"] == "by-nc-sa"
    sparrow = found["smithsonian:post:nmnhvz_14800560"]
    assert edges(sparrow) == [
        "smithsonian:username:seymour h. levy -authored-> smithsonian:post:nmnhvz_14800560",
        "smithsonian:tag:animals -tagged-> smithsonian:post:nmnhvz_14800560",
        "smithsonian:tag:birds -tagged-> smithsonian:post:nmnhvz_14800560",
        "smithsonian:post:nmnhvz_14800560 -contains(0)-> "
        "smithsonian:media:ark:/65665/m36e850c7c-c23c-442a-a13d-6a9c4fc3da31",
    ]
    anne = found["smk:post:KKS1615"]
    assert said(anne).title == "Jomfru Maria med barnet og Sankt Anne ved vuggen"
    assert edges(anne, "authored", "contains") == [
        "smk:user:1180000107_person -authored-> smk:post:KKS1615",
        "smk:post:KKS1615 -contains(0)-> smk:media:KKS1615",
    ]


def test_samples_by_hand_of_libraries_and_stock():
    records, _ = read(ADAPTER, sample("museum-and-stock-apis"))
    found = by_subject(records)
    cloister = found["europeana:post:/2022704/lod_oai_bibliotecadigital_jcyl_es_26229_ent1"]
    assert [edge.partition(" -")[0] for edge in edges(cloister, "authored", "credited")] == [
        "europeana:username:villemin, charles, fl. 1835-1849",
        "europeana:username:pérez villaamil, genaro, 1807-1854",
        "europeana:username:carderera, valentín, 1796-1880",
    ]
    box = found["finnishmuseums:post:museovirasto.CC0641BB5337F541CBD19169838BAC1F"]
    assert said(box).title == "linnunpönttö koivussa"
    assert (said(box).meta["license"], said(box).meta["license_version"]) == ("by", "4.0")
    church = found["flickr:post:49514337848"]
    assert edges(church) == [
        "flickr:user:7478087@N06 -authored-> flickr:post:49514337848",
        "flickr:post:49514337848 -contains(0)-> flickr:media:49514337848",
    ]
    assert (said(church).source, said(church).view) == ("flickr", 9)
    census = found["nypl:post:ea3657e0-3d4f-0134-0a4e-00505686a51c"]
    assert edges(census, "contains") == [
        f"{census.subject} -contains({n})-> nypl:media:{56738462 + n}" for n in range(7)
    ]
    assert said(census).author == "nypl:username:hillman, barbara"
    snare = found["freesound:post:414963"]
    assert edges(snare, "member") == ["freesound:album:23395 -member-> freesound:post:414963"]
    assert said(snare, "freesound:media:414963").meta["duration_s"] == 0.590625
    assert said(snare).meta["download_count"] == 87
    track = found["jamendo:post:732"]
    assert edges(track, "authored", "member") == [
        "jamendo:user:92 -authored-> jamendo:post:732",
        "jamendo:album:119 -member(6)-> jamendo:post:732",
    ]
    assert (said(track).view, said(track).meta["license"]) == (5616, "by-nc")
    portrait = found["nappy:post:9"]
    assert (said(portrait).view, said(portrait, "nappy:media:9").meta["size_bytes"]) == (
        82692,
        233500,
    )
    moth = found["phylopic:post:5b1e88b5-159d-495d-b8cb-04f9e28d2f02"]
    assert said(moth, moth.subject.replace("post", "media")).meta["width"] == 1536
    elk = found["rawpixel:post:4032668"]
    assert said(elk).author == "rawpixel:user:3059155" and said(elk).view is None
    flower = found["stocksnap:post:OAJ3645ZWF"]
    assert (said(flower).view, said(flower).meta["download_count"]) == (25, 5)
    assert len(edges(flower, "tagged")) == 22
    bean = found["wordpress:post:203627f31f"]
    assert edges(bean) == [
        "wordpress:user:14875848 -alias-> wordpress:username:shusei toda",
        "wordpress:user:14875848 -authored-> wordpress:post:203627f31f",
        "wordpress:tag:bean -tagged-> wordpress:post:203627f31f",
        "wordpress:tag:coffee -tagged-> wordpress:post:203627f31f",
        "wordpress:post:203627f31f -contains(0)-> wordpress:media:9919",
    ]
    assert said(bean).update_time == datetime(2022, 5, 16, 18, 50, 55, tzinfo=UTC)
    assert said(bean).title == "Coffee Bean with bags"


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_hostile_records(seed):
    fuzz(ADAPTER, FILES, Random(seed))
