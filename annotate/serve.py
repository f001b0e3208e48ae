"""Starting the review app: one Streamlit process on this machine only, the same from a checkout and from the installed package."""

import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from firsthand.annotate.desk import LIBRARY_VARIABLE
from firsthand.capture.errors import FirsthandError

OPTIONS = {
    "server.address": "127.0.0.1",
    "server.fileWatcherType": "none",
    "server.enableAgentApi": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "browser.gatherUsageStats": "false",
    "theme.base": "dark",
    "theme.primaryColor": "#4f8cff",
    "theme.backgroundColor": "#0f1217",
    "theme.secondaryBackgroundColor": "#181c24",
    "theme.textColor": "#e6e9ef",
    "theme.borderColor": "#2a303b",
    "theme.baseRadius": "6px",
    "theme.baseFontSize": "15",
}
"""Streamlit's settings; ``.streamlit/config.toml`` says the same for ``streamlit run app.py`` by hand."""


def review_command(port: int, *, browser: bool = True) -> list[str]:
    """The command that serves the app on 127.0.0.1; run it with `review_environment`, which names the library."""
    spec = find_spec("firsthand.app")
    if spec is None or spec.origin is None:
        raise FirsthandError("the review app (firsthand/app.py) is not installed; reinstall firsthand")
    settings = {**OPTIONS, "server.port": str(port), "server.headless": "false" if browser else "true"}
    flags = (part for key, value in settings.items() for part in (f"--{key}", value))
    return [sys.executable, "-m", "streamlit", "run", spec.origin, *flags]


def review_environment(library: Path) -> dict[str, str]:
    """This process's environment, with the library to open."""
    return {**os.environ, LIBRARY_VARIABLE: str(library.expanduser().resolve())}


def serve(library: Path, *, port: int = 8501, browser: bool = True) -> None:
    """Serve a library until interrupted. Raises `FirsthandError` when Streamlit is missing or the port is taken."""
    if find_spec("streamlit") is None:
        raise FirsthandError("the review app needs Streamlit: pip install 'firsthand[review]'")
    _check_free(port)
    command = review_command(port, browser=browser)
    # In a session of its own: Ctrl-C is for this process to pass on, and what asks this process to end ends both.
    process = subprocess.Popen(command, env=review_environment(library), start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return
    if code not in (0, -signal.SIGTERM):
        raise FirsthandError(f"the review app stopped with code {code}; what it said stands above")


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise FirsthandError(f"port {port} cannot be used ({error}); choose another with --port") from error
