"""The doctor's report for a tired person: a coloured table, what to do, and one line that says whether the day may begin."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from firsthand.capture.doctor.finding import VERDICTS, Finding, conclusion, worst

STYLE = {"ok": "green", "warn": "yellow", "bad": "bold red"}
SIGN = {"ok": "ok", "warn": "WARN", "bad": "BAD"}
"""Colour alone does not tell everybody."""


def show(findings: Sequence[Finding], console: Console, *, tried: bool) -> None:
    """Print it."""
    columns = ("", Column("looked at", no_wrap=True), "found", Column("wanted", no_wrap=True))
    table = Table(*columns, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for finding in findings:
        style = STYLE[finding.verdict]
        fine = finding.verdict == "ok"  # then it need not be read to the end; all of it is in the JSON
        value = Text(finding.value, "" if fine else style, no_wrap=fine, overflow="ellipsis" if fine else "fold")
        table.add_row(Text(SIGN[finding.verdict], style), Text(finding.what), value, Text(finding.wanted, "dim"))
    console.print(table)
    for finding in sorted((f for f in findings if f.advice), key=lambda f: VERDICTS.index(f.verdict), reverse=True):
        console.print(Text.assemble((f"{finding.what}: ", STYLE[finding.verdict]), finding.advice), soft_wrap=True)
    verdict = worst(findings)
    console.print(Text(conclusion(findings, tried=tried), f"bold {STYLE[verdict]}".replace("bold bold", "bold")), soft_wrap=True)
