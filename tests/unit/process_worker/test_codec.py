from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload

from process_worker.temporal.codec import CannotDecode, Codec, Keys, keys_of
from refinery_core.settings import CannotStart

CANARY = b"canary-3f1c"
PLAIN = Payload(metadata={"encoding": b"json/plain", "canary": CANARY}, data=b'"%s"' % CANARY)


def a_key(folder: Path, name: str, content: bytes | None = None) -> None:
    (folder / name).write_bytes(os.urandom(32) if content is None else content)


def keys(folder: Path, current: str = "one") -> Keys:
    return Keys(str(folder), current)


async def encoded(codec: Codec, payload: Payload = PLAIN) -> Payload:
    (encrypted,) = await codec.encode([payload])
    return encrypted


async def test_a_payload_is_encrypted_as_a_whole_and_comes_back(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    codec = Codec(keys(tmp_path))
    encrypted = await encoded(codec)
    assert dict(encrypted.metadata) == {"encoding": b"binary/encrypted", "encryption-key-id": b"one"}
    assert CANARY not in encrypted.SerializeToString()
    assert await codec.decode([encrypted, PLAIN]) == [PLAIN, PLAIN]


async def test_the_same_payload_is_never_encrypted_the_same(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    codec = Codec(keys(tmp_path))
    made = [payload.data for payload in await codec.encode([PLAIN] * 100)]
    assert len({data[:12] for data in made}) == len({data[12:] for data in made}) == 100


async def test_a_payload_in_the_clear_is_decoded_as_it_is(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    assert await Codec(keys(tmp_path)).decode([PLAIN]) == await Codec(None).decode([PLAIN]) == [PLAIN]


async def test_without_keys_nothing_is_encrypted_and_encrypted_payloads_are_refused(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    encrypted = await encoded(Codec(keys(tmp_path)))
    assert await Codec(None).encode([PLAIN]) == [PLAIN]
    with pytest.raises(CannotDecode, match=r"'one' .* REFINERY_TEMPORAL_KEYS is not set"):
        await Codec(None).decode([encrypted])


@pytest.mark.parametrize("at", [0, 11, 12, 20, -17, -1])
async def test_a_changed_payload_is_refused(tmp_path: Path, at: int) -> None:
    a_key(tmp_path, "one")
    codec = Codec(keys(tmp_path))
    encrypted = await encoded(codec)
    data = bytearray(encrypted.data)
    data[at] ^= 1
    encrypted.data = bytes(data)
    with pytest.raises(CannotDecode, match="was changed since"):
        await codec.decode([encrypted])


@pytest.mark.parametrize("length", [0, 5, 12, 27])
async def test_a_cut_payload_is_refused(tmp_path: Path, length: int) -> None:
    a_key(tmp_path, "one")
    codec = Codec(keys(tmp_path))
    encrypted = await encoded(codec)
    encrypted.data = encrypted.data[:length]
    with pytest.raises(CannotDecode, match="was changed since"):
        await codec.decode([encrypted])


async def test_a_payload_is_bound_to_the_name_of_its_key(tmp_path: Path) -> None:
    same = os.urandom(32)
    a_key(tmp_path, "one", same)
    a_key(tmp_path, "two", same)
    codec = Codec(keys(tmp_path))
    encrypted = await encoded(codec)
    encrypted.metadata["encryption-key-id"] = b"two"
    with pytest.raises(CannotDecode, match="was not encrypted under the key 'two'"):
        await codec.decode([encrypted])


@pytest.mark.parametrize("name", [b"other", b"", b"../one", b"\xff"])
async def test_a_payload_of_an_unknown_key_is_refused(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    a_key(tmp_path, "one")
    a_key(folder, "one")
    codec = Codec(keys(folder))
    encrypted = await encoded(codec)
    encrypted.metadata["encryption-key-id"] = name
    with pytest.raises(CannotDecode, match=r"is not known: .* has no such file"):
        await codec.decode([encrypted])


async def test_a_new_key_is_read_without_a_restart_and_the_old_ones_go_on(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    old = Codec(keys(tmp_path))
    before = await encoded(old)
    a_key(tmp_path, "two")
    new = Codec(keys(tmp_path, "two"))
    after = await encoded(new)
    assert after.metadata["encryption-key-id"] == b"two"
    assert await old.decode([before, after]) == await new.decode([before, after]) == [PLAIN, PLAIN]


async def test_a_bad_file_beside_a_new_key_names_itself_and_known_keys_go_on(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    codec = Codec(keys(tmp_path))
    encrypted, unknown = await codec.encode([PLAIN, PLAIN])
    a_key(tmp_path, "bad", b"short")
    unknown.metadata["encryption-key-id"] = b"two"
    with pytest.raises(CannotDecode, match="bad does not hold 32 bytes"):
        await codec.decode([unknown])
    assert await codec.decode([encrypted]) == [PLAIN]


async def test_a_key_may_be_raw_or_in_base64(tmp_path: Path) -> None:
    raw, text = tmp_path / "raw", tmp_path / "text"
    raw.mkdir()
    text.mkdir()
    a_key(raw, "one")
    a_key(text, "one", base64.encodebytes((raw / "one").read_bytes()))
    encrypted = await encoded(Codec(keys(raw)))
    assert await Codec(keys(text)).decode([encrypted]) == [PLAIN]


async def test_the_folders_of_a_mounted_secret_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    a_key(tmp_path / "..data", "one")
    (tmp_path / "one").symlink_to(tmp_path / "..data" / "one")
    a_key(tmp_path, ".hidden", b"no key")
    codec = Codec(keys(tmp_path))
    assert await codec.decode([await encoded(codec)]) == [PLAIN]


# --- Refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"", CANARY, b"x" * 31, b"x" * 33, base64.b64encode(b"x" * 31), b"\xff" * 44]
)
def test_a_file_that_is_no_key_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    a_key(tmp_path, "one")
    a_key(tmp_path, "two", content)
    with pytest.raises(CannotStart, match=r"two does not hold 32 bytes, nor these in base64\.") as refused:
        keys(tmp_path)
    assert CANARY.decode() not in str(refused.value)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"REFINERY_TEMPORAL_KEYS cannot be used: .*none cannot be read"):
        keys(tmp_path / "none")


def test_a_key_that_is_not_in_the_folder_is_refused(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    with pytest.raises(CannotStart, match=r"REFINERY_TEMPORAL_KEY is 'two', but .* has no such file"):
        keys(tmp_path, "two")


def test_one_setting_without_the_other_is_refused(tmp_path: Path) -> None:
    a_key(tmp_path, "one")
    for folder, current in ((str(tmp_path), None), (None, "one")):
        with pytest.raises(CannotStart, match="set together"):
            keys_of(folder, current)
    assert keys_of(None, None) is None


def test_the_worker_does_not_start_with_keys_that_cannot_be_used(tmp_path: Path) -> None:
    a_key(tmp_path, "one", b"short")
    environment = {
        **os.environ,
        "REFINERY_TEMPORAL_KEYS": str(tmp_path),
        "REFINERY_TEMPORAL_KEY": "one",
        "REFINERY_START_SECONDS": "0",
    }
    worker = [sys.executable, "-m", "process_worker"]
    why = f"{tmp_path}/one does not hold 32 bytes, nor these in base64"
    done = subprocess.run(worker, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"REFINERY_TEMPORAL_KEYS cannot be used: {why}.\n")
