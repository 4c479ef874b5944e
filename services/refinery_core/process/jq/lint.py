"""The lint: refuses jq expressions that are wrong, unbounded, or use variables that are not there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from refinery_core.process.faults import ExpressionFault
from refinery_core.process.jq.cursor import Cursor
from refinery_core.process.jq.functions import ALLOWED, FORMATS, KEYWORDS, REFUSED
from refinery_core.process.jq.rules import check_range, refuse_function, refuse_variable, unknown_variable
from refinery_core.process.jq.tokens import Kind, Token, tokens_of

MAX_BYTES = 8_192

_COMPARISONS = frozenset(["==", "!=", "<", "<=", ">", ">="])
_ASSIGNMENTS = frozenset(["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="])
_OPERATORS = frozenset(["+", "-", "*", "/", "%", "and", "or", "//"]) | _COMPARISONS | _ASSIGNMENTS


@dataclass(frozen=True, slots=True)
class Reads:
    """The variables and members of $secrets that an expression reads."""

    variables: frozenset[str]
    secrets: frozenset[str]


def lint(text: str, visible: Collection[str]) -> Reads:
    """
    Read a bare expression, without `${ }`, that may use the variables `visible`, named without `$`.

    Raises:
        ExpressionFault: It is refused; the offset is that of the mistake.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise ExpressionFault(0, f"an expression has at most {MAX_BYTES} bytes")
    parser = _Parser(tokens_of(text), visible)
    parser.whole()
    return Reads(frozenset(parser.variables), frozenset(parser.secrets))


class _Parser(Cursor):
    """One pass over the tokens by the grammar of jq. It keeps no tree, only the variables."""

    def __init__(self, tokens: tuple[Token, ...], visible: Collection[str]) -> None:
        super().__init__(tokens)
        self._visible = visible
        self._bound: list[str] = []
        self._labels: list[str] = []
        self.variables: set[str] = set()
        self.secrets: set[str] = set()

    def whole(self) -> None:
        """Read all tokens as one expression."""
        self._pipe()
        if self.next.kind is not Kind.END:
            self.unexpected()

    # --- Expressions ----------------------------------------------------------------------

    def _pipe(self) -> None:
        self._chain(self._operand, "|", ",")

    def _chain(self, operand: Callable[[], None], *separators: str) -> None:
        self.deeper()
        operand()
        compared = assigned = False
        while (token := self.next).text in _OPERATORS or self.sees(*separators):
            if (compared and token.text in _COMPARISONS) or (assigned and token.text in _ASSIGNMENTS):
                raise ExpressionFault(token.offset, f"'{token.text}' follows its like; put one in brackets")
            self.expect(token.text)
            if token.text not in separators and self.sees("label"):
                self.unexpected("where a value should be")
            operand()
            compared = token.text in _COMPARISONS or (compared and token.text in "+-*/%")
            assigned = token.text in _ASSIGNMENTS or (assigned and token.text not in ("|", ",", "//"))
        self.depth -= 1

    def _value(self) -> None:
        """Read the value in an object, where bindings need brackets."""
        while self.took("-"):
            pass
        self._term()

    def _operand(self) -> None:
        if self.took("label"):
            self._labels.append(self._variable_name())
            self.expect("|")
            self._pipe()
            self._labels.pop()
            return
        self._value()
        if self.took("as"):
            names = self._patterns()
            self.expect("|")
            self._within(names, self._pipe)

    def _within(self, names: list[str], read: Callable[[], None]) -> None:
        self._bound.extend(names)
        read()
        del self._bound[len(self._bound) - len(names) :]

    def _term(self) -> None:
        self._primary()
        while True:
            if self.next.kind is Kind.FIELD or self.sees("?"):
                self.take()
            elif self.sees("["):
                self._index()
            elif self.sees(".") and self.tokens[self.at + 1].text[:1] in ("[", '"'):
                self.take()
                if self.next.kind is Kind.STRING:
                    self._string()
                else:
                    self._index(slices=False)
            else:
                return

    def _primary(self) -> None:
        token = self.next
        match token.kind:
            case Kind.NUMBER | Kind.FIELD:
                self.take()
            case Kind.STRING:
                self._string()
            case Kind.VARIABLE:
                self._read_variable(self.take())
            case Kind.FORMAT:
                self._format()
            case Kind.WORD:
                self._word()
            case _:
                self._symbol()

    def _symbol(self) -> None:
        if self.took("."):
            if self.next.kind is Kind.STRING:
                self._string()
        elif self.took("("):
            self._pipe()
            self.expect(")")
        elif self.took("["):
            if not self.took("]"):
                self._pipe()
                self.expect("]")
        elif self.sees("{"):
            self._object()
        elif not self.took(".."):
            self.unexpected("where a value should be")

    def _index(self, *, slices: bool = True) -> None:
        self.expect("[")
        if self.took("]"):
            return
        if slices and self.took(":"):
            self._pipe()
        else:
            self._pipe()
            if slices and self.took(":") and not self.sees("]"):
                self._pipe()
        self.expect("]")

    def _string(self) -> None:
        for part in self.take().inside:
            outer, at = self.tokens, self.at
            self.tokens, self.at = part, 0
            self.whole()
            self.tokens, self.at = outer, at

    def _format(self) -> None:
        token = self.take()
        if token.text not in FORMATS:
            raise ExpressionFault(token.offset, f"there is no format {token.text}")
        if self.next.kind is Kind.STRING:
            self._string()

    # --- Variables ------------------------------------------------------------------------

    def _variable_name(self) -> str:
        if self.next.kind is not Kind.VARIABLE:
            self.unexpected("where a $name should be")
        token = self.take()
        refuse_variable(token)
        return token.text[1:]

    def _read_variable(self, token: Token) -> None:
        name = token.text[1:]
        if name in self._bound:
            return
        refuse_variable(token)
        if name not in self._visible:
            raise ExpressionFault(token.offset, unknown_variable(name, [*self._visible, *self._bound]))
        self.variables.add(name)
        if name == "secrets":
            if self.next.kind is not Kind.FIELD:
                raise ExpressionFault(token.offset, "one secret is read by its name, as $secrets.name")
            self.secrets.add(self.next.text[1:])

    def _patterns(self) -> list[str]:
        names = self._pattern()
        while self.took("?//"):
            names += self._pattern()
        return names

    def _pattern(self) -> list[str]:
        self.deeper()
        if self.took("["):
            names = self._pattern()
            while self.took(","):
                names += self._pattern()
            self.expect("]")
        elif self.took("{"):
            names = self._member_pattern()
            while self.took(","):
                names += self._member_pattern()
            self.expect("}")
        else:
            names = [self._variable_name()]
        self.depth -= 1
        return names

    def _member_pattern(self) -> list[str]:
        if self.next.kind is Kind.VARIABLE:
            names = [self._variable_name()]
            return names + self._pattern() if self.took(":") else names
        self._key()
        self.expect(":")
        return self._pattern()

    # --- Objects --------------------------------------------------------------------------

    def _object(self) -> None:
        self.expect("{")
        if self.took("}"):
            return
        self._member()
        while self.took(",") and not self.sees("}"):
            self._member()
        self.expect("}")

    def _member(self) -> None:
        if self.next.kind is Kind.VARIABLE:
            self._read_variable(self.take())
        elif self._key() and not self.sees(":"):
            self.unexpected("where ':' should be")
        if self.took(":"):
            self._chain(self._value, "|")

    def _key(self) -> bool:
        """Read a key; True if a value has to follow."""
        if self.took("("):
            self._pipe()
            self.expect(")")
            return True
        if self.next.kind is Kind.FORMAT:
            self._format()
            if self.tokens[self.at - 1].kind is not Kind.STRING:
                self.unexpected("where a string should be")
        elif self.next.kind is Kind.STRING:
            self._string()
        elif self.next.kind is Kind.WORD and "::" not in self.next.text:
            self.take()
        else:
            self.unexpected("where a key should be")
        return False

    # --- Words ----------------------------------------------------------------------------

    def _word(self) -> None:
        token = self.take()
        match token.text:
            case "if":
                self._if()
            case "try":
                self._value()
                if self.took("catch"):
                    self._value()
            case "reduce":
                self._fold(most=1)
            case "foreach":
                self._fold(most=2)
            case "break":
                at = self.next.offset
                if self._variable_name() not in self._labels:
                    raise ExpressionFault(at, "there is no label of that name around this break")
            case _:
                self._call(token)

    def _if(self) -> None:
        self._pipe()
        self.expect("then")
        self._pipe()
        while self.took("elif"):
            self._pipe()
            self.expect("then")
            self._pipe()
        if self.took("else"):
            self._pipe()
        self.expect("end")

    def _fold(self, most: int) -> None:
        self._term()
        self.expect("as")
        names = self._patterns()
        self.expect("(")
        self._pipe()
        self.expect(";")
        self._within(names, self._pipe)
        if most > 1 and self.took(";"):
            self._within(names, self._pipe)
        self.expect(")")

    def _call(self, name: Token) -> None:
        if name.text in KEYWORDS and name.text not in REFUSED:
            self.at -= 1
            self.unexpected("where a value should be")
        arguments: list[tuple[Token, ...]] = []
        if name.text in REFUSED and name.text != "recurse":
            refuse_function(name, name.text)
        if self.took("("):
            arguments.append(self._argument())
            while self.took(";"):
                arguments.append(self._argument())
            self.expect(")")
        function = f"{name.text}/{len(arguments)}"
        if function not in ALLOWED:
            refuse_function(name, function)
        if name.text == "range":
            check_range(name, arguments)

    def _argument(self) -> tuple[Token, ...]:
        start = self.at
        self._pipe()
        return self.tokens[start : self.at]
