"""What hand tracking costs: the default tracker beside MediaPipe's Tasks API, and a long video through the whole hands stage.

    python bench/hands.py [CLIP...] [--minutes 10] [--frames 240] [--workers 2] [--folder DIR]

Trackers: the hand video of the shared media where it is there, the synthetic wearer with two hands (640 x 480), and each CLIP. Both see the
same frames in one process, blocks of 30 in turn, and are charged with the processor's time; pictures are decoded beforehand. Landmarks are
compared where both see a hand: distances in the picture as a share of the palm, the median over joints and frames.

Stage: a two-hand video of the synthetic wearer, 1080p at 30 fps in H.264, eight seconds repeated (kept in DIR, by default in the temporary
folder), through `make_hands`: decoding, tracking, placing, smoothing, writing. The wall's time tells little on a busy machine; the
processor's per second of video, which must fit into the workers, does not lie. Accuracy is `bench/hands_accuracy.py`'s. The last line is
one JSON object; exit 0 only when the goals are met.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

from firsthand.capture.importers.video import import_video
from firsthand.capture.library import Episode
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.retarget.hands_stage import make_hands
from firsthand.retarget.tracker import DEFAULT_TRACKER, Detection, WholeTracker, open_tracker

SHARED = Path(os.environ.get("FIRSTHAND_SHARED", Path(__file__).parents[2] / "shared"))
HAND_VIDEO = SHARED / "data/media/hands/human_hand_video.mp4"
PEER = "mediapipe"
BLOCK, FPS, LOOP_S = 30, 30, 8.0
RATIO, APART_PERCENT, REAL_TIME = 0.45, 2.0, 1.5
Picture = npt.NDArray[np.uint8]


def render(path: Path, width: int, height: int, seconds: float) -> Path:
    """A video of the synthetic wearer's two hands, made if it is not there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        wearer = Wearer(seed=3, task="pick-and-place", duration_s=seconds, fps=FPS, size_px=(width, height))
        part = path.with_suffix(".part.mp4")
        with av.open(str(part), "w") as file:
            stream: Any = file.add_stream("libx264", rate=FPS, options={"crf": "20", "preset": "veryfast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for i in range(round(seconds * FPS)):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(wearer.frame(i)[0], format="bgr24")))
            file.mux(stream.encode(None))
        part.rename(path)
    return path


def repeat(clip: Path, path: Path, seconds: float) -> Path:
    """The same packets again and again, made if it is not there."""
    if not path.exists():
        part = path.with_suffix(".part.mp4")
        with av.open(str(clip)) as given, av.open(str(part), "w") as file:
            source = given.streams.video[0]
            stream = file.add_stream_from_template(source)
            packets = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in given.demux(source) if p.size]
            length = round(LOOP_S / source.time_base)
            for k in range(round(seconds / LOOP_S)):
                for data, pts, dts, duration, key in packets:
                    packet = av.Packet(data)
                    packet.stream, packet.time_base, packet.is_keyframe = stream, source.time_base, key
                    packet.pts, packet.dts, packet.duration = pts + k * length, dts + k * length, duration
                    file.mux(packet)
        part.rename(path)
    return path


def pictures(clip: Path, frames: int) -> Iterator[Picture]:
    """The first pictures of a video, BGR."""
    with av.open(str(clip)) as file:
        for frame in islice(file.decode(video=0), frames):
            yield np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def compare(clip: Path, frames: int) -> dict[str, float]:
    """Both trackers on one video."""
    with open_tracker(PEER) as peer, open_tracker(DEFAULT_TRACKER) as ours:
        assert isinstance(ours, WholeTracker)
        theirs: list[list[Detection]] = []
        between_s = peer_s = 0.0

        def fed() -> Iterator[tuple[int, Picture]]:
            nonlocal between_s, peer_s
            entered = time.process_time()
            numbered = enumerate(pictures(clip, frames))
            while block := list(islice(numbered, BLOCK)):
                begun = time.process_time()
                theirs.extend(peer.detect(i * 10**9 // FPS, image) for i, image in block)
                peer_s += time.process_time() - begun
                for i, image in block:
                    between_s += time.process_time() - entered
                    yield i * 10**9 // FPS, image
                    entered = time.process_time()
            between_s += time.process_time() - entered

        begun = time.process_time()
        found = ours.detect_all(fed())
        ours_s = time.process_time() - begun - between_s
    n = len(found)
    apart = [np.linalg.norm(a.points_px - b.points_px, axis=1) / np.linalg.norm(b.points_px[9] - b.points_px[0])
             for mine, other in zip(found, theirs, strict=True) for b in other
             if (a := min(mine, key=lambda hand: float(np.linalg.norm(hand.points_px - b.points_px)), default=None))]
    percent = round(100 * float(np.median(np.concatenate(apart))), 2) if apart else np.nan
    return {"frames": n, "hands_a_frame": round(sum(map(len, theirs)) / n, 2), "peer_ms": round(1e3 * peer_s / n, 2),
            "ours_ms": round(1e3 * ours_s / n, 2), "ratio": round(ours_s / peer_s, 3), "peer_found": sum(map(len, theirs)),
            "ours_found": sum(map(len, found)), "apart_percent": percent}


def spent_s() -> float:
    """Processor time of this process and of its children that ended."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def stage(clip: Path, workers: int, folder: Path) -> dict[str, float]:
    """A video through the hands stage."""
    episode = Episode(folder / "library" / "session" / "000")
    import_video(clip, episode.recording_path)
    with episode.recording() as recording:
        seconds = len(recording.camera()) / FPS
    wall, spent = time.perf_counter(), spent_s()
    hands = make_hands(episode, workers=workers, force=True)
    wall, spent = time.perf_counter() - wall, spent_s() - spent
    return {"video_s": round(seconds, 1), "wall_s": round(wall, 1), "cpu_s": round(spent, 1), "real_time": round(seconds / wall, 2),
            "cpu_s_per_video_s": round(spent / seconds, 3),
            **{f"{side}_seen": round(float(np.mean(track.valid)), 3) for side, track in hands.tracks.items()}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, process, judge."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("clips", nargs="*", type=Path)
    options.add_argument("--minutes", type=float, default=10.0, help="of two-hand video; 0 leaves it out")
    options.add_argument("--frames", type=int, default=240, help="of each clip")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "firsthand-bench-hands")
    given = options.parse_args(arguments)
    clips = {"real": HAND_VIDEO} if HAND_VIDEO.exists() else {}
    clips |= {"synthetic": render(given.folder / "two-hands-480p.mp4", 640, 480, LOOP_S), **{clip.stem: clip for clip in given.clips}}
    figures: dict[str, dict[str, float]] = {}
    for name, clip in clips.items():
        figures[name] = compare(clip, given.frames)
        print(name, figures[name], flush=True)
    goals = {f"{name}.ratio": RATIO for name in clips} | ({"real.apart_percent": APART_PERCENT} if "real" in clips else {})
    if given.minutes:
        clip = render(given.folder / "two-hands-1080p.mp4", 1920, 1080, LOOP_S)
        clip = repeat(clip, given.folder / f"two-hands-1080p-{given.minutes:g}min.mp4", given.minutes * 60)
        with tempfile.TemporaryDirectory() as folder:
            figures["stage"] = stage(clip, given.workers, Path(folder))
        print("stage", figures["stage"], flush=True)
        goals |= {"stage.real_time": REAL_TIME, "stage.cpu_s_per_video_s": round(given.workers / REAL_TIME, 2)}
    flat = {f"{part}.{name}": value for part, found in figures.items() for name, value in found.items()}
    ok = all(flat[name] >= goal if name.endswith("real_time") else flat[name] <= goal for name, goal in goals.items())
    print(json.dumps({"bench": "hands", "figures": flat, "goals": goals, "ok": ok}))
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
