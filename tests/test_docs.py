"""The documents name what there is: every command, option, format, robot and extra."""

import re
import tomllib
from pathlib import Path

import click
import pytest
import typer

from firsthand.cli import app
from firsthand.datasets.formats import FORMATS
from firsthand.retarget.robot import robot_names

ROOT = Path(__file__).parent.parent
README, CLI = (ROOT / "README.md").read_text(), (ROOT / "docs" / "cli.md").read_text()


def commands(group: click.Group, prefix: str = "firsthand") -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        path = f"{prefix} {name}"
        found += commands(command, path) if hasattr(command, "commands") else [(path, command)]
    return found


COMMANDS = commands(typer.main.get_group(app))


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_each_command_and_option_is_documented(name: str, command: click.Command) -> None:
    assert f"`{name}" in README and f"`{name}" in CLI, f"{name} is missing from README.md or docs/cli.md"
    row = next(line for line in CLI.splitlines() if line.startswith(f"| `{name}"))
    for parameter in command.params:
        spellings = [*parameter.opts, *parameter.secondary_opts]
        if parameter.param_type_name == "option" and parameter.name != "help":
            shown = any(f"{spelling}`" in row or f"{spelling} " in row for spelling in spellings)
            assert shown, f"{name} {spellings} is missing from docs/cli.md"


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_its_page(name: str) -> None:
    assert f"`{name}`" in README and f"`{name}`" in CLI and (ROOT / "docs" / "formats" / f"{name}.md").exists()


@pytest.mark.parametrize("name", robot_names())
def test_each_robot_is_named(name: str) -> None:
    assert f"`{name}`" in README


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"


def test_requirements_meet_the_extras() -> None:
    """Each dependency named in pyproject.toml is pinned in requirements.txt."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = {re.split(r"[<>=\[]", dependency)[0].lower() for group in groups for dependency in group}
    pinned = {line.split("==")[0].lower() for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line}
    assert wanted - pinned - {"firsthand"} == set()
