"""The driver ``manus``: MANUS gloves, from a bridge of their SDK over ZeroMQ."""

from collections.abc import Mapping, Sequence
from typing import Literal

from firsthand.capture.driver import Driver
from firsthand.capture.errors import FirsthandError
from firsthand.capture.hand_stream import checked_hands, glove_spec, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver, Read
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.sources.zmq_messages import ZmqMessages
from firsthand.capture.wire_formats.manus import AXES, NODES, ManusReader, NodeOrder, angles_said, skeleton_said

NEEDS = {"zmq": "gloves"}
MOST_HZ = 1000.0


def open_manus(*, connect: str | Sequence[str], format: Literal["text", "bridge"] = "text", gloves: Mapping[str, Side] | None = None,
               hands: Sequence[Side] = SIDES, axes: str = "unity", node_order: NodeOrder = "openxr", prefix: str = "",
               rate_hz: float | None = None, raw: bool = True, timeout_s: float = 1.0) -> list[Driver]:
    """Streams ``hand-<side>`` (skeleton) and ``glove-<side>`` (ergonomics), and ``manus-raw``, each name after `prefix`.

    ``text`` is what SDKClient bridges push (port 8000), ``bridge`` the ROS 2 message as JSON (8765 and 8766). `gloves` maps a glove's id to
    its hand; `axes` is one of `AXES`, as the bridge has set them. Raises `FirsthandError` for options that cannot be.
    """
    if format not in ("text", "bridge"):
        raise FirsthandError(f"format is {format!r}; it is 'text' (SDKClient, port 8000) or 'bridge' (JSON, ports 8765 and 8766)")
    if axes not in AXES or node_order not in NODES:
        raise FirsthandError(f"axes is {axes!r} and node_order {node_order!r}; they are one of {list(AXES)} and of {list(NODES)}")
    named = {glove.lower().removeprefix("0x").lstrip("0"): side for glove, side in (gloves or {}).items()}
    if not set(named.values()) <= set(SIDES):
        raise FirsthandError(f"gloves is {dict(gloves or {})}; write each glove's id and its hand, such as {{ 8569617b = 'right' }}")
    extra, angles = skeleton_said(format, axes, node_order), angles_said(format)
    streams = []
    for side in checked_hands(hands):
        if format == "bridge" or side in named.values():
            streams.append(hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=extra))
        streams.append(glove_spec(side, prefix=prefix, rate_hz=rate_hz, extra=angles))

    def begin() -> Read:
        reader = ManusReader(named, axes, node_order)
        return reader.text if format == "text" else reader.bridge

    places = [connect] if isinstance(connect, str) else list(connect)
    check = "check that the bridge runs there, that a glove is on and paired in MANUS Core, the address and port, and the firewall"
    if format == "text":
        check += "; and that nobody else pulls from it, who would get every other message"
    return [MessageDriver(f"{prefix}manus", streams, ZmqMessages("pull" if format == "text" else "sub", places), begin,
                          raw=raw_spec("manus", "json" if format == "bridge" else "csv", prefix=prefix) if raw else None, prefix=prefix,
                          timeout_s=timeout_s, most_hz=MOST_HZ, check=check)]
