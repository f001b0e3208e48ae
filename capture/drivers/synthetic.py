"""The driver ``synthetic``: a whole rig worn by someone who does not exist, with the truth about every take."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError, unknown
from firsthand.capture.synthetic.ahead import rendered
from firsthand.capture.synthetic.truth import Truth
from firsthand.capture.synthetic.wearer import Wearer


def open_wearer(*, seed: int = 0, task: str = "pick-and-place", duration_s: float = 6.0, fps: float = 30, skin: int | None = None,
                sleeve: bool | None = None, size_px: tuple[int, int] = (640, 480), realtime: bool = False, drop_rate: float = 0.007,
                burst: int = 0, start_ns: int | None = None, loop: bool = False, only: Sequence[str] = (),
                latency_s: Mapping[str, float] | None = None, shutter_s: float = 0.0, light: float = 1.0,
                grey: bool = False, roll_deg: float = 0.0, glove_faults: float = 0.0, wrist_trackers: bool = False,
                anchors: Sequence[str] = (), stereo: bool = False, hand_scale: float = 1.0) -> list[Driver]:
    """The drivers of one take: head camera with depth, two gloves, IMU, head pose, wrist trackers if asked for. Arguments as of `Wearer`.

    `only` names the drivers wanted, so that each device may run in a process of its own; give these the same `start_ns` then. Each
    driver's ``write_truth(path)`` writes the truth about the whole take. Raises `FirsthandError` for what cannot be.
    """
    width, height = size_px
    wearer = Wearer(seed=seed, task=task, duration_s=duration_s, fps=fps, skin=skin, sleeve=sleeve, size_px=(int(width), int(height)),
                    realtime=realtime, drop_rate=drop_rate, burst=burst, start_ns=start_ns, loop=loop, latency_s=latency_s,
                    shutter_s=shutter_s, light=light, grey=grey, roll_deg=roll_deg, glove_faults=glove_faults,
                    wrist_trackers=wrist_trackers, anchors=anchors, stereo=stereo, hand_scale=hand_scale)
    drivers = {driver.name: driver for driver in wearer.drivers()}
    for name in only:
        if name not in drivers:
            raise unknown("device of the synthetic wearer", name, drivers)
    return [driver for name, driver in drivers.items() if not only or name in only]


def render_ahead(options: Mapping[str, Any], progress: Callable[[int, int], None] | None = None) -> None:
    """Render what a camera with these options of `open_wearer` will show, unless it is kept already."""
    rendered(_wearer(options), progress)


def truth_of(options: Mapping[str, Any], from_ns: int | None = None, to_ns: int | None = None) -> Truth:
    """The truth about a take from the options of `open_wearer` alone, wherever its devices run.

    For one that is repeated for ever, the session times between which to tell it are needed too. Raises `FirsthandError` where options do
    not fix the start.
    """
    if options.get("realtime") and options.get("start_ns") is None:
        raise FirsthandError("the truth of a take in real time depends on when it starts; give its devices a start_ns")
    wearer = _wearer(options)
    if not options.get("loop"):
        return wearer.truth()
    if from_ns is None or to_ns is None:
        raise FirsthandError("the truth of a take that is repeated for ever has no end; say from when to when")
    return wearer.truth_between(from_ns, to_ns)


def _wearer(options: Mapping[str, Any]) -> Wearer:
    known = inspect.signature(open_wearer).parameters
    for key in options:
        if key not in known:
            raise unknown("option of the synthetic wearer", key, known)
    arguments = {key: value for key, value in options.items() if key != "only"}
    if "size_px" in arguments:
        arguments["size_px"] = tuple(int(side) for side in arguments["size_px"])
    return Wearer(**arguments)
