"""What tells a place is known by its name, and by no more than that."""

import pytest

from firsthand.capture.places import tell_place, without_places


@pytest.mark.parametrize("names", [["gps"], ["observation.gps"], ["GPSInfo"], ["gpsLatitude"], ["lat", "lon"], ["pose.lat", "pose.lng"],
                                   ["NMEA_sentence"], ["x", "geohash"]])
def test_places_are_known(names: list[str]) -> None:
    assert tell_place(names)


@pytest.mark.parametrize("names", [["lat"], ["lateral", "longitudinal"], ["latency", "long"], ["platform"], ["location"], ["hand_location"],
                                   ["lat", "latitudinal"], []])
def test_what_only_looks_like_one_is_kept(names: list[str]) -> None:
    assert not tell_place(names)


def test_a_document_loses_its_places_however_deep() -> None:
    document = {"task": "dig", "lateral": 1, "camera": {"lat": 48.1, "lon": 11.5, "iso": 100}, "takes": [{"gps": [1, 2], "n": 0}]}
    assert without_places(document) == {"task": "dig", "lateral": 1, "camera": {"iso": 100}, "takes": [{"n": 0}]}
