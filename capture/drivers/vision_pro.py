"""The driver ``vision-pro``: hands and head of an Apple Vision Pro, from the app Tracking Streamer over gRPC."""

from collections.abc import Sequence

from firsthand.capture.driver import Driver
from firsthand.capture.hand_stream import POSE_COLUMNS, POSE_UNITS, checked_hands, hand_spec, raw_spec
from firsthand.capture.message_driver import MessageDriver
from firsthand.capture.skeleton import SIDES, Side
from firsthand.capture.sources.grpc_stream import GrpcStream
from firsthand.capture.stream import StreamSpec
from firsthand.capture.wire_formats.vision_pro import METHOD, read_update, request

NEEDS = {"grpc": "gloves"}
MOST_HZ = 500.0
EXTRA = {
    "device": "Apple Vision Pro, Tracking Streamer", "axes": "x right, y forward, z up", "origin": "world", "up": "z",
    "converted": "from ARKit's axes (y up); joints turned and moved from the wrist to the world; forearm and metacarpals left out",
    "predicted": "the headset predicts poses, 5 ms ahead if not set otherwise",
}  # fmt: skip


def open_vision_pro(*, connect: str, hands: Sequence[Side] = SIDES, head: bool = True, prefix: str = "", rate_hz: float | None = None,
                    raw: bool = True, timeout_s: float = 2.0) -> list[Driver]:
    """Streams ``hand-left``, ``hand-right`` and ``head-pose`` in the headset's world, and ``vision-pro-raw``, each name after `prefix`.

    `connect` is the headset, ``"ADDRESS:12345"``. Raises `FirsthandError` for options that cannot be.
    """
    streams = [hand_spec(side, prefix=prefix, rate_hz=rate_hz, extra=EXTRA) for side in checked_hands(hands)]
    if head:
        streams.append(StreamSpec(f"{prefix}head-pose", "numeric", "pose", names=POSE_COLUMNS, units=POSE_UNITS, rate_hz=rate_hz,
                                  extra=EXTRA))
    return [MessageDriver(f"{prefix}vision-pro", streams, GrpcStream(connect, METHOD, request), lambda: read_update,
                          raw=raw_spec("vision-pro", "handtracking.HandUpdate", prefix=prefix) if raw else None, prefix=prefix,
                          timeout_s=timeout_s, most_hz=MOST_HZ,
                          check="check that the headset is worn, that Start was pressed in the app, and that hand tracking is allowed")]
