from __future__ import annotations

import hashlib
import io
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vpbench_movingmnist import digits

from vpbench.errors import DataError


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache file of an empty cache."""
    monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / f"mnist-images-{digits.IMAGES_SHA256[:16]}.npy"


@pytest.fixture(scope="module")
def whole() -> bytes:
    """What an undamaged cache file holds."""
    buffer = io.BytesIO()
    np.save(buffer, digits.images())
    return buffer.getvalue()


def is_mnist(images: np.ndarray) -> bool:
    return hashlib.sha256(images.tobytes()).hexdigest() == digits.IMAGES_SHA256


def test_digits_are_those_of_mnist() -> None:
    images, labels = digits.images(), digits.labels()
    md5 = {  # of the published idx files: header, then content
        "6bbc9ace898e44ae57da46a324031adb": ("00000803 0000ea60 0000001c 0000001c", images[:60_000]),
        "2646ac647ad5339dbf082846283269ea": ("00000803 00002710 0000001c 0000001c", images[60_000:]),
        "a25bea736e30d166cdddb491f175f624": ("00000801 0000ea60", labels[:60_000].astype(np.uint8)),
        "27ae3e4e09519cfbb04c329615203637": ("00000801 00002710", labels[60_000:].astype(np.uint8)),
    }
    for expected, (header, content) in md5.items():
        assert hashlib.md5(bytes.fromhex(header) + content.tobytes()).hexdigest() == expected


def test_digits_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        digits.images()[0, 0, 0] = 1


def test_decoded_digits_are_kept_and_used_again(fresh: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert is_mnist(digits.images())
    kept = fresh.stat()
    digits._images.cache_clear()
    assert is_mnist(digits.images())
    assert (fresh.stat().st_mtime_ns, fresh.stat().st_ino) == (kept.st_mtime_ns, kept.st_ino)
    assert list(fresh.parent.iterdir()) == [fresh]
    assert not caplog.records


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:-1], id="truncated"),
        pytest.param(lambda content: content[:40], id="header-cut"),
        pytest.param(flipped, id="one-bit"),
        pytest.param(lambda content: b"PK\x03\x04" + content, id="zip-like"),
        pytest.param(lambda content: content.replace(b"70000", b"60000", 1), id="other-shape"),
        pytest.param(lambda content: content.replace(b"|u1", b"|i1", 1), id="other-type"),
        pytest.param(lambda content: content.replace(b"False", b"True ", 1), id="column-major"),
    ],
)
def test_a_damaged_cache_file_is_noticed(
    damage: Callable[[bytes], bytes], whole: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached = tmp_path / "images.npy"
    cached.write_bytes(damage(whole))
    assert digits._open(cached) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "damaged" in caplog.text


def test_a_damaged_cache_file_is_made_anew(fresh: Path, whole: bytes, caplog: pytest.LogCaptureFixture) -> None:
    fresh.parent.mkdir()
    fresh.write_bytes(flipped(whole))
    assert is_mnist(digits.images())
    assert fresh.read_bytes() == whole
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_digits_are_decoded_in_memory_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "file" / "cache"))
    assert is_mnist(digits.images())
    assert is_mnist(digits.images())
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "cannot cache the MNIST digits" in caplog.text


def test_processes_that_race_for_an_empty_cache_all_get_the_digits(fresh: Path) -> None:
    code = (
        "import hashlib, sys\n"
        "from vpbench_movingmnist import digits\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(hashlib.sha256(digits.images()).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    assert [racer.communicate() for racer in racers] == [(digits.IMAGES_SHA256 + "\n", "")] * 3
    assert list(fresh.parent.iterdir()) == [fresh]


def test_a_damaged_package_is_a_data_error_that_says_reinstall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(digits.PACKED_SHA256, "mnist-labels.xz", "0" * 64)
    with pytest.raises(DataError, match=r"damaged.*reinstall"):
        digits._unpack("mnist-labels.xz", digits.LABELS_SHA256)
