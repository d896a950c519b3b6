"""Arrays: which axis is what, which array is what, which value is what; and what is refused."""

from __future__ import annotations

import io
import json
import math
import zipfile

import h5py
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from vpbench_clips import arrays, containers
from vpbench_clips.arrays import chosen, layout_of, split_of_name, values_of
from vpbench_clips.config import Config
from vpbench_clips.containers import Form, forms
from vpbench_clips.files import Unreadable
from vpbench_clips.recordings import recordings

from vpbench.errors import DataError

CLIPS = np.random.default_rng(0).integers(0, 256, (3, 7, 2, 9, 10), dtype=np.uint8)  #: N, T, C, H, W


def frames_of(recording, numbers=None):
    numbers = range(recording.length) if numbers is None else numbers
    return np.stack([picture for _, picture in recording.reader.read(numbers)]).transpose(0, 3, 1, 2)


def save(path, values):
    """The same array in any kind of file."""
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, frames=values)
    elif path.suffix == ".zarr":
        zarr.save_array(str(path), values)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("inside/frames", data=values, chunks=(1, 2, *values.shape[2:]), compression="gzip")
    return path


@pytest.mark.parametrize("ending", [".npy", ".npz", ".zarr", ".h5"])
@pytest.mark.parametrize("layout", ["NTCHW", "NTHWC", "TNCHW", "HWTNC"])
def test_every_container_and_layout_gives_the_same_clips(folder, ending, layout):
    path = save(folder / f"a{ending}", CLIPS.transpose(["NTCHW".index(letter) for letter in layout]))
    found = recordings(path, Config(layout=layout)).recordings
    assert len(found) == 3
    assert all(np.array_equal(frames_of(each), clip) for each, clip in zip(found, CLIPS, strict=True))
    assert np.array_equal(frames_of(found[1], [1, 2, 6]), CLIPS[1, [1, 2, 6]])


@pytest.mark.parametrize("ending", [".NPY", ".Npz", ".H5"])
def test_endings_may_be_in_capitals(folder, ending):
    path = save(folder / f"a{ending.lower()}", CLIPS).rename(folder / f"b{ending}")
    found = recordings(path, Config(layout="NTCHW")).recordings
    assert all(np.array_equal(frames_of(each), clip) for each, clip in zip(found, CLIPS, strict=True))


def test_a_compressed_npz_gives_them_too(folder):
    np.savez_compressed(folder / "a.npz", clips=CLIPS)
    found = recordings(folder / "a.npz", Config(layout="NTCHW")).recordings
    assert all(np.array_equal(frames_of(each), clip) for each, clip in zip(found, CLIPS, strict=True))


def test_fortran_order_and_big_endian_values_are_no_matter(folder):
    np.save(folder / "a.npy", np.asfortranarray((CLIPS / 255).astype(">f8")))
    (first, *_) = recordings(folder / "a.npy", Config(layout="NTCHW")).recordings
    assert frames_of(first) == pytest.approx(CLIPS[0] / 255, abs=1e-7)


@given(
    st.permutations(list("NTCHW")),
    st.integers(1, 3),
    st.integers(2, 4),
    st.integers(1, 3),
    st.integers(1, 4),
    st.data(),
)
def test_any_part_of_any_layout_is_what_numpy_says(order, n, t, c, h, data):
    """Reading piece by piece against one transposition of the whole."""
    import tempfile
    from pathlib import Path

    values = np.arange(n * t * c * h * 5, dtype=np.uint8).reshape(n, t, c, h, 5)
    row, wanted = data.draw(st.integers(0, n - 1)), sorted(data.draw(st.sets(st.integers(0, t - 1), min_size=1)))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.npy"
        np.save(path, values.transpose(["NTCHW".index(letter) for letter in order]))
        form = forms(path)[""]
        part = arrays.Part("", "".join(order), form, values_of(form, None, (0, 255), "a"))
        found = dict(arrays.ArrayRecording(path, (part,), row).read(wanted))
    assert list(found) == wanted
    assert all(np.array_equal(found[k], values[row, k].transpose(1, 2, 0)) for k in wanted)


# -------------------------------------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((20, 64, 64), "THW"),
        ((20, 1, 64, 64), "TCHW"),
        ((20, 64, 64, 3), "THWC"),
        ((1000, 20, 64, 64), "NTHW"),
        ((2000, 4, 2, 32, 32), "NTCHW"),
        ((200, 4, 32, 32, 3), "NTHWC"),
    ],
)
def test_a_shape_that_can_be_one_thing_only_is_that(shape, layout):
    assert layout_of(shape, None, "a.npy") == layout


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((20, 10_000, 64, 64), ["layout=NTHW (20 clips of 10000 frames", "layout=TNHW (10000 clips of 20 frames"]),
        ((50, 3, 64, 64), ["layout=TCHW (50 frames", "layout=NTHW (50 clips of 3 frames"]),
        ((5, 5), ["such as --set layout=NTCHW"]),
        ((2, 2, 2), ["such as --set layout=NTCHW"]),
    ],
)
def test_a_shape_that_can_be_several_things_is_not_guessed(shape, options):
    with pytest.raises(DataError) as caught:
        layout_of(shape, None, "a.npy")
    assert all(option in str(caught.value) for option in options)


def test_a_layout_of_another_number_of_axes_is_refused():
    with pytest.raises(DataError, match=r"a\.npy has 3 axes \(5, 6, 7\), layout NTHW names 4"):
        layout_of((5, 6, 7), "NTHW", "a.npy")


# -------------------------------------------------------------------------------------------------------------- values


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(0, 2**32))
def test_values_are_mapped_to_the_unit_interval_linearly(black, span, seed):
    white = black + span
    values = np.random.default_rng(seed).uniform(black, white, 50).clip(black, white)
    bounds = float(values.min()), float(values.max())
    how = values_of(Form((50,), np.dtype("f8")), (black, white), bounds, "a")
    found = how.frames(values)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1
    assert found == pytest.approx((values - black) / (white - black), abs=1e-6)


@pytest.mark.parametrize(
    ("dtype", "given_range", "bounds", "said"),
    [
        ("f4", None, (-1.0, 1.0), "outside 0..1: say which are black and white, such as --set value_range=-1,1"),
        ("f4", (0.0, 100.0), (0.0, 120.0), "has values from 0 to 120, outside 0..100"),
        ("f4", None, (math.nan, math.nan), "NaN or infinite"),
        ("f4", None, (0.0, math.inf), "NaN or infinite"),
        ("i8", None, (0.0, 255.0), "int64 values from 0 to 255: .* --set value_range=0,255"),
        ("u2", None, (0.0, 4000.0), "uint16 values from 0 to 4000: .* --set value_range=0,65535"),
    ],
)
def test_values_that_are_not_said_or_not_true_are_refused(dtype, given_range, bounds, said):
    with pytest.raises(DataError, match=said):
        values_of(Form((5,), np.dtype(dtype)), given_range, bounds, "a.npy")


def test_the_extremes_of_an_array_are_found_in_pieces(folder, monkeypatch):
    monkeypatch.setattr(arrays, "_SCANNED", 10)  # fewer than a row
    values = np.random.default_rng(0).normal(size=(9, 4, 5))
    np.save(folder / "a.npy", values)
    assert arrays.bounds_of(folder / "a.npy", "") == (values.min(), values.max())
    values[8, 3, 4] = np.nan
    np.save(folder / "a.npy", values)
    assert all(map(math.isnan, arrays.bounds_of(folder / "a.npy", "")))


def test_bits_are_black_and_white(folder):
    np.save(folder / "a.npy", CLIPS[:, :, 0] > 100)
    (first, *_) = recordings(folder / "a.npy", Config(layout="NTHW")).recordings
    assert np.array_equal(frames_of(first)[:, 0], (CLIPS[0, :, 0] > 100) * 255)


# ------------------------------------------------------------------------------------------------------- many in a file


def taxi(folder, n=6):
    """A file of the form of TaxiBJ: inflow and outflow, four frames before and four after, from -1 to 1."""
    rng = np.random.default_rng(0)
    made = {key: rng.uniform(-1, 1, (n, 4, 2, 32, 32)).astype(np.float32) for key in ("X_train", "Y_train")}
    made |= {key: rng.uniform(-1, 1, (3, 4, 2, 32, 32)).astype(np.float32) for key in ("X_test", "Y_test")}
    np.savez(folder / "dataset.npz", **made)
    return folder / "dataset.npz", made


def test_inputs_and_targets_follow_each_other_in_time(folder):
    path, made = taxi(folder)
    found = recordings(path, Config(value_range=(-1.0, 1.0))).recordings
    assert [each.named_split for each in found] == ["train"] * 6 + ["test"] * 3
    assert {each.length for each in found} == {8}
    expected = (np.concatenate([made["X_test"][1], made["Y_test"][1]]) + 1) / 2
    assert frames_of(found[7]) == pytest.approx(expected, abs=1e-6)
    assert frames_of(found[7], [2, 3, 4, 7]) == pytest.approx(expected[[2, 3, 4, 7]], abs=1e-6)


def test_which_arrays_are_clips_is_not_guessed():
    found = {name: Form((5, 4, 9, 9), np.dtype("u1")) for name in ("day", "night")}
    with pytest.raises(DataError, match=r"which arrays are clips\? a.npz has day \(5, 4, 9, 9\), night"):
        chosen(_path("a.npz"), found, None)
    assert chosen(_path("a.npz"), found, ("night",)) == [("night",)]
    assert chosen(_path("a.npz"), found, ("day+night",)) == [("day", "night")]
    assert chosen(_path("a.npz"), found, ("*",)) == [("day",), ("night",)]
    with pytest.raises(DataError, match=r"no array 'dusk' of numbers; a\.npz has day"):
        chosen(_path("a.npz"), found, ("dusk",))


def _path(name):
    from pathlib import Path

    return Path(name)


@pytest.mark.parametrize(
    ("keys", "split"),
    [
        (["X_train", "Y_train"], "train"),
        (["valid/frames"], "val"),
        (["test"], "test"),
        (["contest"], None),
        (["train", "test"], None),
        (["frames", "train"], None),
    ],
)
def test_names_of_arrays_tell_their_split(keys, split):
    assert split_of_name(keys) == split


def test_clips_of_several_lengths_are_arrays_of_their_own(folder):
    np.savez(folder / "a.npz", walk=CLIPS[0, :, 0], run=CLIPS[1, :4, 0])
    found = recordings(folder / "a.npz", Config(keys=("*",))).recordings
    assert {each.name: each.length for each in found} == {"a.npz:walk": 7, "a.npz:run": 4}


# ----------------------------------------------------------------------------------------------------------- bad input


def pickled(folder, name):
    path = folder / name
    objects = np.array([{"a": 1}, None], dtype=object)
    if path.suffix == ".npy":
        np.save(path, objects)
    elif path.suffix == ".npz":
        np.savez(path, frames=objects)
    else:
        zarr.create_array(str(path), shape=(4, 8, 8), dtype="u1", zarr_format=2, chunks=(4, 8, 8))[:] = 1
        metadata = json.loads((path / ".zarray").read_text())
        metadata["filters"] = [{"id": "pickle", "protocol": 5}]
        (path / ".zarray").write_text(json.dumps(metadata))
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.zarr"])
def test_pickled_objects_are_never_opened(folder, name):
    with pytest.raises(Unreadable, match=rf"{name} cannot be read \(.*pickled objects, which are never opened"):
        forms(pickled(folder, name))


def test_a_pickle_that_would_act_does_not(folder):
    class Bomb:
        def __reduce__(self):
            return (exec, (f"open({str(folder / 'done')!r}, 'w')",))

    np.save(folder / "a.npy", np.array([Bomb()], dtype=object))
    with pytest.raises(DataError):
        recordings(folder / "a.npy", Config())
    assert not (folder / "done").exists()


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked(folder, monkeypatch):
    np.savez_compressed(folder / "a.npz", frames=np.zeros((100, 64, 64), dtype=np.uint8))
    monkeypatch.setattr(containers, "MAX_UNPACKED", 100 * 64 * 64 - 1)
    with pytest.raises(Unreadable, match=r"a\.npz cannot be read \(its arrays unpack to more than"):
        forms(folder / "a.npz")


def test_a_header_that_claims_more_than_the_zip_has_is_bounded_too(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**4, 10**4)}
    )
    with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("frames.npy", header.getvalue())
    with pytest.raises(Unreadable, match="unpack to more than"):
        forms(folder / "a.npz")


def damaged(path, how):
    save(path, CLIPS)
    if how == "cut off" and path.is_file():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif how == "empty" and path.is_file():
        path.write_bytes(b"")
    elif how == "nonsense" and path.is_file():
        path.write_bytes(b"nonsense" * 100)
    else:
        (path / "zarr.json").write_text("{" if how == "cut off" else "")
    return path


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.h5", "a.zarr"])
@pytest.mark.parametrize("how", ["cut off", "empty", "nonsense"])
def test_a_damaged_array_file_is_named(folder, name, how):
    with pytest.raises(Unreadable, match=rf"{name} cannot be read \("):
        recordings(damaged(folder / name, how), Config(layout="NTCHW"))


def test_a_claim_of_more_frames_than_there_are_is_a_cut_off_file(folder):
    np.save(folder / "a.npy", CLIPS)
    content = (folder / "a.npy").read_bytes()
    (folder / "a.npy").write_bytes(content.replace(b"(3, 7,", b"(9, 7,"))
    with pytest.raises(Unreadable, match=r"is cut off: it claims uint8 \(9, 7, 2, 9, 10\)"):
        forms(folder / "a.npy")


@pytest.mark.parametrize("shape", [(5, 10**6, 10**6), (10**9, 5, 16, 16), (10**9, 16, 16)])
def test_a_sparse_file_that_claims_too_much_is_refused_before_it_is_read(folder, shape):
    zarr.create_array(str(folder / "a.zarr"), shape=shape, chunks=(1,) * len(shape), dtype="u1")
    with pytest.raises(Unreadable, match=r"a\.zarr claims shape .* at most 67108864 pixels, 10000000 frames"):
        recordings(folder / "a.zarr", Config(layout="NTHW"[-len(shape) :]))


def test_damage_inside_is_found_before_anything_is_run(folder):
    np.savez_compressed(folder / "a.npz", frames=np.random.default_rng(0).integers(0, 256, (9, 32, 32), dtype=np.uint8))
    content = bytearray((folder / "a.npz").read_bytes())
    content[4000:4010] = bytes(10)
    (folder / "a.npz").write_bytes(content)
    with pytest.raises(Unreadable, match=r"a\.npz cannot be read \("):
        recordings(folder / "a.npz", Config())


def test_an_empty_array_is_refused(folder):
    np.save(folder / "a.npy", np.zeros((0, 5, 16, 16), dtype=np.uint8))
    with pytest.raises(DataError, match=r"a\.npy .*is empty: its shape is \(0, 5, 16, 16\)"):
        recordings(folder / "a.npy", Config(layout="NTHW"))


@pytest.mark.parametrize(("name", "module"), [("a.zarr", "zarr"), ("a.h5", "h5py")])
def test_what_is_not_installed_is_named_with_its_remedy(folder, monkeypatch, name, module):
    save(folder / name, CLIPS)
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(DataError, match=rf"needs {module}: pip install 'vpbench-clips\[{module}\]'$"):
        recordings(folder, Config(skip_unreadable=True))  # which is about files, not about what is installed
