"""What each moment sounds like, and which are spoken."""

from firsthand.capture.console.orders import Event, Moment
from firsthand.capture.cues.cues import Cues
from firsthand.capture.cues.tones import CueName

SOUNDS: dict[Moment, CueName] = {
    "ready": "ready", "tick": "tick", "start": "start", "stop": "stop", "keep": "keep", "discard": "discard", "mark": "tick",
    "refused": "error", "ask": "warning", "lost": "warning", "back": "ready", "warn": "warning", "error": "error", "done": "keep",
}  # fmt: skip
SPOKEN = ("ready", "task", "complete", "discarded", "waiting", "interrupted", "disk", "gave-up", "asked", "advice")
"""Kinds of events whose text is spoken; what is said at the start of a take would be in its sound."""


def sound(cues: Cues, event: Event) -> None:
    """Play the cue of an event, and speak its text where it is one to be spoken."""
    if event.moment is not None:
        play = {"ready": cues.ready, "tick": cues.tick, "start": cues.start, "stop": cues.stop, "keep": cues.keep, "discard": cues.discard,
                "warning": cues.warning, "error": cues.error}
        play[SOUNDS[event.moment]]()
    if event.kind == "device" and event.moment in ("lost", "back"):
        cues.say(f"{event.fields['device']} {'was lost' if event.moment == 'lost' else 'is back'}")
    elif event.kind in SPOKEN and event.text:
        cues.say(event.text)
