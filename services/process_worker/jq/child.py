"""The program that evaluates jq, `python -I`, for a worker that must not freeze, leak or crash.

A request is one frame on standard input, an answer one frame on standard output; a frame is its length in
four bytes, little-endian, and then its content. A request is the CPU time that it may take in milliseconds
(four bytes), the length of a JSON list of programs (four bytes), that list, and the JSON text that all of
them read. An answer is, for each program, one letter, four bytes of length, and that much text: "=" and the
JSON that the program gave, or "!" and the error. Taking more time or memory ends the process.

jq keeps the digits of a number that it only passes on, and computes with doubles. `tojson` writes those
digits, so that integers of 64 bits come out as they went in. Nothing is computed with an integer beyond
±(2^53-1), and none that was computed is given: it may have been rounded. Beyond 64 bits numbers are doubles.
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
_MAY_BE_LARGE = re.compile("[0-9]{16}|[0-9][eE][+]?[0-9]").search
_SURE_DIGITS = 18
LARGE, DOUBLES = (1 << 53) - 1, 1 << 64
_OPERATORS = {"plus": "+", "minus": "-", "multiply": "*", "divide": "/", "mod": "%"}

# Functions that read the environment, a file, a clock or the standard input, or end the program. A program
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

# jq compiles operators to calls of these names. They cost time, so that they stand only before what is large:
# up to where 2^64-1 is rounded to. Beyond that, numbers are doubles anyway.
_EXACTLY = f"""
def _large: type == "number" and (. > {LARGE} and . <= {DOUBLES} or . < -{LARGE} and . >= -{DOUBLES});
def _inexact($number):
  error("jq computes with doubles, and \\($number) is beyond ±(2^53-1): use its digits, as a string");
{
    "".join(
        f"def _double{name}($a; $b): $a {operator} $b; def _{name}(a; b): b as $b | a as $a"
        f" | if $a | _large then _inexact($a) elif $b | _large then _inexact($b)"
        f" else _double{name}($a; $b) end;"
        for name, operator in _OPERATORS.items()
    )
}
def add: reduce .[] as $each (null; . + $each); def add(f): reduce f as $each (null; . + $each);
"""

_GIVE = "tojson"
_GIVE_COMPUTED = """. as $__result
| first($__near[] | . as [$path, $near] | $__result | getpath($path) | select(. == $near) | tojson)"""


class Programs:
    """The cache of compiled programs."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Any] = OrderedDict()

    def get(self, text: str, names: list[str], give: str, *, large: bool) -> Any:
        """Compile an expression that may use these variables; `give` turns its result into the output.

        If it is `large`, it computes with no integer beyond ±(2^53-1).

        Raises:
            ValueError: it is not jq.
        """
        guard = _GUARD + (_EXACTLY if large else "")
        key = f"{large}|{give}|{' '.join(names)}|{text}"
        program = self._kept.get(key)
        if program is None:
            variables = ".n as $__near | " + " ".join(f".v.{name} as ${name} |" for name in names)
            # The line break ends a comment, if the expression ends in one.
            program = jq.compile(f"{guard} {variables} .i | ({text}\n) | {give}")
            self._kept[key] = program
            if len(self._kept) > _KEPT_PROGRAMS:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return program


def _evaluate(programs: Programs, text: str, names: list[str], scope: str) -> tuple[bytes, bytes]:
    large = bool(_MAY_BE_LARGE(scope) or _MAY_BE_LARGE(text))
    try:
        results = iter(programs.get(text, names, _GIVE, large=large).input_text(scope))
        first = next(results, "null")
        if next(results, results) is not results:
            return b"!", b"it gives more than one result; collect them in [\xe2\x80\xa6]"
        value = json.loads(first, parse_float=_fraction, parse_int=_integer)
        if _MAY_BE_LARGE(first) and (near := _near_large(value)):
            again = f'{{"n":[{",".join(near)}],{scope[1:]}'
            for computed in programs.get(text, names, _GIVE_COMPUTED, large=large).input_text(again):
                return b"!", _rounded(computed).encode()
    except ValueError as error:
        return b"!", _sentence(str(error)).encode(errors="replace")
    except RecursionError:
        return b"!", b"its result is nested too deeply"
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    if len(content) > RESULT_BYTES:
        return b"!", f"its result is larger than {RESULT_BYTES} bytes".encode()
    return b"=", content


def _integer(literal: str) -> int | float:
    if len(literal) <= _SURE_DIGITS:
        return int(literal)
    number, value = float(literal), Decimal(literal)
    if -(1 << 63) <= value < 1 << 64:
        return int(value)
    if value == Decimal(repr(number)):
        return number  # Computed, and a double.
    raise ValueError("its result has an integer beyond 64 bits; use a string")


def _fraction(literal: str) -> int | float:
    number, value = float(literal), Decimal(literal)
    if math.isinf(number):
        raise ValueError("its result has a number that no double holds")
    if number.is_integer() and -(1 << 63) <= value < 1 << 64:
        return int(value)
    return number


def _near_large(value: Any) -> list[str]:
    """The path of each large number, and a number that rounds to the same double, as JSON.

    jq compares numbers that it read by all their digits, but one that it computed as a double: only that one
    is the same as its neighbour.
    """
    found: list[str] = []
    todo: list[tuple[Any, tuple[str | int, ...]]] = [(value, ())]
    while todo:
        part, path = todo.pop()
        if isinstance(part, dict):
            todo += [(member, (*path, key)) for key, member in part.items()]
        elif isinstance(part, list):
            todo += [(member, (*path, at)) for at, member in enumerate(part)]
        elif isinstance(part, int | float) and LARGE < abs(part) <= DOUBLES:
            written = part if isinstance(part, int) else int(Decimal(repr(part)))
            double = int(float(written))
            near = f"{double}.25" if double == written else f"{double}"
            found.append(f"[{json.dumps(path)},{near}]")
    return found


def _rounded(number: str) -> str:
    return f"its result has {number}, which jq computed with doubles, and that is beyond ±(2^53-1)"


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
    # Signals of the keyboard are ignored here; those of the timer keep their effect, which is to kill,
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
