"""What every command shares: the application, its groups, and the types of options that several take."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from gandem import strict_json

app = App(
    name="gandem",
    help="Bring your data; get a generator that is trained and ready to use.",
    version=lambda: metadata.version("gandem"),
    default_parameter=Parameter(negative=()),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)

DATA = Group("What to learn from")
MACHINE = Group("Machine")
OUTPUT = Group("Output")

Budget = Annotated[str, Parameter(allow_leading_hyphen=True)]
Settings = Annotated[list[str] | None, Parameter(name="--set")]
Size = Annotated[str | None, Parameter(group=DATA)]
Fit = Annotated[Literal["crop", "pad", "stretch"] | None, Parameter(group=DATA)]
Mirror = Annotated[bool | None, Parameter(group=DATA, negative="--no-mirror")]
Turn = Annotated[bool | None, Parameter(group=DATA, negative="--no-turn")]
Device = Annotated[str, Parameter(group=MACHINE)]
Devices = Annotated[int, Parameter(group=MACHINE)]
Precision = Annotated[Literal["auto", "fp32", "bf16"] | None, Parameter(group=MACHINE)]
Json = Annotated[bool, Parameter(group=OUTPUT, show_default=False)]
Quiet = Annotated[bool, Parameter(group=OUTPUT, show_default=False)]
Force = Annotated[bool, Parameter(group=OUTPUT, show_default=False)]


def report(result: dict[str, Any], json: bool) -> None:
    """Print a result as JSON where it was asked for; without, the console has told the story already."""
    if json and is_main():
        print(strict_json.dumps(result, indent=2))


def is_main() -> bool:
    """Whether this process is the one that speaks."""
    return os.environ.get("RANK", "0") == "0"
