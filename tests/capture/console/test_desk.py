"""The desk: presses and statuses in, orders and events out."""

from dataclasses import replace
from typing import Any

import pytest

from firsthand.capture.console.desk import ASK_S, PATIENCE_S, Desk
from firsthand.capture.console.orders import Begin, Discard, End, Event, Leave, Mark, Order
from firsthand.capture.console.plan import Plan
from firsthand.capture.controls.press import Action, Press
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.status import DeviceStatus, DiskStatus, Message, Status, StreamStatus, TakeStatus

THERE = (DeviceStatus("head", "running", True), DeviceStatus("glove", "running", True))
DISK = DiskStatus(50_000_000_000, 300.0, 5.0, 0.0)


class Table:
    """A desk and a recorder that does what it is told, on a clock of its own."""

    def __init__(self, **plan: Any) -> None:
        self.desk = Desk(Plan(**{"tasks": ("pour",), "countdown_s": 0.0, **plan}))
        self.status = Status(0, "ready", "", 0.0, THERE, (), DISK, (), ())
        self.now_s = 100.0
        self.done: list[Order] = []
        self.next = 0
        self.ends_at_once = True

    def step(self, seconds: float = 0.05) -> "Table":
        self.now_s += seconds
        self.desk.look(self.status, self.now_s)
        self._carry_out()
        return self

    def press(self, *actions: Action, text: str = "") -> "Table":
        for action in actions:
            self.desk.press(Press(action, "keyboard", 0, text))
            self._carry_out()
            self.step()
        return self

    def _carry_out(self) -> None:
        while orders := self.desk.orders():
            self.done += orders
            for order in orders:
                if isinstance(order, Begin):
                    folder = f"/session/{self.next:03d}"
                    self.next += 1
                    self.status = replace(self.status, state="recording", take=folder)
                    self.desk.began(folder, order.task, self.now_s)
                elif isinstance(order, End) and self.ends_at_once:
                    self.stop(order.why)

    def stop(self, why: str = "", state: Any = "finishing", seconds: float = 4.0) -> "Table":
        """The take is over."""
        take = TakeStatus(self.status.take, state, seconds, {}, 0, why)
        self.status = replace(self.status, state="ready", take="", takes=(*self.status.takes, take))
        return self

    def finish(self) -> "Table":
        """What was being finished is whole."""
        self.status = replace(self.status, takes=tuple(replace(t, state="finished") if t.state == "finishing" else t
                                                       for t in self.status.takes))
        return self.step()

    def device(self, name: str, state: Any, reason: str = "") -> "Table":
        devices = tuple(replace(d, state=state, reason=reason) if d.name == name else d for d in self.status.devices)
        self.status = replace(self.status, devices=devices)
        return self.step()

    def kinds(self) -> list[str]:
        return [order.kind for order in self.done if isinstance(order, Event)]

    def event(self, kind: str) -> Event:
        return next(order for order in reversed(self.done) if isinstance(order, Event) and order.kind == kind)

    def of(self, kind: type) -> list[Any]:
        return [order for order in self.done if isinstance(order, kind)]


def test_a_take_begins_and_ends_with_one_key_and_is_kept() -> None:
    table = Table().step()
    assert table.desk.phase == "ready" and table.event("ready").moment == "ready"
    table.press("toggle")
    assert table.of(Begin) == [Begin("pour")] and table.desk.phase == "recording" and table.event("started").moment == "start"
    table.press("toggle")
    assert table.of(End) == [End("")] and table.desk.phase == "ready" and table.event("stopping").moment == "stop"
    table.finish().press("toggle")
    assert table.of(Discard) == [] and [take.fate for take in table.desk.ledger.takes] == ["kept", "open"]


def test_the_next_take_begins_while_the_last_is_being_finished() -> None:
    table = Table().step().press("toggle", "toggle", "toggle")
    assert len(table.of(Begin)) == 2 and table.status.takes[0].state == "finishing"


def test_a_start_while_the_take_is_being_stopped_is_carried_out_after_it() -> None:
    table = Table().step().press("start")
    table.ends_at_once = False
    table.press("stop", "start")
    assert table.desk.phase == "stopping" and len(table.of(Begin)) == 1
    assert len(table.stop().step().of(Begin)) == 2


def test_one_press_begins_one_take_without_a_countdown_too() -> None:
    desk = Desk(Plan(("pour",), countdown_s=0.0))
    status = Status(0, "ready", "", 0.0, THERE, (), DISK, (), ())
    desk.look(status, 1.0)
    desk.press(Press("start", "keyboard", 0))
    desk.look(status, 1.1)
    assert sum(isinstance(order, Begin) for order in desk.orders()) == 1


def test_no_take_begins_before_every_required_device_is_there() -> None:
    table = Table()
    table.status = replace(table.status, devices=(THERE[0], replace(THERE[1], state="vanished", reason="no such port")))
    table.step().press("start")
    assert table.desk.phase == "waiting" and not table.of(Begin)
    assert "no such port" in table.event("refused").text and table.event("refused").moment == "refused"
    table.device("glove", "running").press("start")
    assert len(table.of(Begin)) == 1


def test_a_device_that_is_not_required_may_come_later() -> None:
    table = Table()
    table.status = replace(table.status, devices=(THERE[0], DeviceStatus("lamp", "opening", False)))
    assert table.step().desk.phase == "ready"


def test_the_countdown_ticks_each_second_and_then_begins() -> None:
    table = Table(countdown_s=3.0).step().press("start")
    for _ in range(70):
        table.step(0.05)
    assert [event.fields["left_s"] for event in table.of(Event) if event.kind == "countdown"] == [3, 2, 1]
    assert all(event.moment == "tick" for event in table.of(Event) if event.kind == "countdown")
    assert table.desk.phase == "recording"


@pytest.mark.parametrize("action", ["toggle", "stop", "discard"])
def test_a_press_in_the_countdown_calls_it_off(action: Action) -> None:
    table = Table(countdown_s=3.0).step().press("start").press(action)
    for _ in range(100):
        table.step()
    assert not table.of(Begin) and table.desk.phase == "ready" and "cancelled" in table.kinds()


def test_a_device_lost_in_the_countdown_calls_it_off() -> None:
    table = Table(countdown_s=3.0).step().press("start").device("glove", "vanished", "unplugged")
    assert table.desk.phase == "waiting" and "unplugged" in table.event("cancelled").text


def test_a_discarded_take_goes_to_the_trash_once_nobody_writes_to_it() -> None:
    table = Table().step().press("start", "stop", "discard")
    assert table.of(Discard) == []
    assert table.finish().of(Discard) == [Discard("/session/000")]
    assert table.press("discard").event("refused") and len(table.of(Discard)) == 1


def test_discarding_a_running_take_ends_it_first() -> None:
    table = Table().step().press("start", "discard")
    assert table.of(End) == [End("discarded")] and table.finish().of(Discard) == [Discard("/session/000")]


def test_redo_discards_and_begins_again_with_one_press() -> None:
    table = Table().step().press("start", "redo").step()
    assert len(table.of(Begin)) == 2 and table.finish().of(Discard) == [Discard("/session/000")]
    table.press("stop", "redo")
    assert len(table.of(Begin)) == 3 and table.finish().of(Discard)[1:] == [Discard("/session/001")]


def test_a_take_that_was_kept_cannot_be_discarded_by_a_stray_press() -> None:
    table = Table().step().press("start", "stop", "keep")
    assert table.event("kept").moment == "keep"
    assert table.finish().press("discard").of(Discard) == [] and table.event("refused").moment == "refused"


def test_takes_are_counted_and_the_next_task_comes_by_itself() -> None:
    table = Table(tasks=("pour", "fold"), episodes=2).step()
    table.press(*["toggle"] * 4)
    assert table.desk.ledger.task == "fold" and table.event("task").text == "next: fold"
    table.press("discard")
    assert table.desk.ledger.task == "pour" and table.finish().of(Discard) == [Discard("/session/001")]
    table.press(*["toggle"] * 6)
    assert table.desk.ledger.complete and table.event("complete").moment == "done" and table.desk.view().wanted == 2


def test_takes_of_an_earlier_run_count() -> None:
    table = Table(tasks=("pour", "fold"), episodes=2, before={"pour": 2, "fold": 1}).step()
    assert table.desk.ledger.task == "fold"
    assert table.press("toggle", "toggle").desk.ledger.complete


def test_the_task_changes_between_takes_only() -> None:
    table = Table(tasks=("pour", "fold")).step().press("next_task")
    assert table.press("start").of(Begin) == [Begin("fold")]
    assert table.press("next_task").event("refused") and table.press("stop", "previous_task").desk.ledger.task == "pour"


def test_a_marker_needs_a_running_take() -> None:
    table = Table().step().press("mark")
    assert table.of(Mark) == []
    assert table.press("start").press("mark", text="spilled").of(Mark) == [Mark("spilled")]
    assert table.event("marked").fields["marker"] == "spilled"


def test_q_asks_once_while_a_take_runs() -> None:
    table = Table().step().press("start", "quit")
    assert table.desk.phase == "recording" and table.desk.view().asking and table.event("asked").moment == "ask"
    table.press("quit")
    assert table.of(End) and not table.of(Leave)
    assert table.finish().of(Leave) and table.desk.faults() == []


def test_the_question_is_forgotten_after_a_while_or_another_key() -> None:
    table = Table().step().press("start", "quit").step(ASK_S + 1).press("quit")
    assert not table.of(End)
    assert not table.press("mark", "quit").of(End)


def test_q_between_takes_ends_at_once_but_after_what_is_being_finished() -> None:
    table = Table().step().press("start", "stop", "quit")
    assert not table.of(Leave) and table.desk.view().finishing == 1
    assert table.finish().of(Leave)


def test_a_signal_ends_the_take_and_keeps_it() -> None:
    table = Table().step().press("start")
    table.desk.leave("the terminal was closed")
    table._carry_out()
    table.step().finish()
    assert table.of(End) == [End("the terminal was closed")] and table.of(Leave) and table.desk.ledger.takes[0].counts


def test_a_device_lost_in_a_take_is_heard_and_the_take_goes_on() -> None:
    table = Table().step().press("start").device("glove", "vanished", "unplugged")
    assert table.event("device").moment == "lost" and table.desk.phase == "recording" and table.desk.view().lost == ("glove",)
    table.device("glove", "running")
    assert table.event("device").moment == "back" and table.desk.view().lost == ()
    table.press("stop").finish()
    assert table.desk.faults() == ["take 000 was recorded without glove for a while: unplugged"]


def test_a_fault_in_a_discarded_take_is_none() -> None:
    table = Table().step().press("start").device("glove", "vanished", "unplugged").device("glove", "running").press("discard").finish()
    assert table.desk.faults() == []


def test_a_take_that_the_recorder_ended_is_told_with_its_reason() -> None:
    table = Table().step().press("start").stop("glove was lost").step()
    assert table.event("stopped").moment == "lost" and "glove was lost" in table.event("stopped").text


def test_a_take_cut_by_its_writer_s_death_goes_on_and_counts_once() -> None:
    table = Table(episodes=1).step().press("start")
    cut = TakeStatus("/session/000", "interrupted", 2.0, {}, 0, "ended by SIGKILL")
    table.status = replace(table.status, take="/session/001", takes=(cut,))
    table.step()
    assert table.desk.phase == "recording" and table.desk.view().take == "001" and table.desk.ledger.done("pour") == 1
    table.status = replace(table.status, takes=(replace(cut, state="finished"),))
    assert table.step().desk.ledger.done("pour") == 1 and "cut in two" in table.desk.faults()[0]
    table.press("discard").finish()
    assert table.of(Discard) == [Discard("/session/000"), Discard("/session/001")]


def test_a_disk_that_refuses_is_told_and_not_tried_again_by_itself() -> None:
    table = Table(auto=True, duration_s=60.0).step()
    table.stop("no space left", "interrupted").step().step()
    assert len(table.of(Begin)) == 1 and table.event("interrupted").level == "error" and table.of(Leave)
    assert table.desk.faults() == ["take 000 was interrupted: no space left"]


def test_a_take_ends_while_there_is_room_to_finish_it() -> None:
    table = Table().step().press("start")
    stream = StreamStatus("head", "head", 30, 30, 0, 0, 0, 0.0, None, size_bps=10e6)
    table.status = replace(table.status, streams=(stream,), recorded_s=100.0, disk=replace(DISK, free_bytes=1_300_000_000))
    assert not table.step().of(End)
    table.status = replace(table.status, disk=replace(DISK, free_bytes=1_150_000_000))
    assert table.step().of(End) == [End("the disk is nearly full")] and "nearly full" in table.desk.faults()[0]


def test_a_full_disk_lets_no_take_begin() -> None:
    table = Table()
    table.status = replace(table.status, disk=replace(DISK, free_bytes=1_000_000))
    assert not table.step().press("start").of(Begin) and "disk is full" in table.event("refused").text


def test_by_itself_it_records_all_takes_and_ends() -> None:
    table = Table(tasks=("pour", "fold"), episodes=2, auto=True, duration_s=5.0)
    for _ in range(1000):
        table.step()
        if table.status.takes and not table.status.take:
            table.finish()
    assert [order.task for order in table.of(Begin)] == ["pour", "pour", "fold", "fold"] and len(table.of(Leave)) == 1
    assert table.desk.faults() == []


def test_by_itself_it_gives_up_on_a_device_that_never_comes() -> None:
    table = Table(auto=True, duration_s=5.0)
    table.status = replace(table.status, devices=(replace(THERE[0], state="vanished", reason="no such port"),))
    table.step(1.0).step(PATIENCE_S - 1)
    assert not table.of(Leave)
    assert table.step(2.0).of(Leave) and "no such port" in table.desk.faults()[0]


def test_by_itself_it_waits_for_a_device_that_was_there() -> None:
    table = Table(auto=True, duration_s=5.0).step().device("glove", "vanished", "unplugged")
    for _ in range(20):
        table.step(10.0)
    assert not table.of(Leave) and len(table.of(Begin)) == 1
    assert len(table.device("glove", "running").of(Begin)) == 2


def test_a_countdown_called_off_stops_what_goes_by_itself_until_the_next_start() -> None:
    table = Table(auto=True, duration_s=5.0, countdown_s=2.0).step().press("stop")
    for _ in range(10):
        table.step(1.0)
    assert not table.of(Begin)
    assert table.press("start").step(2.1).of(Begin)


def test_a_recorder_that_refuses_to_begin_is_told() -> None:
    table = Table().step()
    table.desk.refused("head is not there")
    assert table.step().event("refused").level == "error" and table.desk.phase == "ready"


def test_messages_are_told_once() -> None:
    table = Table()
    table.status = replace(table.status, messages=(Message("warn", "the writer does not answer", 5),))
    table.step().step()
    assert table.kinds().count("message") == 1 and table.event("message").moment == "warn"


def test_a_plan_without_a_task_or_an_end_is_refused() -> None:
    with pytest.raises(FirsthandError, match="--task"):
        Plan(()).check()
    with pytest.raises(FirsthandError, match="--duration"):
        Plan(("pour",), auto=True).check()
