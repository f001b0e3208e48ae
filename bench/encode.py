"""What encoding costs: CPU of each encoder on 1080p pictures, and of each lossless depth codec.

    python bench/encode.py [--pictures 60] [--rounds 3]

Pictures and sensor depth are those of the synthetic wearer. Time is CPU time of the whole process; OpenCV is kept to one thread.
Peers: simplejpeg (libjpeg-turbo by another door), and H.264 as PyAV does it from BGR pictures, with x264's presets. `streams` is how many
1080p30 streams one core takes at 70 % load. Needs `pip install simplejpeg` beside the tested set; exits with 2 without it. The last line
is one JSON object; exit 0 only when the goals are met.
"""

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

from firsthand.capture.decode import decode_depth
from firsthand.capture.drivers.synthetic import open_wearer
from firsthand.capture.encode import open_encoder
from firsthand.capture.errors import FirsthandError
from firsthand.capture.stream import StreamSpec

try:
    import simplejpeg
except ImportError:
    print("the comparison needs simplejpeg: pip install simplejpeg", file=sys.stderr)
    sys.exit(2)

GOALS = {"jpeg_to_simplejpeg": 1.1, "h264_to_pyav_from_bgr": 0.8, "h264_psnr_db": 35.0, "ffv1_ratio_to_png": 1.4,
         "depth_zstd_ratio_to_png": 1.1, "depth_zstd_encode_to_png": 0.4}
"""At most, but for PSNR and the ratios: at least."""
AT_LEAST = ("h264_psnr_db", "ffv1_ratio_to_png", "depth_zstd_ratio_to_png")
OURS = ("jpeg:80", "jpeg:90", "h264", "h264:crf=23", "h264:preset=superfast", "h264:preset=veryfast", "hevc")
DEPTH = ("png", "ffv1", "depth-zstd")
CAMERA = StreamSpec("head", "encoded", "camera", encoding="raw", rate_hz=30, width_px=1920, height_px=1080)
DEPTH_SPEC = StreamSpec("depth", "encoded", "depth", encoding="raw", rate_hz=30, width_px=848, height_px=480)


def wearer_pictures(stream: str, size_px: tuple[int, int], count: int) -> list[Any]:
    """Pictures of one stream of the synthetic wearer, decoded."""
    (head,) = [d for d in open_wearer(duration_s=3.0, size_px=size_px) if any(s.name == "head" for s in d.streams)]
    with head:
        batches = iter(lambda: head.read(1.0), None)
        samples = (sample for batch in batches for sample in batch if sample.stream == stream)
        return [cv2.imdecode(np.frombuffer(sample.data, np.uint8), cv2.IMREAD_UNCHANGED) for sample in itertools.islice(samples, count)]


def cpu_ms(job: Callable[[Any], Any], over: list[Any]) -> tuple[float, list[Any]]:
    """CPU milliseconds a call, the first one not counted, and what the calls gave."""
    job(over[0])
    start = time.process_time()
    done = [job(item) for item in over]
    return (time.process_time() - start) * 1e3 / len(over), done


def pyav_from_bgr(preset: str) -> Callable[[Any], bytes]:
    """H.264 as PyAV's own examples do it: the picture goes in as BGR."""
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 1920, 1080, "yuv420p", Fraction(1, 30)
    codec.gop_size, codec.thread_count = 30, 2
    codec.options = {"preset": preset, "tune": "zerolatency", "crf": "20"}
    return lambda image: b"".join(map(bytes, codec.encode(av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p"))))


def psnr_db(encoder: Any, packets: Iterable[bytes], pictures: list[Any]) -> float:
    """Of the worst picture."""
    codec: Any = av.CodecContext.create(encoder.spec.encoding, "r")
    decoded = [frame for packet in [*map(av.Packet, packets), None] for frame in codec.decode(packet)]
    errors = [np.mean((frame.to_ndarray(format="bgr24").astype(np.float32) - picture) ** 2)
              for frame, picture in zip(decoded, pictures, strict=True)]
    return float(10 * np.log10(255**2 / max(errors)))


def measure_pictures(pictures: list[Any], figures: dict[str, dict[str, list[float]]]) -> None:
    """One round of all encoders of colour."""
    jobs: dict[str, Callable[[Any], Any]] = {f"simplejpeg:{q}": lambda image, q=q: simplejpeg.encode_jpeg(image, q, "BGR", "420")
                                             for q in (80, 90)}
    jobs |= {f"pyav from bgr, {preset}": pyav_from_bgr(preset) for preset in ("ultrafast", "superfast")}
    for name, job in jobs.items():
        took, done = cpu_ms(job, pictures)
        add(figures, name, cpu_ms=took, kb=statistics.mean(map(len, done)) / 1e3)
    for how in OURS:
        encoder = open_encoder(CAMERA, how)
        took, done = cpu_ms(encoder.encode, pictures)
        assert all(len(packets) == 1 for packets in done), "a picture did not give its packet at once"
        add(figures, how, cpu_ms=took, kb=statistics.mean(len(packets[0][0]) for packets in done) / 1e3)


def measure_depth(depths: list[Any], figures: dict[str, dict[str, list[float]]]) -> bool:
    """One round of all depth codecs; whether every picture came back as it was."""
    same = True
    for how in DEPTH:
        encoder = open_encoder(DEPTH_SPEC, how)
        took, done = cpu_ms(encoder.encode, depths)
        payloads = [packets[0][0] for packets in done]
        back, decoded = cpu_ms(lambda payload, spec=encoder.spec: decode_depth(payload, 1.0, spec), payloads)
        same &= all(np.array_equal(np.nan_to_num(a).astype(np.uint16), b) for a, b in zip(decoded, depths, strict=True))
        add(figures, how, cpu_ms=took, decode_ms=back, ratio=depths[0].nbytes / statistics.mean(map(len, payloads)))
    return same


def add(figures: dict[str, dict[str, list[float]]], name: str, **values: float) -> None:
    """Keep one round's figures."""
    for figure, value in values.items():
        figures.setdefault(name, {}).setdefault(figure, []).append(value)


def main() -> int:
    """Measure, print and judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--pictures", type=int, default=60)
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    cv2.setNumThreads(1)
    some = wearer_pictures("head", (1920, 1080), 20)
    pictures = list(itertools.islice(itertools.cycle(some + some[::-1]), given.pictures))
    depths = wearer_pictures("head-depth", (848, 480), 20)
    measured: dict[str, dict[str, list[float]]] = {}
    lossless = True
    for _ in range(given.rounds):  # in turn, so that a busy moment does not hit one of them only
        measure_pictures(pictures, measured)
        lossless &= measure_depth(depths, measured)
    medians = {name: {figure: round(statistics.median(found), 2) for figure, found in values.items()} for name, values in measured.items()}
    for name, values in medians.items():
        streams = "" if "kb" not in values else f"  streams {0.7 * 1000 / 30 / values['cpu_ms']:.1f}"
        print(f"{name:24} " + "  ".join(f"{figure} {value:7.2f}" for figure, value in values.items()) + streams)
    encoder = open_encoder(CAMERA, "h264")
    figures: dict[str, Any] = {
        "jpeg_to_simplejpeg": medians["jpeg:90"]["cpu_ms"] / medians["simplejpeg:90"]["cpu_ms"],
        "h264_to_pyav_from_bgr": medians["h264"]["cpu_ms"] / medians["pyav from bgr, ultrafast"]["cpu_ms"],
        "h264_psnr_db": psnr_db(encoder, [encoder.encode(picture)[0][0] for picture in some], some),
        "ffv1_ratio_to_png": medians["ffv1"]["ratio"] / medians["png"]["ratio"],
        "depth_zstd_ratio_to_png": medians["depth-zstd"]["ratio"] / medians["png"]["ratio"],
        "depth_zstd_encode_to_png": medians["depth-zstd"]["cpu_ms"] / medians["png"]["cpu_ms"],
    }
    figures = {name: round(value, 3) for name, value in figures.items()}
    ok = lossless and all(figures[name] >= goal if name in AT_LEAST else figures[name] <= goal for name, goal in GOALS.items())
    for name in ("h264_hardware", "hevc_hardware"):
        try:
            took, _ = cpu_ms(open_encoder(CAMERA, name).encode, pictures)
            medians[name] = {"cpu_ms": round(took, 2)}
            print(f"{name:24} cpu_ms {took:7.2f}")
        except FirsthandError as error:
            print(f"{name:24} {str(error).partition(' (tried')[0]}")
    print(json.dumps({"bench": "encode", "figures": {**figures, "depth_lossless": lossless, **medians}, "goals": GOALS, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
