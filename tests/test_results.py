"""Records through real files, real processes and a disk that misbehaves."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpbench import results as module
from vpbench import storage
from vpbench.errors import Busy, ExitCode, RecordError, StorageError
from vpbench.results import (
    Record,
    canonical,
    cell_id,
    claim,
    encode,
    identity_of,
    iter_records,
    read_record,
    record_path,
    task_slug,
    write_record,
    write_sidecar,
)
from vpbench.storage import holding, replacing

GOLDEN = Path(__file__).parent / "data" / "results" / "v1"
GOLDEN_FILES = sorted(GOLDEN.glob("*/*/*.json"))


def make_identity(**changes):
    given = {
        "model": {"name": "copy-last", "version": "1", "config": {}, "weights_sha256": None},
        "dataset": {"name": "moving-mnist", "version": "1", "config": {}, "fingerprint": "f00d"},
        "split": "test",
        "task": {"kind": "extrapolate", "context": 10, "horizon": 90},
        "clips": 4,
        "seed": 0,
    }
    return identity_of(**(given | changes))


def make_score(**changes):
    return {
        "version": "1",
        "definition": "mean squared error",
        "unit": "",
        "convention": "vpbench",
        "higher_is_better": False,
        "distribution": "d",
        "statistics": ["d/e"],
        "value": 0.25,
        "low": 0.2,
        "high": 0.3,
        "n": 4,
        "per_step": [0.25, 0.25],
        "per_step_stderr": [0.01, None],
    } | changes


def make_record(**changes):
    given = {
        "identity": make_identity(),
        "status": "ok",
        "about": {"role": "floor"},
        "scores": {"mse": make_score()},
        "statistics": {"d/e": [0.1, 0.2, None, 0.3]},
        "started": "2025-01-01T00:00:00Z",
        "finished": "2025-01-01T00:00:01Z",
    }
    return Record(**(given | changes))


def files_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------------------ identity


def test_cell_id_is_the_hash_of_canonical_json():
    """The definition, spelled out: nobody's finished cells may be orphaned by a change here."""
    assert canonical({"b": [1, 2.5], "a": {"é": None}}) == '{"a":{"é":null},"b":[1,2.5]}'
    assert cell_id(make_identity()) == "4723a5e86f7f"


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"clips": 5},
        {"dtype": "bfloat16"},
        {"split": "val"},
        {"task": {"kind": "extrapolate", "context": 10, "horizon": 10}},
        {"model": {"name": "copy-last", "version": "1", "config": {"k": 2}, "weights_sha256": None}},
    ],
)
def test_every_part_of_the_identity_is_in_the_cell_id(change):
    assert cell_id(make_identity(**change)) != cell_id(make_identity())


def test_cell_id_ignores_key_order_and_container_types():
    config = {"b": (1, 2), "a": np.float32(0.5), "c": np.arange(2)}
    model = {"weights_sha256": None, "config": config, "version": "1", "name": "m"}
    plain = {"name": "m", "version": "1", "config": {"a": 0.5, "b": [1, 2], "c": [0, 1]}, "weights_sha256": None}
    assert cell_id(make_identity(model=model)) == cell_id(make_identity(model=plain))


def test_path_says_dataset_model_task_and_cell():
    path = record_path("results", make_identity())
    assert path == Path("results/moving-mnist/copy-last") / f"extrapolate-10-90-{cell_id(make_identity())}.json"
    assert task_slug({"kind": "swap"}) == "swap"


@pytest.mark.parametrize("name", ["my-model", "PhyDNet_v2.1", "a", "0"])
def test_names_of_file_models_are_fine(name):
    model = make_identity()["model"] | {"name": name}
    assert record_path("r", make_identity(model=model)).parent.name == name


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "a\\b", "/etc", ".hidden", "a b", "nul", "CON.x", "a.", "x" * 101, 7]
)
def test_names_that_would_leave_the_folder_are_refused(name):
    model = make_identity()["model"] | {"name": name}
    with pytest.raises(RecordError, match="cannot be part of a path"):
        make_identity(model=model)
    dataset = make_identity()["dataset"] | {"name": name}
    with pytest.raises(RecordError, match="cannot be part of a path"):
        make_identity(dataset=dataset)


def test_an_incomplete_identity_says_what_it_lacks():
    with pytest.raises(RecordError, match=r"identity\.model lacks config, weights_sha256"):
        make_identity(model={"name": "m", "version": "1"})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"seed": None}, "identity.seed is None, it must be a whole number from 0"),
        ({"clips": -1}, "identity.clips is -1"),
        ({"split": 3}, "identity.split is a number, it must be a string"),
        ({"task": {"kind": "swap", "horizon": "90"}}, "identity.task.horizon is '90'"),
    ],
)
def test_an_identity_of_wrong_types_is_refused(change, why):
    with pytest.raises(RecordError, match=why):
        make_identity(**change)


@pytest.mark.parametrize(("value", "what"), [(object(), "of type object"), (float("nan"), "nan"), ({1: 2}, "key 1")])
def test_a_config_that_is_not_json_is_named(value, what):
    model = make_identity()["model"] | {"config": {"rate": value}}
    with pytest.raises(RecordError, match=rf"identity\.model\.config\.rate.*{what}"):
        make_identity(model=model)


# ------------------------------------------------------------------------------------------------- writing and reading


def test_a_record_survives_the_disk(tmp_path):
    record = make_record(cost={"frames_per_s": 1234.5678901234567, "nfe": None})
    path = write_record(tmp_path, record)
    assert path == record_path(tmp_path, record.identity)
    found = read_record(path)
    assert found == record
    assert found.path == path
    assert files_in(tmp_path) == [path.name]


def test_the_same_record_gives_the_same_bytes_whatever_the_order_of_keys():
    record = make_record(cost={"b": 1, "a": {"y": 1, "x": [1.5]}})
    turned = make_record(cost={"a": {"x": (1.5,), "y": 1}, "b": 1}, identity=dict(reversed(make_identity().items())))
    assert encode(turned) == encode(record)


def test_statistics_have_six_digits_on_one_line_and_the_rest_keeps_all():
    value = 0.123456789012345
    record = make_record(
        statistics={"d/e": [value, 1234567.0, 1e-12 / 3, float("nan")]},
        scores={"mse": make_score(value=value, per_step=[value], per_step_stderr=[None])},
        cost={"times": [value, 1.0]},
    )
    lines = encode(record).splitlines()
    assert '    "d/e": [0.123457,1.23457e+06,3.33333e-13,null]' in lines
    assert '      "per_step": [0.123457],' in lines
    assert f'      "value": {value},' in lines
    assert f'    "times": [{value}, 1.0]' in lines


def test_reading_and_writing_again_changes_no_byte(tmp_path):
    rng = np.random.default_rng(0)
    record = make_record(statistics={"d/e": rng.lognormal(-3, 5, 4)}, identity=make_identity())
    path = write_record(tmp_path, record)
    before = path.read_bytes()
    write_record(tmp_path, read_record(path))
    assert path.read_bytes() == before


def test_unknown_keys_are_kept(tmp_path):
    record = make_record(extra={"note": {"by": "hand"}}, machine={"fan": "loud"})
    found = read_record(write_record(tmp_path, record))
    assert found.extra == {"note": {"by": "hand"}}
    assert found.machine == {"fan": "loud"}


def test_a_failure_is_a_record_too(tmp_path):
    reason = {"phase": "predict", "type": "ModelFailed", "message": "step size 1e-12\nat t = 3"}
    record = make_record(status="failed", reason=reason, scores={}, statistics={})
    assert read_record(write_record(tmp_path, record)).reason == reason


@pytest.mark.parametrize(("status", "reason"), [("ok", {"phase": "x"}), ("failed", None), ("done", None)])
def test_status_and_reason_agree(status, reason):
    with pytest.raises(RecordError, match="status is"):
        make_record(status=status, reason=reason)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"scores": {"mse": make_score(value=float("inf"))}}, r"scores\.mse\.value is inf"),
        ({"cost": {"nfe": float("nan")}}, r"cost\.nfe is nan"),
        ({"statistics": {"d/e": [0.1]}}, "n 4 but .* has 1 values"),
        ({"statistics": {}}, "made from 'd/e', which is not in statistics"),
        ({"scores": {"mse": {"value": 1.0}}}, "lacks version, definition"),
        ({"software": {"torch": object()}}, "software.torch is of type object"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, changes, why):
    with pytest.raises(RecordError, match=rf"'copy-last' cannot be written: .*{why}"):
        write_record(tmp_path, make_record(**changes))
    assert files_in(tmp_path) == []


def test_a_written_file_has_the_permissions_of_any_file(tmp_path):
    """Temporary files of the standard library are private, and results are shared."""
    path = write_record(tmp_path, make_record())
    (tmp_path / "plain").write_text("")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode


# --------------------------------------------------------------------------------------------------- a damaged folder


def damaged(tmp_path, change):
    path = write_record(tmp_path, make_record())
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d: d.pop("statistics"), "the record lacks statistics"),
        (lambda d: d.pop("identity"), "the record lacks identity"),
        (lambda d: d["identity"].update(seed=7), "hashes to .* edited"),
        (lambda d: d.update(cell="0" * 12), "hashes to .* edited"),
        (lambda d: d.update(schema=99), r"schema 99, this vpbench reads up to 1: upgrade vpbench$"),
        (lambda d: d.update(schema="1"), "schema is '1'"),
        (lambda d: d.update(schema=True), "schema is True"),
        (lambda d: d.update(scores=[]), "scores is a list"),
        (lambda d: d["statistics"].update({"d/e": [1, 2, 3, "4"]}), "must be a list of finite numbers and nulls"),
        (lambda d: d["statistics"].update({"d/e": [1, 2, 3, True]}), "must be a list of finite numbers and nulls"),
        (lambda d: d.update(status="failed"), "a reason belongs to all but ok"),
    ],
)
def test_a_damaged_record_is_one_line_with_file_and_fix(tmp_path, change, why):
    path = damaged(tmp_path, change)
    with pytest.raises(RecordError, match=why) as caught:
        read_record(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert ("upgrade vpbench" in message) != ("delete it and run the cell again" in message)
    assert caught.value.exit_code == ExitCode.DATA


def test_a_record_cut_anywhere_is_refused_and_the_rest_is_read(tmp_path):
    whole = write_record(tmp_path, make_record())
    cut = write_record(tmp_path, make_record(identity=make_identity(seed=1)))
    data = cut.read_bytes()
    for length in (0, 1, len(data) // 2, len(data) - 3):
        cut.write_bytes(data[:length])
        records, problems = iter_records(tmp_path)
        assert [record.path for record in records] == [whole]
        (problem,) = problems
        assert str(problem).startswith(f"{cut}: not a whole JSON file")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"[1, 2]", b"NaN", b"null", b"[" * 100_000, b'{"schema": 1e999}'])
def test_files_that_are_no_records_are_refused(tmp_path, data):
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"x\.json: "):
        read_record(path)


def test_a_missing_file_is_a_record_error(tmp_path):
    with pytest.raises(RecordError, match="cannot be read: No such file"):
        read_record(tmp_path / "none.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-1, 1) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_edit_of_a_record_is_read_or_refused(data):
    """Whatever a text editor or a merge does, there is no other exception."""
    document = json.loads(encode(make_record()))
    node, path = document, []
    while isinstance(node, dict) and node and (not path or data.draw(st.booleans())):
        key = data.draw(st.sampled_from(sorted(node)))
        path.append((node, key))
        node = node[key]
    parent, key = path[-1]
    parent[key] = data.draw(JSON)
    if isinstance(document["identity"], dict) and data.draw(st.booleans()):
        document["cell"] = cell_id(document["identity"])
    with suppress(RecordError):
        record = Record.from_dict(document)
        assert Record.from_dict(json.loads(encode(record))).cell == record.cell


def test_records_come_in_the_order_of_their_paths(tmp_path):
    names = ["zebra", "black", "copy-last"]
    for name in names:
        for seed in range(3):
            model = make_identity()["model"] | {"name": name}
            write_record(tmp_path, make_record(identity=make_identity(model=model, seed=seed)))
    records, problems = iter_records(tmp_path)
    assert not problems
    assert [record.path for record in records] == sorted(record.path for record in records)
    assert len(records) == 9


def test_a_cell_that_is_there_twice_counts_once(tmp_path):
    path = write_record(tmp_path, make_record())
    shutil.copy(path, path.with_name("z-copy.json"))
    records, problems = iter_records(tmp_path)
    assert [record.path for record in records] == [path]
    assert str(problems[0]) == f"{path.with_name('z-copy.json')}: the same cell as {path}: delete one of them"


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    path = write_record(tmp_path, make_record())
    (tmp_path / "published.json").write_text("{}")
    (tmp_path / "board.md").write_text("")
    path.with_suffix(".npz").write_bytes(b"")
    path.with_suffix(".lock").write_text("")
    path.with_name(f".{path.name}.1-2.tmp").write_text("{")
    records, problems = iter_records(tmp_path)
    assert (len(records), problems) == (1, [])
    assert iter_records(tmp_path / "nowhere") == ([], [])


# ------------------------------------------------------------------------------------------------------------ upgrades


def test_frozen_files_of_schema_1_are_read_for_ever():
    records, problems = iter_records(GOLDEN)
    assert problems == []
    assert len(records) == len(GOLDEN_FILES) == 6
    assert {record.status for record in records} == {"ok", "failed", "skipped"}
    by_name = {record.model["name"]: record for record in records}
    assert by_name["latentode"].scores["psnr-pooled"]["value"] == 16.388807813486125
    assert by_name["latentode"].about["training"]["sequences"] == 640000
    assert by_name["convlstm"].reason["message"] == "frame 7 of clip 3 is not finite"


@pytest.mark.parametrize("path", GOLDEN_FILES, ids=lambda path: path.parent.name)
def test_frozen_files_are_still_written_byte_for_byte(tmp_path, path):
    written = write_record(tmp_path, read_record(path))
    assert written.relative_to(tmp_path) == path.relative_to(GOLDEN)
    assert written.read_bytes() == path.read_bytes()


def test_older_schemas_go_through_every_upgrade_in_turn(monkeypatch, tmp_path):
    path = write_record(tmp_path, make_record())
    calls = []

    def to_2(document):
        calls.append((1, document["schema"]))
        identity = document["identity"] | {"precision": document["identity"]["dtype"]}
        return {**document, "identity": identity}

    def to_3(document):
        calls.append((2, document["identity"]["precision"]))
        return {**document, "colour": "grey"}

    monkeypatch.setattr(module, "SCHEMA", 3)
    monkeypatch.setattr(module, "UPGRADES", {1: to_2, 2: to_3})
    record = read_record(path)
    assert calls == [(1, 1), (2, "float32")]
    assert record.extra == {"colour": "grey"}
    # The upgrade changed the identity, so the cell has another id now, and is written so.
    assert record.cell != path.stem.rsplit("-", 1)[1]
    assert json.loads(encode(record))["schema"] == 3


def test_an_upgrade_that_trips_is_a_record_error(monkeypatch, tmp_path):
    path = write_record(tmp_path, make_record())
    monkeypatch.setattr(module, "SCHEMA", 2)
    monkeypatch.setattr(module, "UPGRADES", {1: lambda document: document["gone"]})
    with pytest.raises(RecordError, match=r"cannot be upgraded from schema 1: KeyError\('gone'\)"):
        read_record(path)


# ------------------------------------------------------------------------------------------------------------- storage


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EROFS, "Read-only file system; choose a folder on a disk that can be written"),
        (errno.EACCES, "Permission denied; choose a folder you may write to"),
        (errno.EIO, "Input/output error; choose another folder"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_is_one_line_and_leaves_the_old_record(tmp_path, monkeypatch, number, advice, call):
    path = write_record(tmp_path, make_record())
    before = path.read_bytes()

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, call, refuse)
        with pytest.raises(StorageError) as caught:
            write_record(tmp_path, make_record(cost={"new": 1}))
    assert str(caught.value).startswith(f"cannot write {path}: {advice}")
    assert caught.value.exit_code == ExitCode.STORAGE
    assert path.read_bytes() == before
    assert files_in(tmp_path) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are POSIX")
def test_a_real_limit_of_the_system_is_met(tmp_path):
    """Not simulated: the kernel stops the write half way."""
    code = """
        import resource, signal, sys
        from vpbench.results import read_record, write_record
        from vpbench.errors import StorageError
        record = read_record(sys.argv[1])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            write_record(sys.argv[2], record)
        except StorageError as error:
            print(error)
    """
    golden = next(path for path in GOLDEN_FILES if path.parent.name == "latentode")
    done = run_python(code, golden, tmp_path)
    assert "File too large; raise the limit" in done.stdout
    assert files_in(tmp_path) == []


def test_a_file_in_the_way_is_a_storage_error(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(StorageError, match="a part of this path is a file"):
        write_record(tmp_path / "results", make_record())
    with (
        pytest.raises(StorageError, match="a part of this path is a file"),
        claim(tmp_path / "results", make_identity()),
    ):
        pass


def test_a_folder_in_the_way_is_a_storage_error(tmp_path):
    record_path(tmp_path, make_identity()).mkdir(parents=True)
    with pytest.raises(StorageError, match="there is a folder of this name"):
        write_record(tmp_path, make_record())


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kill_between_writing_and_renaming_leaves_the_old_record(tmp_path):
    path = write_record(tmp_path, make_record())
    before = path.read_bytes()
    code = """
        import os, signal, sys
        from dataclasses import replace
        from vpbench import results, storage
        record = results.read_record(sys.argv[1])
        storage.os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
        results.write_record(sys.argv[2], replace(record, cost={"new": 1}))
    """
    done = run_python(code, path, tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert len(files_in(tmp_path)) == 2  # the temporary file is still there
    assert iter_records(tmp_path)[1] == []
    with claim(tmp_path, make_identity()):  # and goes when someone takes the cell up again
        assert files_in(tmp_path) == [path.name, path.with_suffix(".lock").name]


def test_an_interrupted_block_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:  # noqa: PT012
        file.write(b"new")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert files_in(tmp_path) == ["file"]


def test_sidecar_holds_the_arrays_beside_the_record(tmp_path):
    path = write_record(tmp_path, make_record())
    arrays = {"d/e": np.arange(6.0).reshape(2, 3), "d/f": np.ones((2, 3), dtype=np.float32)}
    sidecar = write_sidecar(path, arrays)
    assert sidecar == path.with_suffix(".npz")
    with np.load(sidecar) as found:
        assert sorted(found) == ["d/e", "d/f"]
        np.testing.assert_array_equal(found["d/e"], arrays["d/e"])
        assert found["d/f"].dtype == np.float32
    assert files_in(tmp_path) == [path.name, sidecar.name]


# ------------------------------------------------------------------------------------------------------------- locking


def run_python(code, *arguments, check=True):
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


HOLDER = """
    import sys, json
    from vpbench.results import claim
    with claim(sys.argv[1], json.loads(sys.argv[2])):
        print("held", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the cell."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path), json.dumps(make_identity())]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_cell_is_computed_by_one_process_at_a_time(tmp_path, holder):
    with pytest.raises(Busy, match=rf"copy-last is being worked on by process {holder.pid}@") as caught:
        claim(tmp_path, make_identity()).__enter__()
    assert caught.value.exit_code == ExitCode.BUSY
    with claim(tmp_path, make_identity(seed=1)):  # another cell is free
        pass
    holder.communicate("\n")
    with claim(tmp_path, make_identity()) as path:
        assert path == record_path(tmp_path, make_identity())


@pytest.mark.skipif(storage.fcntl is None, reason="without flock the lock outlives a kill, as documented")
def test_killing_the_holder_frees_the_cell(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert files_in(tmp_path) == [record_path(tmp_path, make_identity()).with_suffix(".lock").name]
    with claim(tmp_path, make_identity()):
        pass
    assert files_in(tmp_path) == []


def test_a_claim_is_not_granted_twice_within_a_process_and_ends_with_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), claim(tmp_path, make_identity()):  # noqa: PT012
        with pytest.raises(Busy):
            claim(tmp_path, make_identity()).__enter__()
        raise ZeroDivisionError
    assert files_in(tmp_path) == []
    with claim(tmp_path, make_identity()):
        pass


RACER = """
    import sys, time
    from pathlib import Path
    from vpbench.errors import Busy
    from vpbench.storage import holding
    folder = Path(sys.argv[1])
    taken = 0
    end = time.monotonic() + 20
    while taken < 150 and time.monotonic() < end:
        try:
            with holding(folder / "race.lock", what="the race"):
                (folder / "inside").mkdir()  # fails when someone else is inside
                (folder / "inside").rmdir()
                taken += 1
        except Busy:
            pass
    print(taken)
"""


def test_removing_the_lock_file_never_lets_two_in(tmp_path):
    """The classical race: one process opens the file, the holder unlinks it, a third makes a new one."""
    command = [sys.executable, "-c", textwrap.dedent(RACER), str(tmp_path)]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [racer.communicate(timeout=60)[0] for racer in racers] == ["150\n"] * 3
    assert all(racer.returncode == 0 for racer in racers)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("how", ["no fcntl", "a disk without flock"])
def test_without_flock_the_file_itself_is_the_lock(tmp_path, monkeypatch, how):
    lock = tmp_path / "x.lock"
    if how == "no fcntl":
        monkeypatch.setattr(storage, "fcntl", None)
    else:

        def refuse(*args):
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

        monkeypatch.setattr(storage.fcntl, "flock", refuse)
    with holding(lock, what="training"):
        with pytest.raises(Busy, match=rf"process {os.getpid()}@.*; if that process is gone, delete .*x\.lock"):
            holding(lock, what="training").__enter__()
        assert lock.exists()
    assert not lock.exists()


# -------------------------------------------------------------------------------------------------------------- others


def test_only_the_standard_library_is_imported():
    code = "import sys, vpbench.results; print([m for m in ('torch', 'numpy', 'pandas') if m in sys.modules])"
    assert run_python(code).stdout == "[]\n"


def test_records_are_not_changed_by_being_written(tmp_path):
    record = make_record()
    before = deepcopy(record)
    write_record(tmp_path, record)
    assert record == before
    assert replace(record, path=tmp_path) == record  # where it was read from is not part of it
