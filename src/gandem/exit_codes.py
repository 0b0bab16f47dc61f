"""What a command ends with: the exit code of an error, and the one line that says what can be done."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback

from cyclopts import CycloptsError, UnknownOptionError, UnusedCliTokensError

from gandem.errors import GandemError, Interrupted


def explain(error: BaseException) -> int:
    """Print one line that says what went wrong and return the exit code that belongs to it."""
    if os.environ.get("GANDEM_DEBUG") == "1":
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):  # `gandem inspect x | head`: nobody listens any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, Interrupted):
        say(str(error))
        return 143 if error.signal == "SIGTERM" else 130
    if isinstance(error, KeyboardInterrupt):
        say("stopped")
        return 130
    message = _advice(error)
    if message is None:
        what = f"{type(error).__name__}: {error}"
        say(f"error: {what}; this is a bug in gandem, please report it (GANDEM_DEBUG=1 shows where)", alone=True)
        return 1
    # What is wrong with the command is wrong in every process; a full memory or disk may be that of one.
    say(f"error: {message}", alone=not isinstance(error, CycloptsError | GandemError))
    return 2


def _advice(error: BaseException) -> str | None:
    """Return what to tell about an error that the caller can mend, None for a bug."""
    if isinstance(error, CycloptsError):
        return _about_the_command(error)
    if isinstance(error, GandemError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "the memory is full; try a smaller --count, --size or training.batch, or --set network.width=64"
    if not isinstance(error, OSError):
        return None
    place = error.filename or "the output"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full at {place}; free some space, then resume the run or try again"
    if error.errno == errno.EROFS:
        return f"{place} lies on a read-only file system; choose another place"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission for {place}; change its permissions or choose another place"
    return None


def _about_the_command(error: CycloptsError) -> str:
    """Return what is wrong with the words of a command."""
    message, key = str(error), ""
    if isinstance(error, UnusedCliTokensError):
        words = error.unused_tokens or []
        message = f"{' '.join(words)}: more than this command takes (--help shows what it does)"
        key = words[0] if words and "=" in words[0] else ""
    elif isinstance(error, UnknownOptionError) and "." in (error.token.keyword or ""):
        key = f"{error.token.keyword}={error.token.value or 'VALUE'}".lstrip("-")
    return f"{message.rstrip('.')}; a key of the recipe is changed with --set {key}" if key else message


def say(message: str, alone: bool = False) -> None:
    """Print one line to stderr, once per machine when several processes train together; alone: whichever says it."""
    rank = int(os.environ.get("RANK", "0"))
    if alone or os.environ.get("LOCAL_RANK", "0") == "0":
        who = f"gandem, process {rank}:" if alone and rank else "gandem:"
        print(who, re.sub(r"\s+", " ", message).strip(), file=sys.stderr)
