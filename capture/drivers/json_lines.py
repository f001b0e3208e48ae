"""The driver ``json``: any device that sends JSON or comma-separated text over UDP, a serial port or TCP, described in the rig file."""

from collections.abc import Sequence
from typing import Literal

from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.message import Format, Layout, Reading
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.stream import Role, StreamSpec
from firsthand.capture.transport import SerialLines, Source, TcpStream, UdpPackets

Transport = Literal["udp", "serial", "tcp"]


def open_json(*, stream: str, columns: Sequence[str], transport: Transport = "udp", bind: str = "", sender: str = "", port: str = "",
              baud: int = 115_200, connect: str = "", format: Format = "json", fields: Sequence[str] = (), array: str = "",
              header: Sequence[str] = (), separator: str = ",", units: str | Sequence[str] = "1", stamp: str = "", stamp_unit: str = "us",
              sequence: str = "", role: Role = "other", side: Literal["", "left", "right"] = "", about: str = "",
              rate_hz: float | None = None, raw: bool = True, timeout_s: float = 1.0, most_hz: float | None = None) -> list[Driver]:
    """One device: its stream of numbers, and unless `raw` is off the messages themselves as ``<stream>-raw``.

    `bind` and `sender` are for ``udp`` (see `UdpPackets`), `port` and `baud` for ``serial``, `connect` for ``tcp``; `Layout` says what the
    options about the message mean. `timeout_s` without a readable message means that the device is gone. No more than `most_hz` messages
    a second are taken, four times the rate if not given. Raises `FirsthandError` for options that cannot be.
    """
    layout = Layout(format, columns, fields, array, units, header, separator, stamp, stamp_unit, sequence)
    needed = {"udp": {"bind": bind, "sender": sender}, "serial": {"port": port}, "tcp": {"connect": connect}}
    if transport not in needed:
        raise FirsthandError(f"transport is {transport!r}; it is 'udp', 'serial' or 'tcp'")
    for name, value in needed[transport].items():
        if not value:
            raise FirsthandError(f"{stream!r} comes over {transport}, which needs the option {name!r}")
    source: Source
    if transport == "udp":
        source = UdpPackets(bind, sender)
    elif transport == "serial":
        source = SerialLines(port, baud)
    else:
        source = TcpStream(connect)
    if timeout_s <= 0 or (rate_hz is not None and rate_hz <= 0):
        raise FirsthandError(f"{stream!r} needs a timeout_s and a rate_hz above 0, got {timeout_s} and {rate_hz}")
    spec = StreamSpec(stream, "numeric", role, names=tuple(columns), units=layout.si_units, rate_hz=rate_hz, side=side, about=about,
                      extra={} if stamp else {"stamps": "arrival"})
    kept = StreamSpec(f"{stream}-raw", "encoded", "other", encoding=format, rate_hz=rate_hz, about=stream, clock="media")

    def read(message: bytes) -> dict[str, Reading] | str:
        reading = layout.read(message)
        return {stream: reading} if isinstance(reading, Reading) else reading

    return [MessageDriver(stream, (spec,), source, lambda: read, raw=kept if raw else None, timeout_s=timeout_s,
                          most_hz=most_hz or 4 * (rate_hz or 500))]
