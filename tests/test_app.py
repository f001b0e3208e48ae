"""The app's pages without a browser: what they say when all is well, and when it is not."""

import os
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import firsthand.app
from firsthand.annotate import desk as desk_module
from firsthand.annotate.annotation import Annotation
from firsthand.annotate.serve import OPTIONS, review_command, review_environment, serve
from firsthand.annotate.store import Edit
from firsthand.capture.errors import FirsthandError
from firsthand.capture.library import find_episodes

APP = Path(firsthand.app.__file__)


@pytest.fixture
def no_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No library open in this process, and none in the environment."""
    monkeypatch.setattr(desk_module, "_desk", None)
    monkeypatch.delenv(desk_module.LIBRARY_VARIABLE, raising=False)
    yield
    if desk_module._desk:
        desk_module._desk.store.close()


@pytest.fixture
def app(no_desk: None, tiny_library: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The app on the tiny library, not yet run."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(desk_module.LIBRARY_VARIABLE, str(tiny_library))
    return AppTest.from_file(str(APP), default_timeout=20)


@pytest.fixture
def one_page(no_desk: None, tiny_library: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], Any]:
    """Makes an app of a single page on the tiny library; AppTest only switches to pages that are files."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(desk_module.LIBRARY_VARIABLE, str(tiny_library))
    return lambda script: AppTest.from_function(script, default_timeout=30)


def review_page() -> None:
    """A script with only Review."""
    from firsthand.annotate import pages, pages_review
    from firsthand.annotate.desk import current_desk

    pages._guarded(pages_review.page, current_desk())  # type: ignore[arg-type]


def export_page() -> None:
    """A script with only Export."""
    from firsthand.annotate import pages, pages_export
    from firsthand.annotate.desk import current_desk
    from firsthand.datasets import formats

    pages._guarded(lambda desk: pages_export.page(desk, formats), current_desk())  # type: ignore[arg-type]


def words(app: Any) -> str:
    """Every text on the page."""
    return "\n".join(str(element.value) for kind in ("title", "text", "markdown", "caption", "info", "warning", "error", "success")
                     for element in getattr(app, kind))


def test_browse_lists_every_episode_with_its_state(app: Any) -> None:
    app.run()
    assert not app.exception
    table = app.dataframe[0].value
    assert list(table["label"]) == ["○ new", "○ new"] and list(table["task"]) == ["put the red cube into the bowl"] * 2
    assert "2 episodes" in words(app)


def test_filters_stand_in_the_url_and_narrow_the_list(app: Any) -> None:
    app.query_params["text"] = "/001"
    app.run()
    assert [id[-4:] for id in app.dataframe[0].value["episode"]] == ["/001"]
    app.text_input(key="filter-text").set_value("no such words").run()
    assert len(app.dataframe) == 0 and "No episode passes these filters" in words(app)
    assert app.query_params["text"] == "no such words"


def test_an_episode_that_cannot_be_opened_is_listed_with_its_reason(app: Any, tiny_library: Path) -> None:
    find_episodes(tiny_library)[1].recording_path.write_bytes(b"not a recording")
    app.run()
    row = app.dataframe[0].value.iloc[1]
    assert row["label"] == "⚠ problem" and "not an HDF5 file" in row["findings"]
    assert str(tiny_library) not in row["findings"], "the folder everybody knows is noise"


def test_a_page_says_in_one_sentence_what_is_wrong_and_shows_no_traceback(one_page: Any) -> None:
    app = one_page(review_page)
    app.query_params["episode"] = "gone/007"
    app.run()
    assert not app.exception
    assert "no episode 'gone/007' in this library" in words(app)


def test_without_a_library_the_app_asks_for_the_folder_and_opens_it(no_desk: None, tiny_library: Path) -> None:
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(APP), default_timeout=20).run()
    assert "Which folder holds your recordings?" in words(app)
    app.text_input[0].set_value(str(tiny_library / "nowhere"))
    app.button[0].click().run()
    assert "no library at" in words(app) and not app.exception
    app.text_input[0].set_value(str(tiny_library))
    app.button[0].click().run()
    assert len(app.dataframe[0].value) == 2


def test_a_library_from_the_environment_that_is_not_there_is_said_kindly(no_desk: None, tmp_path: Path,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv(desk_module.LIBRARY_VARIABLE, str(tmp_path / "gone"))
    app = AppTest.from_file(str(APP), default_timeout=20).run()
    assert not app.exception and "That library cannot be opened" in words(app) and "no library at" in words(app)


def test_export_starts_with_what_people_submitted_and_never_takes_the_rejected(one_page: Any, tiny_library: Path) -> None:
    app = one_page(export_page).run()
    assert "0 of 2 episodes" in words(app) and app.button[0].disabled and "No episode is submitted yet" in words(app)
    app.segmented_control(key="which").set_value("all").run()
    assert "2 of 2 episodes" in words(app)
    desk = desk_module.current_desk()
    assert desk is not None
    first, second = find_episodes(tiny_library)
    desk.store.submit(first, Annotation(48, "put it away", True), Edit("ann", 0, "client-a", 1))
    desk.store.submit(second, Annotation(40, flags=("rejected",)), Edit("ann", 0, "client-a", 2))
    app.run()
    assert "1 of 1 episodes" in words(app) and "1 flagged as rejected and left out" in words(app)


def test_an_export_that_cannot_be_written_says_why(one_page: Any, tiny_library: Path) -> None:
    app = one_page(export_page).run()
    app.segmented_control(key="which").set_value("all").run()
    app.text_input[0].set_value(str(tiny_library)).run()
    app.button[0].click().run()
    assert not app.exception and "Nothing was written" in words(app) and "exists already" in words(app)


def test_the_command_binds_to_this_machine_only_and_needs_no_config_file(tmp_path: Path) -> None:
    command = review_command(8601, browser=False)
    flags = dict(zip(command[5::2], command[6::2], strict=True))
    assert Path(command[4]) == APP
    assert flags["--server.address"] == "127.0.0.1" and flags["--server.port"] == "8601" and flags["--server.headless"] == "true"
    assert flags["--browser.gatherUsageStats"] == "false" and flags["--server.enableAgentApi"] == "false"
    assert review_environment(tmp_path)[desk_module.LIBRARY_VARIABLE] == str(tmp_path.resolve())


def test_the_config_file_of_the_checkout_says_the_same_as_the_flags() -> None:
    path = APP.parent / ".streamlit" / "config.toml"
    if not path.exists():
        pytest.skip("installed from a wheel: there is no config file")
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    said = {f"{section}.{name}": value for section, part in sections.items() for name, value in part.items()}
    assert {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in said.items()} == OPTIONS


def test_a_port_that_is_taken_is_one_sentence(tiny_library: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FirsthandError, match=rf"port {port} cannot be used .* choose another with --port"):
            serve(tiny_library, port=port, browser=False)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_ends_quietly_and_takes_the_server_along(tiny_library: Path, how: signal.Signals) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "firsthand.cli", "review", str(tiny_library), "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        said = next(line for line in process.stdout if "127.0.0.1" in line)
        os.killpg(process.pid, how)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0 and rest.strip() == "", said + rest
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "nothing listens any more"


def test_opening_a_folder_that_is_no_library_is_one_sentence(no_desk: None, tmp_path: Path) -> None:
    with pytest.raises(FirsthandError, match="no library at"):
        desk_module.open_desk(tmp_path / "gone")
    with pytest.raises(FirsthandError, match="no episode in"):
        desk_module.open_desk(tmp_path)
