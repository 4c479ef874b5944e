from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from refinery_core.certificates import Files, Followed, Unusable
from tests.support.tls import Authority, replace

NAME = "localhost"
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
SOON = dt.datetime.now(dt.UTC) + dt.timedelta(days=300)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def files(authority: Authority) -> Files:
    return Files(*authority.certificate(NAME), authority.file)


class Followed_:  # noqa: N801 -- what is tested is called so
    """Followed files, and what was told of them."""

    def __init__(self, files: Files) -> None:
        self.told: list[str | None] = []
        self.followed = Followed(files, self.told.append)

    @property
    def certificate(self) -> bytes | None:
        return self.followed.look().certificate


def locked(pem: bytes) -> bytes:
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


def issue(authority: Authority, since: dt.datetime, until: dt.datetime) -> None:
    authority.certificate(NAME, since=since, until=until)


def unheard(problem: str | None) -> None:
    raise AssertionError(problem)


Spoil = Callable[[Authority, Files], None]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "gone": (
        lambda _, at: Path(str(at.certificate)).unlink(),
        r"localhost\.pem cannot be read: No such file",
    ),
    "empty": (lambda _, at: replace(str(at.certificate), b""), r"localhost\.pem holds no certificates"),
    "half written": (
        lambda _, at: replace(str(at.certificate), Path(str(at.certificate)).read_bytes()[:300]),
        r"localhost\.pem holds no certificates",
    ),
    "no text": (lambda _, at: replace(str(at.key), b"\xff\x00"), r"localhost\.key holds no private key"),
    "locked": (
        lambda _, at: replace(str(at.key), locked(Path(str(at.key)).read_bytes())),
        r"localhost\.key holds no private key in PEM without a password",
    ),
    "another key": (
        lambda one, at: replace(str(at.key), one.ca.issue_cert(NAME).private_key_pem.bytes()),
        r"localhost\.key is not the key of .*localhost\.pem",
    ),
    "expired": (
        lambda one, _: issue(one, LONG_AGO, LONG_AGO.replace(2021)),
        r"localhost\.pem expired at 2021-01-01 00:00 UTC",
    ),
    "not valid yet": (
        lambda one, _: issue(one, SOON, SOON.replace(2999)),
        r"localhost\.pem is not valid before",
    ),
    "no authorities": (lambda _, at: replace(str(at.authorities), b"none"), r"ca\.pem holds no certificates"),
    "huge": (lambda _, at: replace(str(at.authorities), b" " * (2 << 20)), r"ca\.pem is larger than 1 MiB"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_files_that_cannot_be_used_are_refused_in_one_sentence(how: str, authority: Authority) -> None:
    spoil, sentence = SPOILT[how]
    spoil(authority, at := files(authority))
    with pytest.raises(Unusable, match=sentence):
        Followed(at, unheard)


@pytest.mark.parametrize("how", SPOILT)
def test_files_that_cannot_be_used_leave_the_last_good_ones_in_force(how: str, authority: Authority) -> None:
    spoil, sentence = SPOILT[how]
    one = Followed_(files(authority))
    good = one.followed.current
    spoil(authority, one.followed.files)
    assert [one.followed.look() for _ in range(3)] == [good] * 3
    assert one.followed.problem is not None
    (told,) = one.told
    with pytest.raises(Unusable, match=sentence):
        raise Unusable(told)

    files(authority)
    assert one.followed.look() is not good
    assert one.told == [told, None]
    assert one.followed.problem is None


def test_new_files_are_in_force_at_the_next_look(authority: Authority) -> None:
    one = Followed_(files(authority))
    first = one.certificate
    assert one.certificate is first
    authority.certificate(NAME)
    assert one.certificate != first
    assert one.told == [None]


def test_files_that_come_back_are_no_news_but_no_problem_either(authority: Authority) -> None:
    one = Followed_(files(authority))
    path = str(one.followed.files.certificate)
    content = Path(path).read_bytes()
    replace(path, b"")
    one.followed.look()
    replace(path, content)
    one.followed.look()
    assert one.followed.problem is None
    assert len(one.told) == 1


def test_folders_that_are_swapped_behind_a_link_are_noticed(authority: Authority, tmp_path: Path) -> None:
    """As Kubernetes replaces a secret: the files are links into a folder that is a link."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()

    def mount(number: int) -> None:
        folder = mounted / f"..{number}"
        folder.mkdir()
        for name, path in zip(("tls.crt", "tls.key"), authority.certificate(NAME), strict=True):
            (folder / name).write_bytes(Path(path).read_bytes())
        fresh = mounted / "..fresh"
        fresh.symlink_to(folder.name)
        fresh.replace(mounted / "..data")

    mount(1)
    for name in ("tls.crt", "tls.key"):
        (mounted / name).symlink_to(Path("..data") / name)
    one = Followed_(Files(str(mounted / "tls.crt"), str(mounted / "tls.key")))
    first = one.certificate
    mount(2)
    assert one.certificate != first
    assert one.told == [None]


def test_the_end_of_the_authority_that_ends_last_counts(authority: Authority, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    both = Path(authority.file).read_bytes() + Path(Authority(other).file).read_bytes()
    replace(tmp_path / "ca.pem", both)
    found = Followed(Files(authorities=str(tmp_path / "ca.pem")), unheard).current
    assert found.authorities_expire is not None
    assert found.expires is None
