"""Evaluates jq for a worker that must not freeze, leak or crash: a program of its own, `python -I`.

A request is one frame on standard input, an answer one frame on standard output; a frame is its length in
four bytes, little-endian, and then its content. A request is the CPU time that it may take in milliseconds
(four bytes), the length of a JSON list of programs (four bytes), that list, and the JSON text that all of
them read. An answer is, for each program, one letter, four bytes of length, and that much text: "=" and the
JSON that the program gave, or "!" and why it gave none. What takes more time or memory ends the process.

jq keeps the digits of a number that it only passes on, and computes with doubles. `tojson` writes those
digits, so that integers of 64 bits come out as they went in; a number beyond ±(2^53-1) that jq computed may
have been rounded, and is refused.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import struct
import sys
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import jq

MEMORY_BYTES = 384 << 20
RESULT_BYTES = 1 << 20
_KEPT_PROGRAMS = 512
_MAY_BE_LARGE = re.compile("[0-9]{16}|[0-9][eE][+]").search

# What reads the environment, a file, a clock or the standard input, or ends the program. A program
# that is embedded after this cannot import: jq allows that only at the very beginning.
_GUARD = """
def env: {}; def now: error("now is not available"); def input: error("input is not available");
def inputs: error("inputs is not available"); def debug: .; def debug(m): .; def stderr: .;
def input_filename: null; def input_line_number: 0; def halt: error("halt is not available");
def halt_error: error("halt_error is not available"); def halt_error(c): error("halt_error is not available");
def localtime: gmtime; def strflocaltime(f): strftime(f); def get_search_list: [];
def modulemeta: error("modulemeta is not available"); def get_jq_origin: null; def get_prog_origin: null;
{} as $ENV | {} as $__prog_args |
"""

_GIVE = "tojson"
# jq writes `e` in a number that it computed, and `E` in one that it read. Of plain digits: jq compares
# numbers that it read by all their digits, and others as doubles. A double is the same as a number a quarter
# away from what is written for it, on one side at least.
_GIVE_COMPUTED = r"""
def outwards: . + ".25";
def inwards: capture("^(?<head>.*)(?<last>[1-9])(?<zeros>0*)$")
  | .head + (.last | tonumber - 1 | tostring) + (.zeros | gsub("0"; "9")) + ".75";
def computed: . as $number | tojson
  | if index("e") then true elif index("E") or index(".") then false
    else $number == (outwards | fromjson) or $number == (inwards | fromjson) end;
first(.. | numbers | select(. > 9007199254740991 or . < -9007199254740991) | select(computed) | tojson)
"""


class Programs:
    """Compiled programs, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def get(self, text: str, names: list[str], give: str) -> Any:
        """Compile an expression that may use these variables; `give` makes of its result what is given.

        Raises:
            ValueError: it is not jq.
        """
        key = f"{give}|{' '.join(names)}|{text}"
        program = self._kept.get(key)
        if program is None:
            variables = " ".join(f".v.{name} as ${name} |" for name in names)
            # The line break ends a comment, if the expression ends in one.
            program = jq.compile(f"{_GUARD} {variables} .i | ({text}\n) | {give}")
            self._kept[key] = program
            if len(self._kept) > _KEPT_PROGRAMS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return program


def _evaluate(programs: Programs, text: str, names: list[str], scope: str) -> tuple[bytes, bytes]:
    try:
        results = iter(programs.get(text, names, _GIVE).input_text(scope))
        first = next(results, "null")
        if next(results, results) is not results:
            return b"!", b"it gives more than one result; collect them in [\xe2\x80\xa6]"
        if _MAY_BE_LARGE(first):
            for computed in programs.get(text, names, _GIVE_COMPUTED).input_text(scope):
                return b"!", _rounded(computed).encode()
        value = json.loads(first, parse_float=_fraction, parse_int=_integer)
    except ValueError as error:
        return b"!", _sentence(str(error)).encode(errors="replace")
    except RecursionError:
        return b"!", b"its result is nested too deeply"
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if len(content) > RESULT_BYTES:
        return b"!", f"its result is larger than {RESULT_BYTES} bytes".encode()
    return b"=", content


def _integer(literal: str) -> int:
    if len(literal) <= 20 and -(1 << 63) <= (value := int(literal)) < 1 << 64:
        return value
    raise ValueError("its result has an integer beyond 64 bits; use a string")


def _fraction(literal: str) -> int | float:
    number = float(literal)
    if math.isinf(number):
        raise ValueError("its result has a number that no double holds")
    if not number.is_integer() or abs(number) >= 1e20:
        return number
    value = int(Decimal(literal))
    return value if -(1 << 63) <= value < 1 << 64 else number


def _rounded(number: str) -> str:
    return (
        f"its result has {number}, which jq computed, and beyond ±(2^53-1) it rounds; "
        "pass such a number on as it is, or use strings"
    )


def _sentence(problem: str) -> str:
    line = problem.partition("\n")[0].removeprefix("jq: error: ")
    return line.partition(" at <top-level>")[0][:500]


def _read(count: int) -> bytes:
    content = sys.stdin.buffer.read(count)
    if len(content) < count:
        os._exit(0)  # The worker has gone.
    return content


def _limit_once() -> None:
    if sys.platform == "linux":  # Elsewhere the kernel does not keep this limit.
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(kind, (0, 0))
    # Nobody gives the keyboard's signals a meaning here; the timer's keep theirs, which is to kill,
    # and the kernel does that whatever jq is doing.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir("/")


def _serve() -> None:
    programs = Programs()
    while True:
        (length,) = struct.unpack("<I", _read(4))
        content = _read(length)
        milliseconds, size = struct.unpack_from("<II", content)
        asked = json.loads(content[8 : 8 + size])
        scope = content[8 + size :].decode(errors="replace")
        signal.setitimer(signal.ITIMER_PROF, milliseconds / 1000)
        answers = [_evaluate(programs, text, names, scope) for text, names in asked]
        signal.setitimer(signal.ITIMER_PROF, 0)
        parts = [mark + struct.pack("<I", len(text)) + text for mark, text in answers]
        sys.stdout.buffer.write(struct.pack("<I", sum(map(len, parts))) + b"".join(parts))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _limit_once()
    _serve()
