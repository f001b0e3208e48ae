"""``firsthand record``: the desk, the recorder, the controls, the cues and the screen put together."""

import os
import queue
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from firsthand.capture.console.board import CONSOLE, Board
from firsthand.capture.console.coaching import Coaching
from firsthand.capture.console.desk import Desk
from firsthand.capture.console.lock import only_recorder
from firsthand.capture.console.notebook import Notebook
from firsthand.capture.console.options import RecordOptions, address, read_consent
from firsthand.capture.console.orders import Begin, Discard, End, Event, Leave, Mark
from firsthand.capture.console.picture import leave_picture, remove_picture
from firsthand.capture.console.plan import COUNTDOWN_S, Plan, read_tasks
from firsthand.capture.console.screen import Screen
from firsthand.capture.console.signals import WORDS, signals_to
from firsthand.capture.console.sitting import Sitting
from firsthand.capture.console.sounds import sound
from firsthand.capture.controls.keyboard import Keyboard
from firsthand.capture.controls.press import Control, Presses, new_presses
from firsthand.capture.cues.cues import Cues
from firsthand.capture.doctor.power import battery, heat
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.status import FILE
from firsthand.capture.live.supervisor import Supervisor
from firsthand.capture.rig import load_rig

TURN_S = 0.05
DRAW_S = 0.25
PUBLISH_S = 0.5
PICTURE_S = 1.0
POWER_S = 10.0


def record(options: RecordOptions) -> list[str]:
    """Record until the person, the plan or a signal ends it. Returns what went wrong, a sentence each.

    Raises `FirsthandError` when nothing could begin.
    """
    rig = load_rig(options.rig)
    tasks = read_tasks(options.tasks, options.tasks_file)
    countdown_s = options.countdown_s if options.countdown_s is not None else 0.0 if options.auto else COUNTDOWN_S
    plan = Plan(tasks, options.episodes, options.duration_s, countdown_s, options.auto)
    if not options.resume:
        plan.check()
    if not (options.auto or options.remote or options.pedal or options.clap or (sys.stdin and sys.stdin.isatty())):
        raise FirsthandError("nobody could start a take here: standard input is no terminal; run it in a terminal, or with --auto and "
                             "--duration, or with --remote, --pedal or --clap")
    with only_recorder(options.library) as folder:
        sitting = Sitting(options.library, rig, options.wearer, tasks, read_consent(options.consent))
        told = sitting.resume() if options.resume else []
        if left := sitting.unfinished_elsewhere():
            told.append(Event("unfinished", f"{left} take{'s' * (left != 1)} of other sessions were interrupted: firsthand recover "
                              f"{options.library}", "warn"))
        plan = replace(plan, tasks=sitting.tasks, before=dict(sitting.before))
        plan.check()
        remove_picture(folder)
        recorder = Supervisor(rig, folder, sitting.next_folder, parameters={"rig": rig.to_json(), "wearer": options.wearer})
        session = _Session(options, folder, sitting, Desk(plan), recorder)
        return session.run(told)


class _Session:
    """The loop: presses and status in, orders carried out, everything shown."""

    def __init__(self, options: RecordOptions, folder: Path, sitting: Sitting, desk: Desk, recorder: Supervisor) -> None:
        self._options, self._folder, self._sitting, self._desk, self._recorder = options, folder, sitting, desk, recorder
        self._as_json = options.as_json or not sys.stdout.isatty()
        self._notebook = Notebook(folder, sys.stdout if self._as_json else None)
        self._presses: Presses = new_presses()
        self._controls: dict[str, tuple[Control, str]] = {}
        self._cues = Cues(options.sound and not self._as_json, options.voice)
        self._why = ""
        self._left = False
        self._live: Live | None = None
        self._power = ""
        self._coach: Coaching | None = Coaching(recorder, folder) if options.coach else None
        self._due_s = dict.fromkeys(("draw", "publish", "picture", "power"), 0.0)

    def run(self, told: list[Event]) -> list[str]:
        with ExitStack() as stack:
            stack.enter_context(signals_to(self._be_asked_to_leave))
            stack.enter_context(self._cues)
            for control in self._open_controls():
                stack.enter_context(control)
                self._controls[control.name] = (control, "")
            for event in told:
                self._tell(event)
            stack.callback(remove_picture, self._folder)
            stack.enter_context(self._recorder)
            if self._coach:
                stack.enter_context(self._coach)
            try:
                with self._shown():
                    while not self._left:
                        self._turn()
            except KeyboardInterrupt:
                raise FirsthandError("ended at once; what was recorded is finished in the background, or by 'firsthand record --resume' "
                                     "and 'firsthand recover'") from None
            board = self._board()
        self._settle()
        faults = self._desk.faults()
        kept = [take for take in self._desk.ledger.takes if take.fate != "discarded"]
        self._tell(Event("over", self._summary(), fields={"session": str(self._sitting.takes.session) if self._sitting.takes else "",
                                                           "takes": [take.folder for take in kept], "faults": faults}))
        self._publish(replace(board, desk=replace(board.desk, phase="ended"), notes=self._notebook.notes()))
        if not self._as_json:
            with suppress(OSError):
                print(self._summary())
        return faults

    def _turn(self) -> None:
        """One round: what is pressed, what the recorder says, what follows from it."""
        happened = False
        with suppress(queue.Empty):
            press = self._presses.get(timeout=TURN_S)
            while True:
                self._desk.press(press)
                happened |= self._carry_out()
                press = self._presses.get_nowait()
        if self._why and not self._desk.leaving:
            self._desk.leave(self._why)
            self._carry_out()
        self._desk.look(self._recorder.status(), time.monotonic())
        happened |= self._carry_out()
        self._listen_to_controls()
        for event in self._coach.look() if self._coach else ():
            if event.kind != "advice" or self._desk.phase == "recording":  # between takes it is shown, and no more
                self._tell(event)
        if not self._left:
            self._show(at_once=happened)

    def _carry_out(self) -> bool:
        """Obey all orders, and those that follow from them; whether there were any."""
        any_at_all = False
        while orders := self._desk.orders():
            any_at_all = True
            for order in orders:
                self._obey(order)
        return any_at_all

    def _obey(self, order: object) -> None:
        match order:
            case Event():
                self._tell(order)
            case Begin(task):
                try:
                    self._desk.began(str(self._recorder.start(task)), task, time.monotonic())
                except FirsthandError as error:
                    self._desk.refused(str(error))
            case End(why):
                self._recorder.stop(why)
            case Mark(text):
                self._recorder.mark("mark", text)
            case Discard(folder):
                self._discard(Path(folder))
            case Leave():
                self._left = True

    def _discard(self, folder: Path) -> None:
        try:
            to = self._sitting.discard(folder)
        except FirsthandError as error:
            self._tell(Event("not-discarded", str(error), "error", "error"))
        else:
            self._tell(Event("trashed", f"{folder.name} is in {to}", fields={"take": str(folder), "trash": str(to)}))

    def _settle(self) -> None:
        """Takes that were finished only when the recorder ended."""
        for take in self._desk.ledger.takes:
            if take.fate == "discarded" and Path(take.folder).is_dir():
                self._discard(Path(take.folder))

    def _tell(self, event: Event) -> None:
        self._notebook.write(event)
        sound(self._cues, event)

    def _be_asked_to_leave(self, signal_name: str) -> None:
        """Comes from a signal's handler, so it only leaves word; Ctrl-C while it is ending already ends at once."""
        if signal_name == "SIGINT" and (self._why or self._desk.leaving):
            raise KeyboardInterrupt
        self._why = WORDS[signal_name]

    # controls

    def _open_controls(self) -> Iterator[Control]:
        options = self._options
        yield Keyboard(self._presses)
        if options.pedal is not None:
            from firsthand.capture.controls.pedal import Pedal

            yield Pedal(self._presses, device=options.pedal)
        if options.clap:
            from firsthand.capture.controls.microphone import ClapMicrophone

            yield ClapMicrophone(self._presses)
        if options.remote is not None:
            from firsthand.capture.controls.remote import Remote

            host, port = address(options.remote)
            remote = Remote(self._presses, status=self._for_remote, host=host, port=port, token=options.token)
            yield remote
            self._tell(Event("listening", f"remote control on {host} port {remote.port}", fields={"host": host, "port": remote.port}))

    def _listen_to_controls(self) -> None:
        for name, (control, before) in self._controls.items():
            if control.absent == before or (name == "keyboard" and len(self._controls) > 1 and not before):
                continue
            self._controls[name] = (control, control.absent)
            if not (self._options.auto and name == "keyboard"):
                self._tell(Event("control", control.absent or f"the {name} is there", "warn" if control.absent else "info",
                                 fields={"control": name, "absent": control.absent}))

    def _for_remote(self) -> dict[str, Any]:
        board = self._board()
        return {**board.status.to_json(), CONSOLE: board.about()}

    # what is shown

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if self._as_json:
            yield
            return
        with ExitStack() as stack:
            self._live = Live(console=Console(emoji=False, markup=False), screen=True, auto_refresh=False, redirect_stdout=False,
                              redirect_stderr=False)
            with suppress(OSError):
                self._live.start()
            stack.callback(self._hide)
            yield

    def _hide(self) -> None:
        live, self._live = self._live, None
        if live:
            with suppress(OSError):  # the terminal may be gone
                live.stop()

    def _show(self, at_once: bool) -> None:
        now_s = time.monotonic()
        if self._due("power", POWER_S, now_s):
            self._power = _power()
        if self._live and (self._due("draw", DRAW_S, now_s) or at_once):
            with suppress(OSError):
                self._live.update(Screen(self._board(), f"{datetime.now():%H:%M:%S}"), refresh=True)
        if self._due("publish", PUBLISH_S, now_s):
            self._publish(self._board())
        if self._due("picture", PICTURE_S, now_s):
            leave_picture(self._recorder, self._folder)

    def _due(self, what: str, every_s: float, now_s: float) -> bool:
        if now_s < self._due_s[what]:
            return False
        self._due_s[what] = now_s + every_s
        return True

    def _board(self) -> Board:
        return Board(self._recorder.status(), self._desk.view(), self._recorder.rig.name, self._sitting.wearer, self._sitting.name,
                     os.getpid(), self._notebook.notes(), self._coach.advice if self._coach else (), self._power)

    def _publish(self, board: Board) -> None:
        self._recorder.publish(self._folder / FILE, board.status, **{CONSOLE: board.about()})

    def _summary(self) -> str:
        takes = self._desk.ledger.takes
        kept = [take for take in takes if take.counts]
        away = [take for take in takes if take.fate == "discarded"]
        if not takes:
            return "nothing was recorded"
        counted = f"{len(kept)} take{'s' * (len(kept) != 1)}, {sum(take.duration_s for take in kept):.0f} s"
        trash = f"; {len(away)} in {self._sitting.takes.trash}" if away and self._sitting.takes else ""
        return f"{counted} in {self._sitting.takes.session if self._sitting.takes else ''}{trash}"


def _power() -> str:
    """Battery and heat in a few words; in capitals what should be looked after."""
    known = [finding for finding in [*battery(), *heat()] if any(c.isdigit() for c in finding.value)]
    return " · ".join(f"{f.what if f.verdict == 'ok' else f.what.upper()} {f.value}" for f in known)
