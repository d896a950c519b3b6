from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest
from vpbench_movingmnist.files import cache_folder, data_folder, written_whole


def fail(file: BinaryIO) -> None:
    file.write(b"sec")
    raise OSError("disk full")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    with written_whole(target) as file:
        file.write(b"first")
        assert not target.exists()
    with pytest.raises(OSError, match="disk full"), written_whole(target) as file:
        fail(file)
    assert {path.name: path.read_bytes() for path in target.parent.iterdir()} == {"file": b"first"}


def test_folders_are_the_users_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, variable in ((cache_folder, "VPBENCH_CACHE"), (data_folder, "VPBENCH_DATA")):
        monkeypatch.setenv(variable, str(tmp_path))
        assert folder() == tmp_path
        monkeypatch.delenv(variable)
        assert "vpbench" in folder().parts
