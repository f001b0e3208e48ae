"""The whole chain on the synthetic wearer: record, process, label, export, validate, load, and measure it all against the truth."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from firsthand.annotate.annotation import Annotation, read_annotation, write_annotation
from firsthand.annotate.contact_sheet import contact_sheet
from firsthand.annotate.report import write_report
from firsthand.annotate.suggest import suggest_segments
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import need_space, write_json
from firsthand.capture.library import Episode, new_session, sessions
from firsthand.capture.recorder import record
from firsthand.capture.synthetic.skin import TONES
from firsthand.capture.synthetic.wearer import Wearer
from firsthand.datasets.formats import export, validate
from firsthand.pipeline import process
from firsthand.retarget.budget import Figure, budget, measure
from firsthand.retarget.hand_model import hand_model
from firsthand.retarget.hand_track import read_hands

GRIPPER, DEXTEROUS = "panda_gripper", "allegro_right"
TASKS = ("pick-and-place", "pour", "fold")
FPS, DURATION_S = 30, 6.0
TAKE_BYTES = 100_000_000
"""What a take comes to at most: its recording twice while it is finished, two datasets, a share of the report."""
MARK = "demo.json"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Demo:
    """What the demo made and measured."""

    folder: Path
    figures: tuple[Figure, ...]
    places: dict[str, str]
    """What lies where."""
    loaded: str
    """What the torch loader gave."""
    faults: tuple[str, ...]
    """Everything that is not as it should be; empty when all is well."""

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"folder": str(self.folder), "figures": [f.to_json() for f in self.figures], "places": self.places, "loaded": self.loaded,
                "ok": not self.faults, "faults": list(self.faults)}


def run(folder: Path, *, episodes: int, seed: int, progress: Progress) -> Demo:
    """Run every stage into `folder`; what an earlier, interrupted run with the same arguments left is used, not made again."""
    _claim(folder, {"episodes": episodes, "seed": seed, "fps": FPS, "duration_s": DURATION_S})
    need_space(folder, episodes * TAKE_BYTES)
    hand_model(progress=partial(progress, "hand model (once)"))
    library = folder / "library"
    takes = [_take(library, number, seed, progress) for number in range(episodes)]
    process(takes, [GRIPPER, DEXTEROUS], progress=progress)
    for take in takes:
        _label(take)
    faults, datasets, loaded = [], {}, ""
    for robot in (GRIPPER, DEXTEROUS):
        datasets[robot] = folder / f"lerobot-v3-{robot}"
        shutil.rmtree(datasets[robot], ignore_errors=True)  # our own, of an earlier run
        export(takes, datasets[robot], format="lerobot-v3", robot=robot, progress=partial(progress, f"export {robot}"))
        faults += validate(datasets[robot], progress=partial(progress, f"validate {robot}"))
    loaded = _load(datasets[GRIPPER])
    measured = [measure(take, [GRIPPER], [DEXTEROUS]) for take in takes]
    figures = tuple(budget(measured))
    faults += [f"{f.name} is {f.value:.4g} {f.unit}, the goal {f.goal:g}" for f in figures if not f.ok]
    sheet, page = folder / "contact-sheet.png", folder / "report.html"
    contact_sheet(takes, sheet, robot=GRIPPER)
    places = {"library": str(library), **{f"dataset for {robot}": str(path) for robot, path in datasets.items()},
              "contact sheet": str(sheet), "report": str(page)}
    intro = f"{episodes} takes of the synthetic wearer, recorded, tracked, retargeted, labelled, exported and measured against the truth."
    write_report(page, "firsthand demo", intro, takes, figures=[f.to_json() for f in figures], places=places, robot=GRIPPER)
    result = Demo(folder, figures, places, loaded, tuple(faults))
    write_json(folder / "budget.json", result.to_json())
    return result


def _claim(folder: Path, arguments: dict[str, Any]) -> None:
    """Make the folder, or go on in one that a demo with the same arguments began."""
    mark = folder / MARK
    if mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == arguments:
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "a demo with other arguments" if mark.exists() else "something else"
        raise FirsthandError(f"{folder} holds {what}; name a new folder, or remove this one first")
    write_json(mark, arguments)


def _take(library: Path, number: int, seed: int, progress: Progress) -> Episode:
    """Record one take as a session of its own: another task, another wearer."""
    task = TASKS[number % len(TASKS)]
    name, wearer_name = f"demo {number:02d} {task}", f"synthetic{number:02d}"
    rig = {"driver": "synthetic", "seed": seed * 1000 + number, "task": task, "duration_s": DURATION_S, "fps": FPS}
    made = next((path for path, document in sessions(library) if document.get("rig") == rig), None)
    if made:
        return Episode((made / "000").resolve())
    wearer = Wearer(seed=seed * 1000 + number, task=task, duration_s=DURATION_S, fps=FPS, skin=number % len(TONES))
    frames = round(DURATION_S * FPS)
    with new_session(library, name, wearer=wearer_name, tasks=(wearer.task.instruction,), rig=rig) as session:
        episode = Episode(session / "000")
        record(wearer.drivers(), episode.recording_path, task=wearer.task.instruction, source="simulation",
               progress=lambda counts: progress(f"record {task}", min(counts["head"], frames), frames))
        progress(f"record {task}", frames, frames)
        wearer.write_truth(episode.truth_path)
    return _take(library, number, seed, progress)


def _label(take: Episode) -> None:
    """What an annotator would do: take the suggestions, say what the task was and that it went well."""
    hands = read_hands(take.hands_path)
    with take.recording() as recording:
        instruction = recording.task
    wanted = Annotation(len(hands.t_ns), instruction, success=True, tiers=suggest_segments(hands, FPS), author="demo", version=1)
    if read_annotation(take.annotations_path) != wanted:
        write_annotation(take.annotations_path, wanted)


def _load(dataset: Path) -> str:
    """Read the whole dataset once as shuffled torch batches."""
    import torch

    from firsthand.datasets.loader import WindowDataset
    from firsthand.datasets.window import Window

    torch.manual_seed(0)
    windows: Any = WindowDataset(dataset, Window(observation_steps=2, action_steps=8))
    start, count, shapes = time.process_time(), 0, ""
    for batch in torch.utils.data.DataLoader(windows, batch_size=16, shuffle=True):
        tensors = {key: value for key, value in batch.items() if isinstance(value, torch.Tensor) and value.ndim > 1}
        shapes = ", ".join(f"{key} {tuple(value.shape)}" for key, value in tensors.items())
        count += 1
    seconds = time.process_time() - start
    return f"{len(windows)} windows in {count} batches, {1e3 * seconds / max(len(windows), 1):.1f} ms CPU each; last batch: {shapes}"


def show(result: Demo, out: Console) -> None:
    """Print the error budget and where everything lies."""
    table = Table("error budget", "measured", "goal", "", title="against the synthetic wearer's truth", title_justify="left")
    for f in result.figures:
        goal = "" if f.goal is None else f"{'>=' if f.at_least else '<='} {f.goal:g}"
        mark = "" if f.goal is None else "[green]met[/]" if f.ok else "[red]missed[/]"
        table.add_row(f.name, f"{f.value:.4g} {f.unit}", goal, mark)
    out.print(table)
    out.print("labels: the automatic suggestions, taken as they are and signed 'demo'; a person would review them first", highlight=False)
    out.print(f"torch loader: {result.loaded}", markup=False, highlight=False, soft_wrap=True)
    for what, where in result.places.items():
        out.print(f"{what:>26}  {where}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"{'review it':>26}  firsthand review {result.places['library']}", markup=False, highlight=False, soft_wrap=True)
