"""The driver ``synthetic``: a whole rig worn by someone who does not exist, with the truth about every take."""

from collections.abc import Mapping

from firsthand.capture.driver import Driver
from firsthand.capture.synthetic.wearer import Wearer


def open_wearer(*, seed: int = 0, task: str = "pick-and-place", duration_s: float = 6.0, fps: float = 30, skin: int | None = None,
                sleeve: bool | None = None, size_px: tuple[int, int] = (640, 480), realtime: bool = False, drop_rate: float = 0.007,
                burst: int = 0, latency_s: Mapping[str, float] | None = None) -> list[Driver]:
    """The drivers of one take: head camera with depth, two gloves, IMU and head pose. The arguments are those of `Wearer`.

    Each driver's ``write_truth(path)`` writes the truth about the whole take. Raises `FirsthandError` for an unknown task.
    """
    width, height = size_px
    wearer = Wearer(seed=seed, task=task, duration_s=duration_s, fps=fps, skin=skin, sleeve=sleeve, size_px=(int(width), int(height)),
                    realtime=realtime, drop_rate=drop_rate, burst=burst, latency_s=latency_s)
    return [*wearer.drivers()]
