"""Make the two packed digit files of this package from the four idx files of MNIST.

    python tools/pack_mnist.py FOLDER

FOLDER holds train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain
or with .gz. Their sums are checked, the headers dropped, train is put before test, and images and labels are written
to src/vpbench_movingmnist/data as xz. It prints the four sha256 sums that stand in digits.py: those of the decoded
arrays never change; those of the packed files may, with the version of liblzma.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "src" / "vpbench_movingmnist" / "data"

#: file -> md5 of the uncompressed idx file, as widely published
MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def idx_payload(folder: Path, name: str) -> bytes:
    """The values of an idx file, without its header (4 bytes of magic, 4 bytes per dimension)."""
    packed = folder / f"{name}.gz"
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
    if (md5 := hashlib.md5(content).hexdigest()) != MD5[name]:
        sys.exit(f"{name}: md5 {md5}, expected {MD5[name]}")
    dimensions = content[3]
    return content[4 + 4 * dimensions :]


def main(folder: Path) -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    for kind in ("images-idx3", "labels-idx1"):
        values = idx_payload(folder, f"train-{kind}-ubyte") + idx_payload(folder, f"t10k-{kind}-ubyte")
        packed = lzma.compress(values, check=lzma.CHECK_CRC32, preset=9 | lzma.PRESET_EXTREME)
        target = DATA / f"mnist-{kind.partition('-')[0]}.xz"
        target.write_bytes(packed)
        print(f"{target.name}: {len(packed)} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")
        print(f"  decoded: {len(values)} bytes, sha256 {hashlib.sha256(values).hexdigest()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
