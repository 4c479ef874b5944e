from __future__ import annotations

import asyncio
import shlex
import sys
import time
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from refinery_client import DeadlineExceeded, Draft, NoToken, Refine, Refinery
from refinery_client.tokens import tokens_of
from refinery_core.addresses import stays_here
from refinery_core.errors import RefineryError, Unauthenticated
from refinery_core.settings import CannotStart
from refinery_core.vibe.model import VibeType
from tests.support.issuing import Issuing, trusting
from tests.support.waiting import PATIENCE, until
from tests.unit.refinery_client.conftest import serving

ROLE = "main@roles/local?1"
CANARY = "canary-8f14e45f"


class Given:
    """A source that gives these tokens, one after the other, the last one for ever."""

    def __init__(self, *tokens: Any) -> None:
        self._tokens = list(tokens)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        return str(token() if callable(token) else token)


def printing(folder: Path, token: str) -> str:
    """A command that prints a token, and leaves a mark each time."""
    program = f"open({str(folder / 'marks')!r}, 'a').write('x'); print({token!r})"
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}"


def marks(folder: Path) -> int:
    return len((folder / "marks").read_text())


async def ask(refinery: Refinery) -> str | None:
    """The reason why a call is refused; None where it is let in."""
    try:
        await refinery.get_vibe("main@none?1")
    except RefineryError as refusal:
        return refusal.reason
    return None


@pytest.mark.parametrize("source", ["text", "function", "file", "command"])
@pytest.mark.parametrize("by", ["argument", "environment"])
async def test_each_call_carries_the_token_of_its_source(
    source: str, by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuing = Issuing()
    token = issuing.token()
    (tmp_path / "token").write_text(f"{token}\n")
    given: Any = {
        "text": {"token": token},
        "function": {"token": Given(token)},
        "file": {"token_file": tmp_path / "token"},
        "command": {"token_command": printing(tmp_path, token)},
    }[source]
    if by == "environment":
        if source == "function":
            return
        for name, value in given.items():
            monkeypatch.setenv(f"REFINERY_{name.upper()}", str(value))
        given = {}
    async with serving(trusting(issuing), **given) as small:
        assert await ask(small.refinery) is None
        drafts = [Draft(type=VibeType.RECORD, id="a")]
        assert (await small.refinery.refine(author_ref=ROLE, drafts=drafts)).vibes
        refines = [Refine(author_ref=ROLE, drafts=drafts)]
        assert [outcome.unwrap() async for outcome in small.refinery.refine_many(refines)]
        async with aclosing(small.refinery.watch()) as changes:
            assert (await anext(changes)).position == 1
        assert [vibe async for vibe in small.refinery.list_vibes()]
        assert await small.refinery.ledger_is_serving()
        await small.refinery.cancel_execution(uuid.uuid4())


async def test_without_a_token_nobody_is_let_in() -> None:
    async with serving(trusting(Issuing())) as small:
        with pytest.raises(Unauthenticated, match="no token came"):
            await small.refinery.get_vibe("main@none?1")


async def test_a_token_that_is_refused_is_replaced_once_where_there_is_another() -> None:
    issuing = Issuing()
    stale = Given(lambda: issuing.token(exp=int(time.time()) - 60), issuing.token())
    async with serving(trusting(issuing), token=stale) as small:
        assert await ask(small.refinery) is None
        assert stale.asked == 2
    bad = Given(lambda: f"bad.{uuid.uuid4().hex}.bad")
    async with serving(trusting(issuing), token=bad) as small:
        assert await ask(small.refinery) == "UNAUTHENTICATED"
        assert bad.asked == 2
    same = Given("bad.token.bad")
    async with serving(trusting(issuing), token=same) as small:
        assert await ask(small.refinery) == "UNAUTHENTICATED"
        assert same.asked == 2


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    issuing, path = Issuing(), tmp_path / "token"
    path.write_text("bad")
    async with serving(trusting(issuing), token_file=path) as small:
        assert await ask(small.refinery) == "UNAUTHENTICATED"
        path.write_text(issuing.token())
        assert await ask(small.refinery) is None
        path.unlink()
        assert await ask(small.refinery) is None, "the last one holds"
    assert "no new token (NoToken); the last one is sent until it expires" in caplog.messages


async def test_a_command_is_run_again_only_when_its_token_is_about_to_expire(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuing, now = Issuing(), time.time()
    clock = [now]
    monkeypatch.setattr("refinery_client.tokens.time.time", lambda: clock[0])
    tokens = tokens_of(token_command=printing(tmp_path, issuing.token(exp=now + 600)))
    await asyncio.gather(*(tokens.get() for _ in range(20)))
    clock[0] = now + 569
    await tokens.get()
    assert marks(tmp_path) == 1
    clock[0] = now + 571
    await tokens.get()
    assert marks(tmp_path) == 2


async def test_a_token_that_does_not_say_when_it_expires_is_kept_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    clock = [now]
    monkeypatch.setattr("refinery_client.tokens.time.time", lambda: clock[0])
    tokens = tokens_of(token_command=printing(tmp_path, "opaque"))
    for seconds, expected in ((0, 1), (59, 1), (61, 2)):
        clock[0] = now + seconds
        assert await tokens.get() == "opaque"
        assert marks(tmp_path) == expected


async def test_the_last_token_is_used_while_it_holds_and_no_other_comes() -> None:
    issuing = Issuing()
    token = issuing.token(exp=time.time() + 2)

    async def source() -> str:
        if source_is_away.is_set():
            raise NoToken(problem="the issuer is away")
        return token

    source_is_away = asyncio.Event()
    tokens = tokens_of(source)
    assert await tokens.get() == token
    source_is_away.set()
    tokens._until = 0.0
    assert await tokens.get() == token

    async def has_ended() -> bool:
        try:
            await tokens.get()
        except NoToken:
            return True
        return False

    await until(has_ended)


async def test_a_watch_goes_on_with_the_next_token_when_one_expires() -> None:
    issuing = Issuing()
    source = Given(lambda: issuing.short(2.5))
    async with serving(trusting(issuing), token=source) as small:
        seen: list[int] = []

        async def watch() -> None:
            async with aclosing(small.refinery.watch()) as changes:
                async for change in changes:
                    seen.append(change.position)
                    if source.asked > 2 and len(seen) > 3:
                        return

        watching = asyncio.create_task(watch())
        async with (
            asyncio.timeout(PATIENCE),
            Refinery.connect(ledger=small.address, token=issuing.token()) as writer,
        ):
            while not watching.done():
                drafts = [Draft(type=VibeType.RECORD, id=f"r{len(seen)}")]
                await writer.refine(author_ref=ROLE, drafts=drafts)
                await asyncio.sleep(0.1)
        await watching
        assert seen == list(range(1, len(seen) + 1))


async def test_a_stream_of_refines_goes_on_with_the_next_token_when_one_expires() -> None:
    issuing = Issuing()
    source = Given(lambda: issuing.short(2.5))
    async with serving(trusting(issuing), token=source) as small:

        async def refines() -> Any:
            number = 0
            while source.asked < 3:
                yield Refine(author_ref=ROLE, drafts=[Draft(type=VibeType.RECORD, id=f"r{number}")])
                number += 1
                await asyncio.sleep(0.05)

        async with asyncio.timeout(PATIENCE):
            outcomes = [outcome async for outcome in small.refinery.refine_many(refines())]
        assert outcomes
        assert all(outcome.result is not None for outcome in outcomes)


async def test_a_capability_is_called_with_the_next_token_where_the_first_has_expired() -> None:
    issuing = Issuing()
    stale = Given(lambda: issuing.token(exp=int(time.time()) - 60), issuing.token())
    async with serving(trusting(issuing), token=stale) as small:
        assert await small.refinery.call_capability("aug:/x", author_ref=ROLE, timeout_seconds=10)
        assert stale.asked == 2


async def test_a_call_does_not_wait_for_a_token_beyond_its_deadline() -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async with serving(token=never) as small:
        with pytest.raises(DeadlineExceeded):
            await small.refinery.get_vibe("main@none?1", timeout_seconds=0.1)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"token_command": "false"}, "the command 'false' ended with exit code 1"),
        ({"token_command": "true"}, "what was given is empty"),
        ({"token_command": "/nowhere/x"}, "the command '/nowhere/x' cannot be run: No such file"),
        ({"token_command": f"echo {CANARY} {CANARY}"}, "it has spaces or other characters"),
        ({"token_file": "/nowhere/token"}, "/nowhere/token cannot be read: No such file or directory"),
        ({"token_file": "/dev/null"}, "what was given is empty"),
    ],
    ids=str,
)
async def test_a_source_without_a_token_says_why_and_nothing_is_sent(
    given: dict[str, Any], sentence: str
) -> None:
    async with serving(**given) as small:
        with pytest.raises(NoToken) as caught:
            await small.refinery.get_vibe("main@none?1")
        assert sentence in caught.value.message
        assert CANARY not in caught.value.message
        assert small.ledger.calls == []


@pytest.mark.parametrize(
    ("given", "environ", "sentence"),
    [
        ({"token": "a", "token_file": "b"}, {}, "Both a token and a token file are given"),
        ({}, {"REFINERY_TOKEN": "a", "REFINERY_TOKEN_FILE": "b"}, "REFINERY_TOKEN and REFINERY_TOKEN_FILE"),
        ({"token": f"{CANARY} {CANARY}"}, {}, "it has spaces or other characters"),
        ({"token": f"{CANARY}é"}, {}, "it has spaces or other characters"),
        ({"token_command": "'"}, {}, "The token command cannot be read"),
        ({"token_command": " "}, {}, "The token command is empty"),
    ],
    ids=str,
)
def test_what_can_be_no_token_is_refused_at_once(
    given: dict[str, Any], environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises(CannotStart) as caught:
        tokens_of(**given, environ=environ)
    assert sentence in str(caught.value)
    assert CANARY not in str(caught.value)


def test_what_is_given_counts_before_the_environment() -> None:
    assert tokens_of("a", environ={"REFINERY_TOKEN_FILE": "b"}).are_sent
    assert not tokens_of(environ={}).are_sent


@pytest.mark.parametrize(
    ("address", "stays"),
    [
        ("localhost:50051", True),
        ("LOCALHOST:50051", True),
        ("127.0.0.1:50051", True),
        ("127.8.9.10:1", True),
        ("[::1]:50051", True),
        ("unix:/run/x", True),
        ("unix:///run/x", True),
        ("unix-abstract:x", True),
        ("dns:///localhost:50051", True),
        ("dns:localhost:50051", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:1", True),
        ("ipv6:[::1]:1", True),
        ("dns://8.8.8.8/localhost:50051", False),
        ("ipv4:127.0.0.1:1,10.0.0.1:1", False),
        ("localhost.evil.example:50051", False),
        ("127.0.0.1.evil.example:50051", False),
        ("127.1:50051", False),
        ("10.0.0.1:50051", False),
        ("[::]:50051", False),
        ("0.0.0.0:50051", False),
        ("ledger:50051", False),
        ("xds:///localhost", False),
        ("vsock:2:1", False),
        ("", False),
    ],
)
async def test_a_token_travels_in_the_clear_on_this_machine_alone(address: str, stays: bool) -> None:
    assert stays_here(address) is stays
    if not stays and address:
        with pytest.raises(CannotStart, match=r"A token would travel to .* in the clear") as caught:
            async with Refinery.connect(ledger=address, token=CANARY):
                pass
        assert CANARY not in str(caught.value)
        async with Refinery.connect(ledger=address):
            pass
