"""Browse's rows: filters, pages, and episodes that cannot be opened."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firsthand.annotate import catalog
from firsthand.annotate.annotation import Annotation
from firsthand.annotate.catalog import Filter, after, browse, choices, counts, ids, refresh
from firsthand.annotate.store import Edit, Store, library_store
from firsthand.capture.library import Episode, find_episodes


@pytest.fixture
def episodes(tiny_library: Path) -> list[Episode]:
    """The two episodes of the tiny library."""
    return find_episodes(tiny_library)


@pytest.fixture
def store(tiny_library: Path, episodes: list[Episode]) -> Iterator[Store]:
    """The store of the tiny library, with its rows read."""
    store = library_store(tiny_library)
    refresh(store, {episode.id: episode for episode in episodes})
    yield store
    store.close()


def test_a_row_says_what_is_in_the_files(store: Store, episodes: list[Episode]) -> None:
    (first, second), total = browse(store, Filter())
    assert total == 2 and (first.id, second.id) == (episodes[0].id, episodes[1].id)
    assert (first.task, first.n_frames, first.state, first.robots) == ("put the red cube into the bowl", 48, "new", ("panda_gripper",))
    assert first.coverage == pytest.approx(44 / 48)


def test_filters_narrow_and_count(store: Store, episodes: list[Episode]) -> None:
    said = Annotation(48, "stack 100% of_the cups", True, flags=("blur",), author="ann")
    store.submit(episodes[0], said, Edit("ann", 0, "client-a", 1))
    cases: list[tuple[Filter, list[int]]] = [
        (Filter(state="submitted"), [0]), (Filter(state="new"), [1]), (Filter(state="bogus"), []),
        (Filter(flag="blur"), [0]), (Filter(flag="recovery"), []), (Filter(session="nowhere"), []),
        (Filter(text="cups STACK"), [0]), (Filter(text="100% of_"), [0]), (Filter(text="100x"), []), (Filter(text="/001"), [1]),
        (Filter(task="put the red cube into the bowl"), [0, 1]),
    ]  # fmt: skip
    for where, wanted in cases:
        rows, total = browse(store, where)
        assert [row.id for row in rows] == [episodes[k].id for k in wanted] and total == len(wanted), where
    assert browse(store, Filter())[0][0].task == "stack 100% of_the cups"
    assert counts(store)["submitted"] == 1 and counts(store)["new"] == 1


def test_pages_do_not_overlap_and_cover_all(store: Store) -> None:
    one, two = browse(store, Filter(), limit=1)[0], browse(store, Filter(), limit=1, offset=1)[0]
    assert [row.id for row in one + two] == ids(store, Filter())


def test_the_next_to_do_goes_round_and_ends_when_all_are_submitted(store: Store, episodes: list[Episode]) -> None:
    first, second = episodes
    assert after(store, first.id, Filter()) == second.id and after(store, second.id, Filter()) == first.id
    store.submit(first, Annotation(48), Edit("ann", 0, "client-a", 1))
    assert after(store, second.id, Filter()) is None and after(store, first.id, Filter()) == second.id


def test_an_episode_that_cannot_be_opened_is_a_row_with_the_reason(store: Store, episodes: list[Episode]) -> None:
    episodes[0].recording_path.write_bytes(b"not a recording")
    episodes[1].annotations_path.write_text("{ half", encoding="utf-8")
    refresh(store, {episode.id: episode for episode in episodes})
    rows = browse(store, Filter(state="problem"))[0]
    assert "not an HDF5 file" in rows[0].problem and "is not JSON" in rows[1].problem
    assert ids(store, Filter()) == []


def test_only_changed_episodes_are_read_again_and_lost_ones_go(store: Store, episodes: list[Episode],
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    describe: Callable[..., dict[str, object]] = catalog._describe
    monkeypatch.setattr(catalog, "_describe", lambda store, episode: read.append(episode.id) or describe(store, episode))
    found = {episode.id: episode for episode in episodes}
    refresh(store, found)
    assert read == []
    os.utime(episodes[1].hands_path, ns=(1, 1))
    refresh(store, found)
    assert read == [episodes[1].id]
    refresh(store, {episodes[0].id: episodes[0]})
    assert ids(store, Filter()) == [episodes[0].id]


def test_choices_are_the_tasks_and_sessions_there_are(store: Store, episodes: list[Episode]) -> None:
    assert choices(store) == (["put the red cube into the bowl"], [episodes[0].path.parent.name])
