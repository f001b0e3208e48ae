"""The ``firsthand`` command: composition only. Each sub-command imports its layer when it is called."""

import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from firsthand.capture.errors import DamagedError, FirsthandError

if TYPE_CHECKING:
    from firsthand.annotate.inspection import Inspection
    from firsthand.pipeline import Processed
    from firsthand.retarget.sync_stage import Sync

app = typer.Typer(name="firsthand", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Record people doing real tasks from their own point of view; get robot training data that can be trusted.")
models = typer.Typer(no_args_is_help=True, help="The hand model that tracking needs.")
app.add_typer(models, name="models")
robots = typer.Typer(help="The robots there are; checking one of your own.")
app.add_typer(robots, name="robots")

Reference = Literal["world", "camera"]
Rung = Literal["teleop", "wearable", "egocentric", "fleet", "simulation"]
HandAxes = Literal["unity", "openxr", "z-forward"]

WIDE_COLUMNS = 100
"""From here on tables show all they have."""

INTERRUPTED = 130
"""What Typer exits with on Ctrl-C."""

STOPPED = "stopped; nothing half-written was left, and the same command goes on where it stopped"

out, err = Console(emoji=False), Console(stderr=True, emoji=False)

LibraryPath = Annotated[Path, typer.Argument(metavar="LIBRARY", help="The library's folder; a session's or an episode's will do.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Robots = Annotated[list[str], typer.Option("--robot", help="A robot card's name or file; repeat for more.")]


def main() -> None:
    """Run the command; faults of data and devices end with one sentence and exit code 1."""
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a file name need not be Unicode
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a closed terminal and a polite kill clean up as Ctrl-C does
        ending = getattr(signal, name, None)
        if ending is not None and signal.getsignal(ending) != signal.SIG_IGN:  # nohup wants it ignored
            signal.signal(ending, _stop)
    try:
        app()
    except FirsthandError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(STOPPED)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            fail(STOPPED)
        raise
    except OSError as error:
        fail(f"{error.filename or 'the system'}: {os.strerror(error.errno) if error.errno else error}")
    finally:
        _flush()


class Stopped(KeyboardInterrupt):
    """Ctrl-C under another name: after the plain one Python may insist on ending itself by the signal, whatever the exit code."""


def _stop(_number: int, _frame: object) -> None:
    raise Stopped


def fail(*sentences: str) -> NoReturn:
    """Say what went wrong on stderr, a line each, and exit with 1."""
    text = "\n".join(map(_plain, sentences))
    err.print(f"[bold red]error:[/] {text}", highlight=False, soft_wrap=True)
    raise SystemExit(1)


def _plain(text: str) -> str:
    """A text from outside as one line that says what it is: no markup, no control characters."""
    return escape(re.sub(r"[\x00-\x1f\x7f]", lambda found: repr(found[0])[1:-1], text))


def _flush() -> None:
    """Write out what is left; when nobody reads it any more, as with ``| head -1``, say nothing of it."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars on stderr: yields ``(what, done, total) -> None``; one bar for each `what`."""
    what_is_done = TextColumn("{task.description}", markup=False)
    progress = Progress(what_is_done, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True), console=err)
    tasks: dict[str, Any] = {}

    def update(what: str, done: int, total: int) -> None:
        if not tasks:
            progress.start()
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], completed=done, total=total)

    try:
        yield update
    finally:
        if tasks:
            progress.stop()


def show_json(document: Any) -> None:
    """Print a document as JSON on stdout, nothing else."""
    print(json.dumps(document, indent=2))


@app.command("import")
def import_(sources: Annotated[list[str], typer.Argument(metavar="SOURCE...", help="Files, folders, or quoted patterns.")],
            into: Annotated[Path, typer.Option("--into", help="The library; made if it is not there.")],
            importer: Annotated[str | None, typer.Option("--as", help="The importer to use, instead of recognising each source.")] = None,
            task: Annotated[str, typer.Option(help="What the person was doing, as an imperative.")] = "",
            wearer: Annotated[str, typer.Option(help="A pseudonym for the person.")] = "w00",
            hfov_deg: Annotated[float | None, typer.Option(min=10, max=170, help="The camera's horizontal field of view.")] = None,
            keep_gps: Annotated[bool, typer.Option("--keep-gps", help="Keep where it was recorded.")] = False,
            keep_eyes: Annotated[bool, typer.Option("--keep-eyes", help="Keep pictures of the eyes, and the gaze.")] = False,
            source: Annotated[Rung | None, typer.Option(help="Where it comes from, instead of what the importer takes it to be.")] = None,
            consent: Annotated[Path | None, typer.Option(help="A JSON file that says what the people in it agreed to.")] = None,
            hand_axes: Annotated[HandAxes, typer.Option(help="Axes of hands that do not tell them: MANUS' messages.")] = "unity",
            workers: Annotated[int | None, typer.Option(min=1, help="Processes at once; one a core if not given, at most 8.")] = None,
            timeout: Annotated[float, typer.Option(min=1, help="Seconds without progress after which a take is given up.")] = 600.0,
            retry: Annotated[bool, typer.Option("--retry", help="Try again what is in quarantine.")] = False,
            as_json: AsJson = False) -> None:
    """Bring what others recorded into a library: their own packets and times, nothing re-encoded."""
    from firsthand.capture.console.options import read_consent
    from firsthand.capture.import_many import import_many
    from firsthand.capture.intake import Asked

    asked = Asked(task, hfov_deg, keep_gps, keep_eyes, source, read_consent(consent), hand_axes)
    with bars() as bar:
        report = import_many(sources, into, asked, wearer=wearer, importer=importer, workers=workers, silent_s=timeout, retry=retry,
                             progress=partial(bar, "import"))
    done: list[dict[str, Any]] = []
    for item in report.imported:
        with item.episode.recording() as recording:
            cameras = recording.role("camera")
            done.append({"source": str(item.source), "importer": item.importer, "take": item.take, "episode": item.episode.id,
                         "path": str(item.episode.path), "new": item.new, "frames": len(recording.camera()) if cameras else 0,
                         "duration_s": round(recording.duration_s, 3)})
    if as_json:
        show_json({"imported": done, "faults": [fault.reason for fault in report.faults],
                   "quarantined": [str(fault.source) for fault in report.faults if fault.quarantined],
                   "passed_over": list(map(str, report.passed_over))})
    else:
        for entry in done:
            counted = f"{entry['frames']} frame{'s' * (entry['frames'] != 1)}, {entry['duration_s']} s"
            what = counted if entry["new"] else "was in the library already"
            name = Path(entry["source"]).name
            name += f" {entry['take']}" * (entry["take"] not in (name, Path(name).stem))
            out.print(f"{entry['episode']}  {_plain(name)}: {what}", highlight=False, soft_wrap=True)
        if report.passed_over:
            shown = ", ".join(path.name for path in report.passed_over[:3]) + ", ..." * (len(report.passed_over) > 3)
            out.print(f"[dim]passed over:[/] {len(report.passed_over)} of no kind firsthand imports ({_plain(shown)})",
                      highlight=False, soft_wrap=True)
    if report.faults:
        held = sum(fault.quarantined for fault in report.faults)
        fail(*(fault.reason for fault in report.faults),
             *[f"{held} in quarantine ({into / '.quarantine.json'}); '--retry' tries again what did not change"] * (held > 0))


@app.command()
def process(library: LibraryPath, robot: Robots,
            tracker: Annotated[str, typer.Option(help="auto, device, litert, litert-float32, mediapipe, or npz:PATH.")] = "auto",
            workers: Annotated[int | None, typer.Option(min=1, help="Processes that look at one video; one a core, at most 8.")] = None,
            force: Annotated[bool, typer.Option(help="Make again what is current.")] = False, as_json: AsJson = False) -> None:
    """Track the hands and derive robot actions; what is current already is skipped."""
    from firsthand.capture.library import find_episodes
    from firsthand.pipeline import process as run
    from firsthand.retarget.hand_model import hand_model
    from firsthand.retarget.hand_way import looks_at_pictures

    episodes = find_episodes(library)
    with bars() as bar:
        if looks_at_pictures(tracker):
            hand_model(progress=partial(bar, "hand model (once)"))
        faults: list[str] = []
        results = run(episodes, robot, tracker=tracker, workers=workers, force=force, progress=bar, faults=faults)
    if as_json:
        show_json([result.to_json() for result in results])
    elif results:
        _show_processed(results, robot)
    if faults:
        fail(*faults)


def _show_processed(results: "list[Processed]", robot: list[str]) -> None:
    table = Table(Column("episode", overflow="fold"), "frames", "left", "right", *map(_plain, robot))
    for result in results:
        seen = [f"{result.coverage[side]:.1%}" if side in result.coverage else "-" for side in ("left", "right")]
        driven = [" ".join(f"{side} {n}" for side, n in result.actions[name].items()) or "-" for name in robot]
        table.add_row(result.episode.id, str(result.frames), *seen, *driven)
    out.print(table)
    for result in results:
        for finding in result.findings:
            out.print(f"[yellow]note[/] {result.episode.id}: {_plain(finding)}", highlight=False, soft_wrap=True)


@app.command()
def frames(library: LibraryPath,
           into: Annotated[Path, typer.Option("--out", help="Where the pictures go: a folder for each episode.")],
           as_json: AsJson = False) -> None:
    """Put out the pictures of episodes for a hand model that runs elsewhere; its hands come back with 'process --tracker npz:OUT'."""
    from firsthand.capture.library import find_episodes
    from firsthand.retarget.frames_export import export_frames

    faults: list[str] = []
    folders: dict[str, str] = {}
    with bars() as bar:
        for episode in find_episodes(library):
            try:
                shown = partial(bar, f"frames: {episode.id.partition('Z-')[2] or episode.id}")
                folders[episode.id] = str(export_frames(episode, into, shown))
            except DamagedError as error:
                faults.append(f"{episode.id}: {error}")
    if as_json:
        show_json(folders)
    else:
        for folder in folders.values():
            out.print(_plain(folder), highlight=False, soft_wrap=True)
    if faults:
        fail(*faults)


@app.command()
def inspect(library: LibraryPath, into: Annotated[Path, typer.Option("--into", help="A folder for the pictures; made if it is not there.")],
            video: Annotated[bool, typer.Option("--video/--no-video", help="The video with the hands drawn in.")] = True,
            plots: Annotated[bool, typer.Option("--plots/--no-plots", help="A sheet of curves.")] = True, as_json: AsJson = False) -> None:
    """See how well the hands were tracked: a video with them drawn in, a sheet of curves, and figures for each hand."""
    from firsthand.annotate.inspection import inspect as run
    from firsthand.capture.library import find_episodes

    done, faults = [], []
    with bars() as bar:
        for episode in find_episodes(library):
            try:
                done.append(run(episode, into, video=video, plots=plots, progress=partial(bar, f"video: {episode.id.partition('Z-')[2]}")))
            except DamagedError as error:
                faults.append(f"{episode.id}: {error}")
    if as_json:
        show_json([result.to_json() for result in done])
    elif done:
        _show_inspected(done)
    if faults:
        fail(*faults)


def _show_inspected(results: "list[Inspection]") -> None:
    table = Table(Column("episode", overflow="fold"), "hand", "seen", "filled", "gap s", "jumps", "bones", "distance by", box=SIMPLE_HEAD)
    for result in results:
        for hand in result.hands:
            table.add_row(result.episode, hand.side, f"{hand.seen / hand.frames:.1%}", str(hand.interpolated), f"{hand.longest_gap_s:.1f}",
                          str(hand.jumps), f"±{hand.bone_spread:.1%}", ", ".join(f"{name} {n}" for name, n in hand.distances.items()))
    out.print(table)
    for result in results:
        for finding in result.findings:
            out.print(f"[yellow]note[/] {result.episode}: {_plain(finding)}", highlight=False, soft_wrap=True)
        for picture in filter(None, (result.video, result.sheet)):
            out.print(f"[dim]wrote[/] {_plain(str(picture))}", highlight=False, soft_wrap=True)


@app.command()
def review(library: LibraryPath, port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 8501,
           browser: Annotated[bool, typer.Option(help="Open a browser window.")] = True) -> None:
    """Open the review app on a library, in the browser, on this machine only."""
    from firsthand.annotate.serve import serve
    from firsthand.capture.library import find_episodes

    find_episodes(library)
    serve(library, port=port, browser=browser)


@app.command()
def export(library: LibraryPath, to: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder for the dataset.")],
           robot: Annotated[str, typer.Option("--robot", help="Whose actions to export.")],
           format: Annotated[str, typer.Option("--format", help="Training format.")] = "lerobot-v3",
           fps: Annotated[int | None, typer.Option(min=1, max=240, help="Frames a second; the camera's own rate if not given.")] = None,
           frame: Annotated[Reference | None, typer.Option(help="What poses refer to; as the hands were found if not given.")] = None,
           as_json: AsJson = False) -> None:
    """Write a training dataset, whole or not at all, with a report of what the format could not hold."""
    from firsthand.capture.library import find_episodes
    from firsthand.datasets.formats import export as run

    with bars() as bar:
        progress = partial(bar, f"export {format}")
        report = run(find_episodes(library), to, format=format, robot=robot, fps=fps, frame=frame, progress=progress)
    if as_json:
        show_json(report.to_json())
        return
    counted = f"{report.frames} frames of {report.episodes} episode{'s' * (report.episodes != 1)}"
    out.print(f"{_plain(str(to))}: {counted} as {report.format}", highlight=False, soft_wrap=True)
    for episode, reason in report.left_out:
        out.print(f"[yellow]left out[/] {episode}: {_plain(reason)}", highlight=False, soft_wrap=True)
    for loss in report.losses:
        out.print(f"[dim]not held:[/] {_plain(loss)}", highlight=False, soft_wrap=True)


@app.command()
def validate(path: Annotated[Path, typer.Argument(metavar="PATH", help="A recording, an episode, a library or an exported dataset.")],
             as_json: AsJson = False) -> None:
    """Check every checksum, time, picture and statistic; exit 1 when anything is wrong."""
    from firsthand.validation import check

    with bars() as bar:
        what, faults = check(path, bar)
    if as_json:
        show_json({"path": str(path), "what": what, "ok": not faults, "faults": faults})
    elif not faults:
        out.print(f"{_plain(str(path))}: sound ({what})", highlight=False, soft_wrap=True)
    if faults:
        fail(*faults)


@app.command()
def info(path: Annotated[Path, typer.Argument(metavar="PATH", help="A recording, an episode or a library.")],
         as_json: AsJson = False) -> None:
    """Show what is in a recording or a library: streams, rates, drops, and how well each is timed."""
    from firsthand.capture.library import RECORDING, Episode, find_episodes
    from firsthand.capture.summary import summarise

    episodes = [Episode(path.resolve().parent)] if path.name == RECORDING else find_episodes(path)
    summaries, faults = [], []
    for episode in episodes:
        try:
            with episode.recording() as recording:
                summaries.append({"episode": episode.id, "robots": episode.robots(), **summarise(recording)})
        except DamagedError as error:
            faults.append(f"{episode.id}: {error}")
    if as_json:
        show_json(summaries)
    else:
        _show_summaries(summaries)
    if faults:
        fail(*faults)


def _show_summaries(summaries: list[dict[str, Any]]) -> None:
    for item in summaries:
        out.print(_info_table(item))
        for s in item["timing"]["streams"]:
            for reason in s["reasons"]:
                out.print(_plain(f"{s['stream']} is {s['verdict']}: {reason}"), highlight=False, soft_wrap=True)


def _info_table(item: dict[str, Any]) -> Table:
    """One episode's streams with their timing certificates; a narrow terminal shows the figures people look for first."""
    title = _plain(f"{item['episode']}  {item['duration_s']} s  {item['source']}  {item['task']}  (timing {item['timing']['verdict']})")
    timings = {s["stream"]: s for s in item["timing"]["streams"]}
    calibrated = any(timing["calibration_residual_ms"] is not None for timing in timings.values())
    wide = out.width >= WIDE_COLUMNS
    columns = (*(["carries"] if wide else []), "samples", "Hz", *(["jitter ms"] if wide else []), "missing", "drift ppm", "offset ms",
               *(["residual"] if calibrated else []), "timing")
    table = Table(Column("stream", no_wrap=True, min_width=11), *columns, title=title, title_justify="left", box=SIMPLE_HEAD,
                  padding=(0, 1, 0, 0))
    for s in item["streams"]:
        timing = timings[s["name"]]
        rate, jitter = ("" if timing[key] is None else f"{timing[key]:.2f}" for key in ("measured_hz", "jitter_p99_ms"))
        drift = "" if timing["drift_ppm"] is None else f"{timing['drift_ppm']:+.1f}"
        if timing["drift_interval_ppm"] and wide:
            low, high = timing["drift_interval_ppm"]
            drift += f" ±{(high - low) / 2:.1f}"
        halves = (timing[key] for key in ("offset_interval_ms", "calibration_residual_ms"))
        offset, residual = ("" if half is None else f"±{half:.2f}" for half in halves)
        more = ([s["carries"]], [jitter]) if wide else ([], [])
        table.add_row(_plain(s["name"]), *more[0], str(s["samples"]), rate, *more[1], str(timing["missing"]), drift, offset,
                      *([residual] if calibrated else []), timing["verdict"])
    return table


@app.command()
def record(library: Annotated[Path, typer.Argument(metavar="LIBRARY", help="Where takes go; made if it is not there.")],
           rig: Annotated[Path, typer.Option("--rig", help="The rig file: which devices are worn.")],
           task: Annotated[list[str] | None, typer.Option("--task", help="What will be done, as an imperative; repeat for more.")] = None,
           tasks: Annotated[Path | None, typer.Option("--tasks", help="A text file of tasks, one a line.")] = None,
           episodes: Annotated[int | None, typer.Option(min=1, help="Takes of each task; as many as you like if not given.")] = None,
           duration: Annotated[float | None, typer.Option(min=0.5, help="Seconds after which a take ends by itself.")] = None,
           countdown: Annotated[float | None, typer.Option(min=0, max=60, help="Seconds before a take begins; 3, with --auto 0.")] = None,
           auto: Annotated[bool, typer.Option("--auto", help="Takes begin by themselves, and the recorder ends after the last.")] = False,
           wearer: Annotated[str, typer.Option(help="A pseudonym for the person.")] = "w00",
           consent: Annotated[Path | None, typer.Option(help="A JSON file that says what the person agreed to.")] = None,
           resume: Annotated[bool, typer.Option("--resume", help="Go on in the last session of this rig and wearer.")] = False,
           pedal: Annotated[str | None, typer.Option(help="A foot pedal: its path, or part of its name.")] = None,
           clap: Annotated[bool, typer.Option("--clap", help="Two claps start and stop.")] = False,
           remote: Annotated[str | None, typer.Option(help="Listen for commands at HOST:PORT.")] = None,
           token: Annotated[str | None, typer.Option(envvar="FIRSTHAND_TOKEN", help="What a remote must say first.")] = None,
           sound: Annotated[bool, typer.Option("--sound/--no-sound", help="Play a sound for what happens.")] = True,
           voice: Annotated[bool, typer.Option("--voice", help="Speak tasks and warnings.")] = False,
           coach: Annotated[bool, typer.Option("--coach/--no-coach", help="Warn of hands out of view, blur and the like.")] = True,
           as_json: Annotated[bool, typer.Option("--json", help="One JSON line for each event, in place of the screen.")] = False) -> None:
    """Record takes with a rig, by keyboard, pedal, claps or remote; exit 1 when a device or the disk failed."""
    from firsthand.capture.console.options import RecordOptions
    from firsthand.capture.console.record import record as run

    faults = run(RecordOptions(library, rig, tuple(task or ()), tasks, episodes, duration, countdown, auto, wearer, consent, resume, remote,
                               token, pedal, clap, sound, voice, coach, as_json))
    if faults:
        fail(*faults)


@app.command()
def monitor(library: LibraryPath,
            picture: Annotated[Path | None, typer.Option(metavar="OUT.jpg", help="Write the newest picture there, and end.")] = None,
            as_json: AsJson = False) -> None:
    """Show the screen of the recorder that runs in a library, from a second terminal; it only looks."""
    from firsthand.capture.console import monitor as run

    if picture is not None:
        run.picture(library, picture)
    if as_json:
        show_json(run.report(library))
    elif picture is None:
        run.show(library, out)


@app.command()
def doctor(library: Annotated[Path, typer.Argument(metavar="LIBRARY", help="Where takes will go; it need not be there yet.")],
           rig: Annotated[Path | None, typer.Option("--rig", help="A rig file: its devices are tried too.")] = None,
           seconds: Annotated[float, typer.Option(min=2, max=600, help="How long the rig is tried.")] = 10.0,
           as_json: AsJson = False) -> None:
    """Look at this machine, its disk and the rig before a day of collecting; exit 1 when something must be put right first."""
    from firsthand.capture.doctor.examine import examine
    from firsthand.capture.doctor.finding import conclusion, worst
    from firsthand.capture.doctor.table import show
    from firsthand.capture.rig import load_rig

    with bars() as bar:
        findings = list(examine(library, load_rig(rig) if rig else None, seconds=seconds, progress=bar))
    if as_json:
        show_json({"verdict": worst(findings), "conclusion": conclusion(findings, tried=rig is not None),
                   "findings": [finding.to_json() for finding in findings]})
    else:
        show(findings, out, tried=rig is not None)
    if worst(findings) == "bad":
        raise typer.Exit(1)


@app.command()
def devices(as_json: AsJson = False) -> None:
    """Show what can be recorded from here: the drivers, and the hardware that is connected."""
    from firsthand.capture.doctor.devices import drivers, hardware

    usable, connected = drivers(), hardware()
    if as_json:
        show_json({"drivers": [one.to_json() for one in usable], "hardware": [one.to_json() for one in connected]})
        return
    table = Table("driver", "", box=SIMPLE_HEAD)
    for one in usable:
        table.add_row(_plain(one.name), f"[yellow]{_plain(one.reason)}[/]" if one.reason else "[green]ready[/]")
    out.print(table)
    table = Table("connected", "", "at", "", box=SIMPLE_HEAD)
    for found in connected:
        table.add_row(*(_plain(text) for text in (found.kind, found.name, found.at, "\n".join((found.note, *found.modes)).strip())))
    out.print(table if connected else "no camera or serial port is connected, as far as this system tells", highlight=False)


@app.command()
def recover(path: Annotated[Path, typer.Argument(metavar="PATH", help="A .part file, or a folder with interrupted takes.")],
            as_json: AsJson = False) -> None:
    """Finish recordings that were interrupted; says what was saved and what was lost."""
    from firsthand.capture.rescue import rescue

    with bars() as bar:
        takes = rescue(path, progress=partial(bar, "recover"))
    if as_json:
        show_json([{**asdict(take), "path": str(take.path)} for take in takes])
    elif not takes:
        out.print(f"{_plain(str(path))}: nothing was interrupted here", highlight=False, soft_wrap=True)
    for take in takes if not as_json else ():
        if take.problem:
            continue
        saved = ", ".join(f"{name} {count}" for name, count in take.saved.items() if count) or "no sample"
        lost = ", ".join(f"{name} {count}" for name, count in take.lost.items() if count) or "none"
        out.print(_plain(f"{take.path}: saved {saved}; rows begun but not whole: {lost}; gaps told: {take.gaps}"), highlight=False,
                  soft_wrap=True)
    if problems := [f"{take.path}: {take.problem}" for take in takes if take.problem]:
        fail(*problems)


@app.command()
def calibrate(episode: Annotated[Path, typer.Argument(metavar="EPISODE", help="A take of 20 to 30 s of free movement.")],
              save: Annotated[Path | None, typer.Option(help="The rig's .sync.json; what it knows of other streams stays.")] = None,
              plot: Annotated[Path | None, typer.Option(help="A PNG to look at; beside --save if not given.")] = None,
              as_json: AsJson = False) -> None:
    """Find how late each stream is against the camera, and what gloves' numbers mean, from movement that both saw."""
    from firsthand.capture.latency import add_latencies
    from firsthand.capture.library import find_episodes
    from firsthand.retarget.gloves_stage import calibrate_gloves
    from firsthand.retarget.sync_picture import draw_sync
    from firsthand.retarget.sync_stage import calibrate as run

    episodes = find_episodes(episode)
    if len(episodes) > 1:
        raise FirsthandError(f"{episode} holds {len(episodes)} episodes; name the one that was recorded for calibration, such as "
                             f"{episodes[-1].path}")
    with bars() as bar:
        sync = run(episodes[0], progress=bar)
        gloves, uncalibrated = calibrate_gloves(episodes[0], progress=partial(bar, "hands"))
    picture = plot or (save.with_suffix(".png") if save else None)
    if picture:
        draw_sync(sync, picture)
    kept = add_latencies(save, sync.latencies) if save else []
    if as_json:
        show_json({"episode": episodes[0].id, "reference": sync.reference, "pairs": [pair.to_json() for pair in sync.pairs],
                   "streams": {name: asdict(latency) for name, latency in sync.latencies.items()}, "missing": sync.missing,
                   "kept": kept, "saved": str(save) if save else None, "picture": str(picture) if picture else None,
                   "gloves": {side: one.to_json() for side, one in gloves.items()}, "uncalibrated": uncalibrated})
    else:
        _show_sync(sync)
        for side, one in gloves.items():
            told = one.to_json()
            out.print(_plain(f"{one.stream} is calibrated for this session: fingertips to ±{told['tips_sigma_mm']:.0f} mm, the {side} hand "
                             f"{100 * one.size:.0f} % of an adult's, to ±{100 * one.size_sigma:.0f} %"), highlight=False, soft_wrap=True)
        for side, why in uncalibrated.items():
            out.print(_plain(f"the glove on the {side} hand is not calibrated: {why}"), highlight=False, soft_wrap=True)
        for what, where in (("saved", save), ("picture", picture)):
            if where:
                out.print(_plain(f"{what}: {where}") + (f" (kept: {_plain(', '.join(kept))})" if kept and what == "saved" else ""),
                          highlight=False, soft_wrap=True)
    if sync.missing:
        fail(*(f"{name} has no latency: {why}" for name, why in sync.missing.items()))


@app.command("measure-hand")
def measure_hand(path: LibraryPath,
                 flat: Annotated[bool, typer.Option("--flat", help="The hand lay flat on a board that the rig names.")] = False,
                 tracker: Annotated[str | None, typer.Option(help="The hand tracker; the one of 'process' if not given.")] = None,
                 as_json: AsJson = False) -> None:
    """Find how large a wearer's hands are and keep it in the library: one camera alone then tells their distance better."""
    from firsthand.capture.library import find_episodes
    from firsthand.retarget.hand_size import write_sizes
    from firsthand.retarget.measure_stage import measure_wearer
    from firsthand.retarget.tracker import DEFAULT_TRACKER

    episodes = find_episodes(path)
    with bars() as bar:
        found = measure_wearer(episodes, flat=flat, tracker=tracker or DEFAULT_TRACKER, progress=bar)
    where = write_sizes(episodes[0].library, found.wearer, found.sizes)
    if as_json:
        show_json({"wearer": found.wearer, "path": str(where), "hands": {side: size.to_json() for side, size in found.sizes.items()},
                   "missing": found.missing})
        return
    for side, size in found.sizes.items():
        palm, sure = size.palm_mm
        out.print(f"{side}: palm {palm:.0f} ± {sure:.0f} mm, from {size.frames} frames ({size.method})", highlight=False)
    for why in found.missing.values():
        out.print(f"[yellow]note[/] {_plain(why)}", highlight=False, soft_wrap=True)
    out.print(f"{_plain(str(where))}: used for {_plain(found.wearer)} from now on; run 'firsthand process' again", highlight=False,
              soft_wrap=True)


def _show_sync(sync: "Sync") -> None:
    table = Table("compared", "by", "lag ms", "residual ms", "agree", "lead", "verdict", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for pair in sync.pairs:
        lag, known = pair.lag, pair.lag.lag_ns is not None and pair.error_ns is not None
        figures = (f"{(lag.lag_ns or 0) * 1e-6:+.2f}", f"±{(pair.error_ns or 0) * 1e-6:.2f}") if known else ("", "")
        verdict = "[green]good[/]" if lag.observable else "[red]refused[/]"
        table.add_row(f"{_plain(pair.second)} against {_plain(pair.first)}", pair.method, *figures, f"{lag.correlation:.2f}",
                      f"{lag.confidence:.2f}", verdict)
    out.print(table)
    for name, latency in sync.latencies.items():
        if name != sync.reference:
            ms = latency.latency_ns * 1e-6
            out.print(_plain(f"{name} is {abs(ms):.2f} ms {'later' if ms >= 0 else 'earlier'} than {sync.reference}, to "
                             f"±{latency.error_ns * 1e-6:.2f} ms ({latency.method})"), highlight=False, soft_wrap=True)


@app.command()
def demo(folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to put it; a new folder.")] = Path("firsthand-demo"),
         episodes: Annotated[int, typer.Option(min=3, max=30, help="Synthetic episodes to record.")] = 3,
         seed: Annotated[int, typer.Option(help="Another seed, another wearer.")] = 0, as_json: AsJson = False) -> None:
    """Run the whole chain on the synthetic wearer, measure it against the truth, and show where everything lies."""
    from firsthand.demo import run, show

    with bars() as bar:
        result = run(folder, episodes=episodes, seed=seed, progress=bar)
    if as_json:
        show_json(result.to_json())
    else:
        show(result, out)
    if result.faults:
        fail(*result.faults)


@app.command()
def emulate(name: Annotated[str, typer.Argument(metavar="NAME", help="Which device: glove, imu, quest, manus ...; see docs/devices.")],
            to: Annotated[str, typer.Option("--to", help="udp://ADDRESS:PORT, serial:PORT, pty:PATH, or as its page says.")],
            side: Annotated[Literal["left", "right"], typer.Option(help="Which hand, for a glove.")] = "right",
            seed: Annotated[int, typer.Option(min=0, help="Another seed, another wearer.")] = 0,
            rate: Annotated[float | None, typer.Option(help="Messages a second; the device's own rate if not given.")] = None,
            seconds: Annotated[float | None, typer.Option(help="How long; for ever if not given.")] = None,
            drop: Annotated[float, typer.Option(help="Share of the messages that get lost.")] = 0.0) -> None:
    """Send what a device sends, in real time, from the synthetic wearer's motion. Ctrl-C unplugs it; a new start plugs it in again."""
    from firsthand.capture.emulator import Emulation
    from firsthand.capture.emulator import emulate as run

    counted = 0

    def count(sent: int) -> None:
        nonlocal counted
        counted = sent

    def opened(where: str) -> None:
        err.print(_plain(f"{name} sends to {where}; Ctrl-C unplugs it"), highlight=False, soft_wrap=True)

    with suppress(KeyboardInterrupt):
        run(name, to, Emulation(side, seed, rate, seconds, drop), opened=opened, sent=count)
    out.print(f"{_plain(name)}: {counted} messages sent", highlight=False, soft_wrap=True)


@models.command()
def build() -> None:
    """Fetch and pack the hand model once; tracking does it by itself when it needs to."""
    from firsthand.retarget.hand_model import hand_model

    with bars() as bar:
        path = hand_model(progress=partial(bar, "hand model"))
    out.print(_plain(str(path)), highlight=False, soft_wrap=True)


@robots.callback(invoke_without_command=True)
def robots_(context: typer.Context,
            picture: Annotated[Path | None, typer.Option(help="Write a picture of all, a PNG.")] = None, as_json: AsJson = False) -> None:
    """The robots that come with firsthand."""
    if context.invoked_subcommand:
        return
    from firsthand.retarget.robot import robot_names
    from firsthand.retarget.robot_arm import load_any
    from firsthand.retarget.robot_check import facts

    models = [load_any(name) for name in robot_names()]
    if picture is not None:
        from firsthand.retarget.robot_picture import draw_sheet

        draw_sheet(models, picture)
    if as_json:
        show_json([facts(model) for model in models])
        return
    table = Table("robot", "", "hand", Column("joints", justify="right"), Column("", overflow="fold"), box=SIMPLE_HEAD)
    for model in sorted(models, key=lambda model: ("gripper", "hand", "arm").index(model.kind)):
        table.add_row(_plain(model.name), model.kind, model.side, str(len(model.joint_names)), _plain(model.title))
    out.print(table)
    told = f"picture: {picture}" if picture is not None else "a picture of all: firsthand robots --picture robots.png"
    out.print(_plain(f"{told}; actions are made for grippers and hands"), highlight=False, soft_wrap=True)


@robots.command()
def check(file: Annotated[str, typer.Argument(metavar="FILE", help="A card, a URDF or an MJCF; or a robot's name.")],
          picture: Annotated[Path | None, typer.Option(help="Where to draw it; by default FILE's name with .png, here.")] = None,
          card: Annotated[Path | None, typer.Option(help="Write a card that uses the URDF or MJCF, to be completed.")] = None,
          as_json: AsJson = False) -> None:
    """Look over a robot: its axes, tips, limits and mimic joints; and draw it."""
    from firsthand.retarget.robot_check import check_robot, write_card

    found = check_robot(file)
    drawn = picture or Path(f"{Path(file).stem}.png")
    if found.robot is not None:
        from firsthand.retarget.robot_picture import draw_robot

        draw_robot(found.robot, drawn, found.faults)
    if card is not None:
        write_card(found, card)
    if as_json:
        show_json(found.to_json() | ({"picture": str(drawn)} if found.robot is not None else {}) | ({"card": str(card)} if card else {}))
        raise SystemExit(1 if found.faults else 0)
    if found.robot is not None:
        told = found.facts
        out.print(_plain(f"{told['name']}: {told['kind']}, {told['side']}, {len(told['joints'])} joints: {', '.join(told['joints'])}"),
                  highlight=False, soft_wrap=True)
        for finger, reach in told.get("reach_m", {}).items():
            out.print(_plain(f"{finger}: {reach * 1000:.0f} mm from the wrist at most"), highlight=False, soft_wrap=True)
    for note in found.notes:
        out.print(f"[yellow]note:[/] {_plain(note)}", highlight=False, soft_wrap=True)
    for what, path in (("picture", drawn if found.robot is not None else None), ("card", card)):
        if path is not None:
            out.print(_plain(f"{what}: {path}"), highlight=False, soft_wrap=True)
    if found.faults:
        fail(*found.faults)


if __name__ == "__main__":
    main()
