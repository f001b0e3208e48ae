"""The routes as a browser, or somebody who should not, would call them."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from firsthand.annotate import desk as desk_module
from firsthand.annotate.annotation import read_annotation
from firsthand.annotate.catalog import Filter
from firsthand.annotate.desk import Desk, open_desk
from firsthand.annotate.routes import MAX_BODY, api_routes
from firsthand.annotate.security import middleware
from firsthand.annotate.tokens import Tokens


@pytest.fixture
def desk(tiny_library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The tiny library, open, with the first episode ready."""
    monkeypatch.setattr(desk_module, "_desk", None)
    desk = open_desk(tiny_library)
    desk.open(next(iter(desk.episodes)))
    yield desk
    desk.store.close()


@pytest.fixture
def data(desk: Desk) -> dict[str, Any]:
    """What the player is given for the first episode."""
    return desk.player_data(desk.open(next(iter(desk.episodes))), Filter())


@pytest.fixture
def client(desk: Desk) -> Iterator[httpx.Client]:
    """A client of a real server with the routes behind the same middleware as in the app."""
    app = Starlette(routes=api_routes(), middleware=middleware())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join()


def body(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A save as the player sends it."""
    doc = {**data["doc"], "tiers": {}}
    return {"token": data["token"], "base_version": data["version"], "client_id": "client-0123", "client_rev": 1, "doc": doc, **changes}


def test_a_range_of_the_video_is_sent_as_a_part(client: httpx.Client, data: dict[str, Any], desk: Desk) -> None:
    video = desk.open(data["episode"]).proxy.video.read_bytes()
    part = client.get(data["urls"]["video"], headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == video[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(video)}" and part.headers["content-type"] == "video/mp4"


def test_times_and_signals_are_sent_whole(client: httpx.Client, data: dict[str, Any]) -> None:
    assert len(client.get(data["urls"]["pts"]).content) == 48 * 8
    assert client.get(data["urls"]["signals"]).status_code == 200


def test_a_save_is_acknowledged_and_a_stale_one_gets_409_with_what_is_there(client: httpx.Client, data: dict[str, Any]) -> None:
    kept = client.post(data["urls"]["save"], json=body(data))
    assert (kept.status_code, kept.json()) == (200, {"version": 1, "client_rev": 1})
    stale = client.post(data["urls"]["save"], json=body(data, client_id="client-4567"))
    assert stale.status_code == 409 and stale.json()["version"] == 1 and stale.json()["doc"]["episode"] == data["doc"]["episode"]
    again = client.post(data["urls"]["save"], json=body(data))
    assert (again.status_code, again.json()) == (200, {"version": 1, "client_rev": 1})


def test_a_submission_writes_the_file(client: httpx.Client, data: dict[str, Any], desk: Desk) -> None:
    assert client.post(data["urls"]["submit"], json=body(data)).status_code == 200
    written = read_annotation(desk.episode(data["episode"]).annotations_path)
    assert written is not None and written.author == desk.author and written.instruction == "put the red cube into the bowl"


def test_a_document_that_is_not_right_is_refused_with_a_sentence(client: httpx.Client, data: dict[str, Any]) -> None:
    wrong = client.post(data["urls"]["save"], json=body(data, doc={**data["doc"], "n_frames": 5}))
    assert wrong.status_code == 422 and "for 5 frames" in wrong.json()["error"]
    assert client.post(data["urls"]["save"], json=body(data, base_version="0")).status_code == 422


def test_without_the_pages_token_nothing_is_kept(client: httpx.Client, data: dict[str, Any], desk: Desk) -> None:
    for token in (None, 7, "", "nonsense", "bm90.bm90"):
        assert client.post(data["urls"]["save"], json=body(data, token=token)).status_code == 403, token
    assert desk.store.history(data["episode"]) == []


def test_a_token_is_good_for_one_episode_and_one_use(client: httpx.Client, data: dict[str, Any], desk: Desk) -> None:
    other = list(desk.episodes)[1]
    read_token = data["urls"]["video"].partition("token=")[2]
    assert client.post(data["urls"]["save"].replace(data["episode"], other), json=body(data)).status_code == 403
    assert client.post(data["urls"]["save"], json=body(data, token=read_token)).status_code == 403
    assert client.get(data["urls"]["video"].replace(read_token, data["token"])).status_code == 403
    assert client.get(data["urls"]["video"].replace(data["episode"], other)).status_code == 403
    assert client.get(data["urls"]["video"].partition("?")[0]).status_code == 403


def test_only_episodes_that_were_found_exist(client: httpx.Client, desk: Desk) -> None:
    for place in ("../../etc/passwd", "..%2F..%2Fetc/passwd", "a/b", "%2e%2e/%2e%2e", ".cache/000"):
        token = desk.tokens.mint("read", place)
        assert client.get(f"/review-api/{place}/video?token={token}").status_code == 404, place


def test_a_body_that_is_too_large_is_refused_before_it_is_read(client: httpx.Client, data: dict[str, Any]) -> None:
    assert client.post(data["urls"]["save"], content=b"x" * (MAX_BODY + 1)).status_code == 413

    def endless() -> Iterator[bytes]:
        yield from (b"x" * 65536 for _ in range(MAX_BODY // 65536 + 2))

    assert client.post(data["urls"]["save"], content=endless()).status_code == 413


def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, data: dict[str, Any]) -> None:
    for content in (b"", b"{", b"[1]", b"\xff"):
        assert client.post(data["urls"]["save"], content=content).status_code == 400, content


def test_a_foreign_host_is_refused_on_every_route(client: httpx.Client, data: dict[str, Any]) -> None:
    for host in ("evil.example", "evil.example:8501", "127.0.0.1.evil.example", ""):
        assert client.get(data["urls"]["video"], headers={"Host": host}).status_code == 400, host
        assert client.post(data["urls"]["save"], json=body(data), headers={"Host": host}).status_code == 400, host


def test_this_machines_own_names_pass(client: httpx.Client, data: dict[str, Any]) -> None:
    for host in ("127.0.0.1:8501", "localhost", "[::1]:8501"):
        assert client.get(data["urls"]["pts"], headers={"Host": host}).status_code == 200, host


def test_every_answer_ties_the_browsers_hands(client: httpx.Client, data: dict[str, Any]) -> None:
    for answer in (client.get(data["urls"]["pts"]), client.get("/nowhere"), client.get("/", headers={"Host": "evil.example"})):
        assert answer.headers["x-frame-options"] == "DENY" and answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_a_token_ends_and_one_minted_soon_after_is_the_same() -> None:
    tokens = Tokens()
    token = tokens.mint("write", "s/000", "ann", now_s=1000)
    assert tokens.mint("write", "s/000", "ann", now_s=1001) == token
    assert tokens.check(token, "write", "s/000", now_s=1000 + 6 * 3600) == "ann"
    assert tokens.check(token, "write", "s/000", now_s=1000 + 12 * 3600) is None
    assert Tokens().check(token, "write", "s/000", now_s=1000) is None, "a token does not outlive its process"
