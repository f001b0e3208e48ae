"""The controls that were asked for. The keyboard always is: where there is none, it says so."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from firsthand.capture.console.options import RecordOptions, address
from firsthand.capture.controls.keyboard import Keyboard
from firsthand.capture.controls.microphone import ClapMicrophone
from firsthand.capture.controls.pedal import Pedal
from firsthand.capture.controls.press import Control, Presses
from firsthand.capture.controls.remote import Remote


def asked_for(options: RecordOptions, presses: Presses, status: Callable[[], Mapping[str, Any]]) -> Iterator[Control]:
    """Each control, not opened yet; `status` is what the remote tells who asks."""
    yield Keyboard(presses)
    if options.pedal is not None:
        yield Pedal(presses, device=options.pedal)
    if options.clap:
        yield ClapMicrophone(presses)
    if options.remote is not None:
        host, port = address(options.remote)
        yield Remote(presses, status=status, host=host, port=port, token=options.token)
