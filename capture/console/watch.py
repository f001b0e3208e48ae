"""What changed from one status of the recorder to the next: devices that came and went, and what it has to say."""

from firsthand.capture.console.orders import Event, Moment
from firsthand.capture.live.status import Status

ROOM_BYTES = 200_000_000
"""Left on the disk beside what finishing a take needs, which is as much again as the take."""


class Watch:
    """Remembers the status before."""

    def __init__(self) -> None:
        self._heard_ns = 0
        self._states: dict[str, str] = {}
        self._were_there: set[str] = set()

    def look(self, status: Status) -> list[Event]:
        """The events since the last look. A device's has no text: a message of the recorder's tells it."""
        events = []
        arrivals = {f"{device.name} is there" for device in status.devices}  # their rows tell, and many would hide what matters
        for message in status.messages:
            if message.t_ns > self._heard_ns:
                self._heard_ns = message.t_ns
                if message.text not in arrivals:
                    events.append(Event("message", message.text, message.level, "warn" if message.level == "warn" else None))
        for device in status.devices:
            before, now = self._states.get(device.name), device.state
            self._states[device.name] = now
            if before == now:
                continue
            moment: Moment | None = None
            if now == "running":
                moment = "back" if device.name in self._were_there else None
                self._were_there.add(device.name)
            elif before == "running" and now != "ended":
                moment = "lost"
            events.append(Event("device", "", moment=moment, fields={"device": device.name, "state": now, "reason": device.reason}))
        return events

    @property
    def lost(self) -> tuple[str, ...]:
        """Devices that were there and are not now."""
        return tuple(name for name, state in self._states.items() if name in self._were_there and state in ("vanished", "failed"))


def blocked(status: Status) -> str:
    """Why no take can begin, in one sentence; empty when one can."""
    missing = [f"{d.name} is being opened" if d.state == "opening" else f"{d.name} is not there ({d.reason or d.state})"
               for d in status.missing_devices]
    if missing:
        return "; ".join(missing)
    if status.disk and status.disk.free_bytes < ROOM_BYTES:
        return f"the disk is full: {status.disk.free_bytes / 1e6:.0f} MB are left; make room, or record to another disk"
    return ""


def hopeless(status: Status) -> bool:
    """Whether a required device will not come by itself."""
    return any(d.state in ("failed", "ended") for d in status.missing_devices)


def runs_out(status: Status) -> bool:
    """Whether the running take must end now to be finished in what is left of the disk."""
    if not status.disk:
        return False
    taken = status.recorded_s * sum(stream.size_bps for stream in status.streams)
    return status.disk.free_bytes < taken + ROOM_BYTES
