"""The review store: versions, conflicts, retries, events, and the file beside the recording."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from firsthand.annotate.annotation import Annotation, Segment, read_annotation, write_annotation
from firsthand.annotate.store import Conflict, Edit, Store, library_store
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import Episode, find_episodes

FRAMES = 48
WORDS = Annotation(FRAMES, "put the cube away", True, tiers={"subtask": (Segment(0, 10, "reach", id="p-1"),)}, author="ann")


@pytest.fixture
def episode(tiny_library: Path) -> Episode:
    """The first episode of the tiny library."""
    return find_episodes(tiny_library)[0]


@pytest.fixture
def store(tiny_library: Path) -> Iterator[Store]:
    """The store of the tiny library."""
    store = library_store(tiny_library)
    yield store
    store.close()


def edit(base: int, rev: int, author: str = "ann", client: str = "client-a") -> Edit:
    """An edit from a version, as a browser would name it."""
    return Edit(author, base, client, rev)


def test_what_is_saved_is_what_is_opened_also_by_the_next_process(store: Store, episode: Episode) -> None:
    assert store.open_episode(episode, FRAMES).state == "new"
    assert store.save(episode.id, WORDS, edit(0, 1)) == 1
    store.close()
    again = library_store(episode.library).open_episode(episode, FRAMES)
    assert (again.version, again.state, again.annotation) == (1, "draft", WORDS)


def test_a_save_from_an_old_version_is_refused_and_shows_what_is_there_now(store: Store, episode: Episode) -> None:
    store.save(episode.id, WORDS, edit(0, 1))
    with pytest.raises(Conflict, match="changed by ann meanwhile") as refused:
        store.save(episode.id, replace(WORDS, instruction="something else"), edit(0, 1, "bob", "client-b"))
    assert refused.value.saved.version == 1 and refused.value.saved.annotation == WORDS
    assert store.open_episode(episode, FRAMES).annotation == WORDS
    assert len(store.history(episode.id)) == 1


def test_a_retry_of_a_kept_save_is_not_a_second_change(store: Store, episode: Episode) -> None:
    assert store.save(episode.id, WORDS, edit(0, 1)) == 1
    assert store.save(episode.id, WORDS, edit(0, 1)) == 1
    assert store.save(episode.id, WORDS, edit(1, 2)) == 2
    assert store.save(episode.id, WORDS, edit(0, 1)) == 1, "an answer that was late still names its own version"
    assert [event["to_version"] for event in store.history(episode.id)] == [1, 2]


def test_many_who_save_from_the_same_version_at_once_leave_one_winner(store: Store, episode: Episode) -> None:
    def one(k: int) -> bool:
        try:
            store.save(episode.id, replace(WORDS, instruction=f"words of {k}"), edit(0, 1, f"a{k}", f"client-{k}"))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(one, range(16)))
    assert sum(kept) == 1
    saved = store.open_episode(episode, FRAMES)
    assert saved.version == 1 and saved.annotation.instruction == f"words of {kept.index(True)}"


def test_a_submission_is_also_a_file_and_a_retry_does_not_count_twice(store: Store, episode: Episode) -> None:
    store.save(episode.id, WORDS, edit(0, 1))
    assert store.submit(episode, WORDS, edit(1, 2)) == 2
    assert store.submit(episode, WORDS, edit(1, 2)) == 2
    assert read_annotation(episode.annotations_path) == replace(WORDS, version=1)
    store.submit(episode, WORDS, edit(2, 3))
    assert read_annotation(episode.annotations_path) == replace(WORDS, version=2)


def test_a_submission_whose_file_cannot_be_written_did_not_happen(store: Store, episode: Episode) -> None:
    episode.annotations_path.mkdir()
    with pytest.raises(FirsthandError, match=r"cannot write .*annotations\.json"):
        store.submit(episode, WORDS, edit(0, 1))
    episode.annotations_path.rmdir()
    assert store.open_episode(episode, FRAMES).state == "new" and store.history(episode.id) == []


def test_a_file_from_elsewhere_is_read_back_when_the_store_has_nothing(store: Store, episode: Episode) -> None:
    write_annotation(episode.annotations_path, replace(WORDS, version=3))
    saved = store.open_episode(episode, FRAMES)
    assert (saved.state, saved.annotation) == ("submitted", replace(WORDS, version=3))
    assert store.open_episode(episode, FRAMES) == saved and len(store.history(episode.id)) == 1, "once is enough"


def test_a_newer_file_wins_over_the_store_and_an_older_one_does_not(store: Store, episode: Episode) -> None:
    store.submit(episode, WORDS, edit(0, 1))
    store.submit(episode, WORDS, edit(1, 2))
    write_annotation(episode.annotations_path, replace(WORDS, version=1, instruction="from an old backup"))
    assert store.open_episode(episode, FRAMES).annotation.instruction == WORDS.instruction
    write_annotation(episode.annotations_path, replace(WORDS, version=5, instruction="from the other machine"))
    saved = store.open_episode(episode, FRAMES)
    assert saved.annotation.instruction == "from the other machine" and saved.version == 3
    assert [event["kind"] for event in store.history(episode.id)] == ["submit", "submit", "import"]


def test_a_draft_is_not_lost_to_the_file_it_was_made_from(store: Store, episode: Episode) -> None:
    store.submit(episode, WORDS, edit(0, 1))
    store.save(episode.id, replace(WORDS, instruction="better words"), edit(1, 2))
    assert store.open_episode(episode, FRAMES).annotation.instruction == "better words"


def test_a_file_for_another_recording_is_refused_by_name(store: Store, episode: Episode) -> None:
    write_annotation(episode.annotations_path, Annotation(7))
    with pytest.raises(FirsthandError, match="is for 7 frames, the recording has 48"):
        store.open_episode(episode, FRAMES)


@pytest.mark.parametrize("statement", ["UPDATE event SET actor = 'nobody'", "DELETE FROM event"])
def test_events_can_be_neither_altered_nor_removed(store: Store, episode: Episode, statement: str) -> None:
    store.save(episode.id, WORDS, edit(0, 1))
    engine = create_engine(store.url)
    with pytest.raises(IntegrityError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert store.history(episode.id)[0]["actor"] == "ann"


def test_every_change_keeps_the_document_as_it_was(store: Store, episode: Episode) -> None:
    store.save(episode.id, WORDS, edit(0, 1))
    store.save(episode.id, replace(WORDS, instruction="second"), edit(1, 2))
    assert [event["doc"]["episode"]["instruction"] for event in store.history(episode.id)] == [WORDS.instruction, "second"]
    assert json.dumps(store.history(episode.id)[0]["doc"]) == json.dumps(WORDS.to_json(), default=vars)


def test_a_store_that_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "firsthand.db").mkdir()
    with pytest.raises(FirsthandError, match=r"cannot open the review store .*firsthand\.db: unable to open database file"):
        library_store(tmp_path)
