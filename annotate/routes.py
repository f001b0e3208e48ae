"""What the player fetches and posts: pictures, times, signals; saved edits and submissions. Same port as the pages."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from firsthand.annotate.catalog import Filter
from firsthand.annotate.desk import PREFIX, Desk, current_desk
from firsthand.annotate.document import parse_document
from firsthand.annotate.proxy import find_proxy, thumbnail
from firsthand.annotate.store import Conflict, Edit
from firsthand.annotate.tokens import Scope
from firsthand.capture.errors import FirsthandError

MAX_BODY = 4 * 1024 * 1024
"""The largest body a save may have, in bytes; a document of 5000 segments has less than 2 MiB."""
CACHE = {"Cache-Control": "private, max-age=3600"}
"""For what stands under a token and is of one recording; the address changes with the token."""


def api_routes() -> list[Route]:
    """The routes to give ``st.App``. Episodes are looked up by id, never joined to a path."""
    at = PREFIX + "/{session}/{number}"
    return [
        Route(f"{at}/video", _sent(_video)), Route(f"{at}/pts", _sent(_pts)), Route(f"{at}/signals", _sent(_signals)),
        Route(f"{at}/thumbnail", _sent(_thumbnail)),
        Route(f"{at}/open", _received(_open), methods=["POST"]),
        Route(f"{at}/save", _received(_save), methods=["POST"]), Route(f"{at}/submit", _received(_submit), methods=["POST"]),
    ]  # fmt: skip


def _desk_and_id(request: Request) -> tuple[Desk, str]:
    desk, id = current_desk(), f"{request.path_params['session']}/{request.path_params['number']}"
    if desk is None or id not in desk.episodes:
        raise HTTPException(404, "no such episode")
    return desk, id


def _author(desk: Desk, token: object, scope: Scope, id: str) -> str:
    author = desk.tokens.check(token, scope, id) if isinstance(token, str) else None
    if author is None:
        raise HTTPException(403, "this page is out of date; reload it")
    return author


def _sent(make: Callable[[Desk, str], Response]) -> Callable[[Request], Awaitable[Response]]:
    """A route that sends a file to whoever holds a read token for the episode."""

    async def answer(request: Request) -> Response:
        desk, id = _desk_and_id(request)
        _author(desk, request.query_params.get("token"), "read", id)
        try:
            return await run_in_threadpool(make, desk, id)
        except FirsthandError as error:
            return PlainTextResponse(str(error), 404)

    return answer


def _video(desk: Desk, id: str) -> Response:
    proxy = find_proxy(desk.episode(id))
    if proxy is None:
        raise FirsthandError(f"{id} has no proxy yet; open it in Review")
    return FileResponse(proxy.video, media_type="video/mp4", headers=CACHE)


def _pts(desk: Desk, id: str) -> Response:
    proxy = find_proxy(desk.episode(id))
    if proxy is None:
        raise FirsthandError(f"{id} has no proxy yet; open it in Review")
    return FileResponse(proxy.pts, media_type="application/octet-stream", headers=CACHE)


def _signals(desk: Desk, id: str) -> Response:
    return FileResponse(desk.signals(id), media_type="application/octet-stream", headers={"Cache-Control": "private, no-cache"})


def _thumbnail(desk: Desk, id: str) -> Response:
    return FileResponse(thumbnail(desk.episode(id)), media_type="image/jpeg", headers=CACHE)


def _received(keep: Callable[[Desk, str, dict[str, Any], str], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
    """A route that takes a JSON body from whoever holds a write token for the episode."""

    async def answer(request: Request) -> Response:
        desk, id = _desk_and_id(request)
        body = await _json(request)
        author = _author(desk, body.get("token"), "write", id)
        try:
            return JSONResponse(await run_in_threadpool(keep, desk, id, body, author))
        except Conflict as conflict:
            saved = conflict.saved
            return JSONResponse({"error": str(conflict), "version": saved.version, "doc": saved.annotation.to_json()}, 409)
        except FirsthandError as error:
            return JSONResponse({"error": str(error)}, 422)

    return answer


async def _json(request: Request) -> dict[str, Any]:
    if int(request.headers.get("content-length") or 0) > MAX_BODY:
        raise HTTPException(413, "the document is too large")
    body = bytearray()
    try:
        async for chunk in request.stream():  # the header may be missing, or lie
            body.extend(chunk)
            if len(body) > MAX_BODY:
                raise HTTPException(413, "the document is too large")
        parsed = json.loads(body)
    except (ValueError, ClientDisconnect) as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(parsed, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return parsed


def _open(desk: Desk, id: str, body: dict[str, Any], _author: str) -> dict[str, Any]:
    """What the player needs to go on to an episode by itself, made ready now if it was not."""
    given = body.get("filter")
    where = Filter(**{name: str(given.get(name, "")) for name in Filter.__dataclass_fields__}) if isinstance(given, dict) else Filter()
    return desk.player_data(desk.open(id), where)


def _edit(body: dict[str, Any], author: str) -> Edit:
    base, client, rev = body.get("base_version"), body.get("client_id"), body.get("client_rev")
    if type(base) is not int or type(rev) is not int or not isinstance(client, str) or not 8 <= len(client) <= 64:
        raise FirsthandError("a save needs base_version and client_rev as whole numbers and client_id as text of 8 to 64 characters")
    return Edit(author, base, client, rev)


def _save(desk: Desk, id: str, body: dict[str, Any], author: str) -> dict[str, Any]:
    edit, frames = _edit(body, author), desk.row(id).n_frames
    version = desk.store.save(id, parse_document(body.get("doc"), n_frames=frames, author=author), edit)
    return {"version": version, "client_rev": edit.client_rev}


def _submit(desk: Desk, id: str, body: dict[str, Any], author: str) -> dict[str, Any]:
    edit, frames = _edit(body, author), desk.row(id).n_frames
    version = desk.store.submit(desk.episode(id), parse_document(body.get("doc"), n_frames=frames, author=author), edit)
    return {"version": version, "client_rev": edit.client_rev}
