from __future__ import annotations

import time

import pytest

from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.lint import lint

VISIBLE = {"context", "input", "workflow", "item"}

ALLOWED = [
    ".",
    "..",
    ".a",
    '."a b"',
    '.a."b"[0]?',
    ".a.[0]",
    ".[1:]",
    ".[:-1]",
    '.["a", "b"]',
    ".a[]?.b | .c",
    "$item.price * 2",
    "$context + { undo: [.] }",
    '{ a, $item, (.k): 1, "x\\(.n)": 2, @base64 "y": 3, if: 4, "s", b: -1, c: 1 + 2, d: . | length, }',
    "[ .[] | select(.a > 1 and (.b | not)) ]",
    "if .a then 1 elif .b then 2 else 3 end",
    "if .a then 1 end",
    'try error("x") catch .',
    "try -1",
    "(.a)?",
    "reduce .[] as $x (0; . + $x)",
    'reduce .[] as [$a, { b: $b, $c, "d": $d, (.e): $e, $f: [$g] }] (0; $a + $b + $c + $d + $e + $f + $g)',
    "foreach .[] as $x (0; . + $x)",
    "foreach .[] as $x (0; . + $x; [$x, .])",
    ". as [$a] ?// $a | $a",
    ".a as $x | .b as $y | $x + $y",
    "label $done | .[] | if . then ., break $done else . end",
    '"Hello \\(.name | ascii_upcase): \\("nested \\(.x)")"',
    '@base64 "x\\(.)"',
    "@csv",
    ".a // empty",
    ".a = 1 | .b |= . + 1 | .c += 2 | .d //= 3 | .e -= 1 | .f *= 2 | .g /= 2 | .h %= 2",
    "[range(10)] + [range(0; 5)] + [range(10; 0; -1)]",
    "range(.items | length)",
    "limit(3; .[])",
    "recurse",
    'test("^a.*"; "i")',
    'gsub("a"; "b")',
    "with_entries(.value |= tostring)",
    "group_by(.a) | map({ key: .[0].a, n: length })",
    ". # what remains\n| length",
    "1.5e3 - -1",
    '"\\u00e9\\n\\"\\\\\\/"',
    "todate",
    "true and null == false",
    "1 == 2 and 3 == 4 // 5 == 6",
    "not",
]

REFUSED = [
    ("", 0, "it ends where a value should be"),
    ("1 +", 3, "it ends where a value should be"),
    (".a b", 3, "'b' stands where it should not"),
    ("(.a", 3, "it ends where ')' should be"),
    ("[.a}", 3, "'}' stands where ']' should be"),
    (".a)", 2, "')' stands where it should not"),
    ("{a: 1 b}", 6, "'b' stands where '}' should be"),
    ("{(.a)}", 5, "'}' stands where ':' should be"),
    ("{1: 2}", 1, "'1' stands where a key should be"),
    ("if . then 1", 11, "it ends where 'end' should be"),
    ("if . else 1 end", 5, "'else' stands where 'then' should be"),
    ("then", 0, "'then' stands where a value should be"),
    ("reduce .[] (0; 1)", 11, "'(' stands where 'as' should be"),
    ("reduce .[] as x (0; 1)", 14, "'x' stands where a $name should be"),
    ("reduce .[] as $x (0; 1; 2)", 22, "';' stands where ')' should be"),
    ("reduce .[] as $x ($x; .)", 18, "there is no $x here"),
    ("(. as $x | $x) | $x", 17, "there is no $x here"),
    ("{a: . as $x | $x}", 6, "'as' stands where '}' should be"),
    ("1 == 2 == 3", 7, "'==' follows its like"),
    (".a = .b = 1", 8, "'=' follows its like"),
    (".a?//1", 2, "'?//' stands only between patterns; write '? //'"),
    (".x.[1:2]", 5, "':' stands where ']' should be"),
    (".[:]", 3, "']' stands where a value should be"),
    ("{@csv}", 5, "'}' stands where a string should be"),
    ("1 + label $x | 1", 4, "'label' stands where a value should be"),
    ("break $out", 6, "there is no label of that name"),
    ("& .a", 0, "'&' cannot stand here"),
    ("$", 0, "'$' cannot stand here"),
    (".é", 1, "'é' cannot stand here"),
    ("\x0c.", 0, "'\\x0c' cannot stand here"),
    ('"abc', 0, "a string is not closed"),
    ('"\\(1"', 4, "a string is not closed"),
    ('"\\(1 ', 1, r"a '\(' is not closed"),
    ('"\\x"', 1, "a backslash in a string begins no escape"),
    ('"\\u12"', 1, "a backslash in a string begins no escape"),
    ('"a\\(env)"', 4, "'env' is not allowed: it reaches out"),
    ('"a\\("b\\(now)")"', 8, "'now' is not allowed: it depends on the clock"),
    ("# x \\\n| env", 0, "a comment holds a backslash"),
    ("1 # x\renv", 2, "a comment holds a backslash or a carriage return"),
    ("now", 0, "'now' is not allowed: it depends on the clock"),
    ("localtime", 0, "'localtime' is not allowed"),
    ("mktime", 0, "'mktime' is not allowed"),
    ("gmtime", 0, "'gmtime' is not allowed"),
    ('strptime("%Y")', 0, "'strptime' is not allowed"),
    ('strftime("%Y")', 0, "'strftime' is not allowed"),
    ('strflocaltime("%Y")', 0, "'strflocaltime' is not allowed"),
    ("env.PATH", 0, "'env' is not allowed: it reaches out"),
    ("$ENV.PATH", 0, "$ENV is not allowed: it reaches out"),
    (". as {a: $ENV} | $ENV", 9, "$ENV is not allowed"),
    ("$__loc__", 0, "$__loc__ is not allowed"),
    ("{$__loc__}", 1, "$__loc__ is not allowed"),
    ("$__prog_args", 0, "$__prog_args is not allowed"),
    ("input", 0, "'input' is not allowed: it reaches out"),
    ("[inputs]", 1, "'inputs' is not allowed"),
    ("debug", 0, "'debug' is not allowed"),
    ("stderr", 0, "'stderr' is not allowed"),
    ("input_filename", 0, "'input_filename' is not allowed"),
    ("input_line_number", 0, "'input_line_number' is not allowed"),
    ("halt", 0, "'halt' is not allowed"),
    ("halt_error(1)", 0, "'halt_error' is not allowed"),
    ("get_search_list", 0, "'get_search_list' is not allowed"),
    ("modulemeta", 0, "'modulemeta' is not allowed"),
    ("builtins", 0, "'builtins' is not allowed"),
    ('import "a" as $a; 1', 0, "'import' is not allowed: an expression defines nothing"),
    ('include "a"; 1', 0, "'include' is not allowed"),
    ("def f: f; f", 0, "'def' is not allowed"),
    (". | def f: 1; f", 4, "'def' is not allowed"),
    ("a::b", 0, "there is no function a::b/0 here"),
    ("0 | until(false; . + 1)", 4, "'until' is not allowed: it may never end"),
    ("while(true; .)", 0, "'while' is not allowed: it may never end"),
    ("repeat(.)", 0, "'repeat' is not allowed"),
    ("limit(3; repeat(1))", 9, "'repeat' is not allowed"),
    ("recurse(.)", 0, "'recurse' is not allowed"),
    ("recurse(.; .)", 0, "'recurse' is not allowed"),
    ("range(infinite)", 6, "'infinite' is not allowed"),
    ("range(1e9)", 6, "a range has at most 1000000 steps"),
    ("range(1e999)", 6, "a range has at most 1000000 steps"),
    ("range(0; 5000000)", 9, "a range has at most 1000000 steps"),
    ("range(0; 1; 0)", 0, "the step of a range is a number other than 0"),
    ("range(0; 1; .s)", 0, "the step of a range is a number other than 0"),
    ("nan", 0, "'nan' is not allowed"),
    ('splits("a")', 0, "there is no function splits/1 here; perhaps you mean split/1"),
    ("lenght", 0, "there is no function lenght/0 here; perhaps you mean length/0"),
    ("map", 0, "'map' takes 1 arguments, not 0"),
    ("select(.a; .b)", 0, "'select' takes 1 arguments, not 2"),
    ("sin", 0, "there is no function sin/0 here"),
    ("@xml", 0, "there is no format @xml"),
    ("$imput", 0, "there is no $imput here; perhaps you mean $input"),
    ("$nothing_like_it", 0, "there is no $nothing_like_it here; there is $context, $input, $item, $workflow"),
    ("$secrets.key", 0, "$secrets can only be read in an authentication"),
    ("(" * 100, 48, "it is nested more than 48 deep"),
    ("[" * 100 + "]" * 100, 48, "it is nested more than 48 deep"),
    (". as $x | " * 100 + ".", 475, "it is nested more than 48 deep"),
    (". as " + "[" * 100, 52, "it is nested more than 48 deep"),
    ('"\\(' * 40, 48, "strings are nested more than 16 deep"),
    ("." + " " * 8192, 0, "an expression has at most 8192 bytes"),
    ('"' + "é" * 4096 + '"', 0, "an expression has at most 8192 bytes"),
]


@pytest.mark.parametrize("text", ALLOWED)
def test_an_expression_that_ends_and_reads_only_what_it_is_given_is_allowed(text: str) -> None:
    lint(text, VISIBLE)


@pytest.mark.parametrize(("text", "offset", "problem"), REFUSED, ids=[text[:30] for text, _, _ in REFUSED])
def test_an_expression_is_refused_where_it_is_wrong(text: str, offset: int, problem: str) -> None:
    with pytest.raises(ExpressionFault) as refused:
        lint(text, VISIBLE)
    assert problem in refused.value.problem
    assert refused.value.offset == offset
    assert f"at character {offset + 1} " in str(refused.value)


def test_the_variables_and_secrets_that_are_read_are_known() -> None:
    reads = lint('.a as $x | $x + $input.b + "\\($context.c)" + $secrets.key', VISIBLE | {"secrets"})
    assert reads.variables == {"input", "context", "secrets"}
    assert reads.secrets == {"key"}


def test_secrets_are_read_one_by_one() -> None:
    with pytest.raises(ExpressionFault, match="read by its name"):
        lint("$secrets | tojson", {"secrets"})


def test_the_longest_expressions_are_read_in_no_time() -> None:
    nasty = [
        "." * 8000,
        "1" * 8000,
        "a" * 8000,
        '"' + "\\\\" * 4000,
        "-" * 8000,
        ".a" * 4000,
        "1+" * 4000,
        "?" * 8000,
        "." + "?" * 8000,
        "|".join("." * 4000),
        " " * 8000,
        "#" * 8000,
    ]
    started = time.process_time()
    for text in nasty:
        try:
            lint(text, VISIBLE)
        except ExpressionFault:
            continue
    assert time.process_time() - started < 5
