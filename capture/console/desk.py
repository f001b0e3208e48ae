"""The collector's desk: presses and the recorder's status in, orders and events out. No device, no clock, no terminal in here."""

import math
from typing import Any

from firsthand.capture.console.ledger import Ledger, Take, count_gaps
from firsthand.capture.console.orders import Begin, Discard, End, Event, Leave, Level, Mark, Moment, Order
from firsthand.capture.console.plan import Plan
from firsthand.capture.console.view import DeskView, Phase
from firsthand.capture.console.watch import Watch, blocked, hopeless, runs_out
from firsthand.capture.controls.press import Action, Press
from firsthand.capture.live.status import Status, TakeStatus

ASK_S = 5.0
"""So long a first q waits for the second."""
PATIENCE_S = 60.0
"""So long an unattended recorder waits for its devices before its first take."""


class Desk:
    """Call `look` with every status and `press` with every press; after each carry out what `orders` gives, until it is `Leave`."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.ledger = plan, Ledger(plan)
        self.phase: Phase = "waiting"
        self._orders: list[Order] = []
        self._faults: list[str] = []
        self._watch = Watch()
        self._status: Status | None = None
        self._now_s = 0.0
        self._first_s: float | None = None
        """When it looked first."""
        self._began_s = 0.0
        """When the take, or its countdown, began."""
        self._ticked = 0
        self._blocked = "the devices are being opened"
        self._take: Take | None = None
        self._ended_by_us = self._again = self._leaving = self._help = False
        self._by_itself = plan.auto
        self._ask_until_s = -math.inf

    def orders(self) -> list[Order]:
        """What is to be done now, in order; each is given once."""
        given, self._orders = self._orders, []
        return given

    @property
    def leaving(self) -> bool:
        """Whether the session is being ended."""
        return self._leaving

    def faults(self) -> list[str]:
        """What went wrong with devices, disk and the takes that stay, a sentence each."""
        return [*self._faults, *self.ledger.faults()]

    # what the recorder says

    def look(self, status: Status, now_s: float) -> None:
        """Take note of the recorder's status at a time of a monotonic clock."""
        self._status, self._now_s = status, now_s
        self._first_s = now_s if self._first_s is None else self._first_s
        events = self._watch.look(status)
        self._orders += events
        if self._take:
            lost = {e.fields["device"]: e.fields["reason"] for e in events if e.moment == "lost" and e.kind == "device"}
            self._take.lost.update(lost)
            if status.take != self._take.folder:
                self._moved_on(self._take, status)
        for told in status.takes:
            self._see(told)
        self._blocked = blocked(status)
        self._go_on(status)

    def began(self, folder: str, task: str, now_s: float) -> None:
        """The recorder began the take that was ordered."""
        self._take = self.ledger.add(folder, task)
        self.phase, self._began_s, self._ended_by_us = "recording", now_s, False
        self._say("started", f"{self._take.name} is recording: {task}", "start", take=folder, task=task)

    def refused(self, reason: str) -> None:
        """The recorder did not begin the take that was ordered."""
        self.phase = "waiting"
        if self._by_itself:
            self._fault("refused", reason)
            self.leave(reason)
        else:
            self._say("refused", reason, "refused", level="error")

    def _moved_on(self, take: Take, status: Status) -> None:
        """The take is over, whoever ended it; or its writer died and it goes on in another folder."""
        told = next((t for t in status.takes if t.path == take.folder), None)
        if status.take:
            self._take = self.ledger.add(status.take, take.task)
            take.goes_on_as = self._take.name
            self._say("goes-on", f"{take.name} goes on as {self._take.name}", "warn", level="warn", take=status.take, task=take.task)
            return
        self._take, self.phase = None, "leaving" if self._leaving else "waiting"
        if told and told.state in ("interrupted", "failed"):
            self._see(told)
        else:
            take.state, take.duration_s, take.reason = "finishing", told.duration_s if told else 0.0, told.reason if told else ""
            why = f": {take.reason}" if take.reason else ""
            self._say("stopped", f"{take.name} stopped after {take.duration_s:.1f} s{why}", None if self._ended_by_us else "lost",
                      level="info" if self._ended_by_us else "warn", take=take.folder, duration_s=round(take.duration_s, 3),
                      reason=take.reason)
        if take.fate != "discarded" and self.ledger.go_on() and not self._leaving:
            self._say("task", f"next: {self.ledger.task}", task=self.ledger.task)
        if self.ledger.complete and not self._leaving:
            self._say("complete", "every task has its takes", "done")

    def _see(self, told: TakeStatus) -> None:
        take = self.ledger.find(told.path)
        if take is None or take.state == told.state:
            return
        take.state, take.gaps, take.duration_s, take.reason = told.state, told.gaps, told.duration_s, told.reason or take.reason
        fields: dict[str, Any] = {"take": told.path, "duration_s": round(told.duration_s, 3), "samples": dict(told.samples),
                                  "gaps": told.gaps}
        if told.state == "finished":
            self._say("finished", f"{take.name} is whole: {told.duration_s:.1f} s, {count_gaps(told.gaps)}", **fields)
        elif told.state in ("interrupted", "failed"):
            self._say("interrupted", f"{take.name} was interrupted: {told.reason}", "error", level="error", reason=told.reason, **fields)
        if take.fate == "discarded" and take.settled:
            self._orders.append(Discard(take.folder))

    # what goes on by itself

    def _go_on(self, status: Status) -> None:
        if self.phase == "recording":
            if self.plan.duration_s is not None and self._now_s - self._began_s >= self.plan.duration_s:
                self._end("")
            elif runs_out(status):
                self._fault("disk", "the disk is nearly full: the take was ended while there was room to finish it")
                self._end("the disk is nearly full")
        elif self.phase == "countdown":
            self._count_down()
        elif self.phase in ("waiting", "ready"):
            self._wait(status)
        if self.phase == "leaving" and not status.take and all(take.state != "finishing" for take in self.ledger.takes):
            self.phase = "ended"
            self._orders.append(Leave())

    def _wait(self, status: Status) -> None:
        if self._blocked:
            if self.phase == "ready" or self._again:
                missing = bool(status.missing_devices)  # the recorder's own message tells of those
                self._say("waiting", "" if missing else self._blocked, None if missing else "error", level="warn", reason=self._blocked)
            self.phase, self._again = "waiting", False
            first = not self.ledger.takes and self._first_s is not None and self._now_s - self._first_s > PATIENCE_S
            if self._by_itself and (first or hopeless(status)):
                self._fault("gave-up", f"recording by itself was given up: {self._blocked}")
                self.leave(self._blocked)
            return
        if self.phase == "waiting":
            self.phase = "ready"
            if not self._again and not self._by_itself:
                self._say("ready", f"ready for {self.ledger.task}", "ready", task=self.ledger.task)
        if self._by_itself and self.ledger.complete:
            self.leave("every task has its takes")
        elif self._by_itself and self.ledger.takes and self.ledger.takes[-1].state == "interrupted":
            self.leave("the last take was interrupted")
        elif self._again or self._by_itself:
            self._again = False
            self._start()

    def _count_down(self) -> None:
        left_s = self.plan.countdown_s - (self._now_s - self._began_s)
        if self._blocked:
            self.phase = "waiting"
            self._say("cancelled", f"not started: {self._blocked}", "refused", level="warn")
        elif left_s <= 0:
            self.phase = "starting"
            self._orders.append(Begin(self.ledger.task))
        elif (tick := math.ceil(left_s)) != self._ticked:
            self._ticked = tick
            self._say("countdown", "", "tick", left_s=tick)

    # what a person wants

    def press(self, press: Press) -> None:
        """One press."""
        action: Action = press.action
        if self.phase in ("leaving", "ended"):
            return
        if action != "quit":
            self._ask_until_s = -math.inf
        if action == "toggle":
            action = "stop" if self.phase in ("recording", "countdown") else "start"
        match action:
            case "start":
                self._by_itself = self.plan.auto
                self._start()
            case "stop" | "keep" if self.phase == "recording":
                self._end("")
            case "stop" | "discard" | "redo" if self.phase == "countdown":
                self.phase, self._by_itself = "waiting", False
                self._say("cancelled", "not started", "stop")
            case "stop":
                self._refuse("nothing is being recorded")
            case "keep":
                self._keep()
            case "discard" | "redo":
                self._discard(again=action == "redo")
            case "mark" if self.phase == "recording":
                self._orders.append(Mark(press.text))
                self._say("marked", f"marker{f': {press.text}' if press.text else ''}", "mark", marker=press.text)
            case "mark":
                self._refuse("a marker needs a take that is running")
            case "next_task" | "previous_task":
                self._turn(1 if action == "next_task" else -1)
            case "quit":
                self._quit()
            case "help":
                self._help = not self._help

    def leave(self, why: str) -> None:
        """End the session now; a take that runs is ended and kept."""
        if not self._leaving:
            self._leaving, self._again = True, False
            self._say("leaving", f"ending: {why}" if why else "ending", reason=why)
            if not self.ledger.takes and self._blocked and not self._faults:
                self._faults.append(f"nothing was recorded: {self._blocked}")
            if self.phase == "recording":
                self._end(why)
        if self.phase not in ("stopping", "ended"):
            self.phase = "leaving"

    def _start(self) -> None:
        if self.phase == "recording":
            self._refuse("a take is running already")
        elif self.phase == "stopping":
            self._again = True
        elif self._blocked:
            self._refuse(f"not yet: {self._blocked}")
        elif self.phase in ("waiting", "ready"):
            if (last := self.ledger.last()) is not None:
                last.fate = "kept"
            self.phase, self._began_s, self._ticked = "countdown", self._now_s, 0
            self._count_down()

    def _end(self, why: str) -> None:
        self.phase, self._ended_by_us = "stopping", True
        self._orders.append(End(why))
        self._say("stopping", "", "stop")

    def _keep(self) -> None:
        if (last := self.ledger.last()) is None or self.phase == "countdown":
            self._refuse("there is no take to keep")
            return
        last.fate = "kept"
        self._say("kept", f"{last.name} is kept", "keep", take=last.folder)

    def _discard(self, again: bool) -> None:
        last = self.ledger.last()
        if last is None:
            self._refuse("there is no take to discard: what was kept stays")
            return
        if self.phase == "recording":
            self._end("to be done again" if again else "discarded")
        self._say("discarded", f"{last.name} goes to the trash{'; once more' if again else ''}", "discard", take=last.folder)
        self._orders += [Discard(take.folder) for take in self.ledger.discard(last)]
        if again and self.phase == "stopping":
            self._again = True
        elif again:
            self._start()

    def _turn(self, by: int) -> None:
        if self.phase not in ("waiting", "ready"):
            self._refuse("the task can change between takes only")
        elif not self.ledger.step(by):
            self._refuse("there is only one task")
        else:
            self._say("task", f"task: {self.ledger.task}", "keep", task=self.ledger.task)

    def _quit(self) -> None:
        if self.phase == "recording" and self._now_s > self._ask_until_s:
            self._ask_until_s = self._now_s + ASK_S
            self._say("asked", "a take is running: press q again to keep it and end the session", "ask", level="warn")
        else:
            self.leave("")

    def _refuse(self, why: str) -> None:
        self._say("refused", why, "refused", level="warn")

    def _fault(self, kind: str, text: str) -> None:
        self._faults.append(text)
        self._say(kind, text, "error", level="error")

    def _say(self, kind: str, text: str, moment: Moment | None = None, *, level: Level = "info", **fields: Any) -> None:
        self._orders.append(Event(kind, text, level, moment, fields))

    def view(self) -> DeskView:
        """The desk as it is now, to be shown."""
        passed_s, take = self._now_s - self._began_s, self._take
        limit_s = {"countdown": self.plan.countdown_s, "recording": self.plan.duration_s}.get(self.phase)
        past = next((t for t in reversed(self.ledger.takes) if t is not take), None)
        task = take.task if take else self.ledger.task
        return DeskView(
            phase=self.phase, blocked=self._blocked, lost=self._watch.lost, task=task, task_number=self.plan.tasks.index(task) + 1,
            tasks=len(self.plan.tasks), take=take.name if take else "", done=self.ledger.done(task), wanted=self.plan.episodes,
            complete=self.ledger.complete, last=past.became if past else "",
            finishing=sum(t.state == "finishing" for t in self.ledger.takes),
            recorded_s=passed_s if self.phase == "recording" else self._status.recorded_s if self._status else 0.0,
            left_s=None if limit_s is None else max(limit_s - passed_s, 0.0), asking=self._now_s <= self._ask_until_s, help=self._help,
        )
