"""`vpbench doctor`: what it finds, what it keeps to itself, and that nothing it looks at can end it."""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from vpbench.cli import main
from vpbench.doctor import Diagnosis, Finding, diagnose, examination, tiny_evaluation
from vpbench.doctor.isolation import examine
from vpbench.doctor.privacy import anonymous, is_secret
from vpbench.errors import ExitCode

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution with one plugin where Python finds it; no other plugin is loaded."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("VPBENCH_PLUGIN_ERRORS", raising=False)
    names: list[str] = []

    def put(name: str, entry: str, *, metadata: str = "", **modules: str) -> None:
        module = name.replace("-", "_")
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}")
        (info / "entry_points.txt").write_text(f"[vpbench]\n{name} = {module}\n")
        (folder / f"{module}.py").write_text(entry)
        for body, source in modules.items():
            (folder / f"{body}.py").write_text(source)
        names.append(name)
        monkeypatch.setenv("VPBENCH_PLUGINS", ",".join(names))

    return put


def model(name: str, body: str, extra: str = "") -> str:
    return (
        "import vpbench\n\n@vpbench.hookimpl\ndef vpbench_models():\n"
        f"    yield vpbench.ModelSpec(name={name!r}, factory='{body}:Model', summary='s', version='1'{extra})\n"
    )


def of(diagnosis: Diagnosis, part: str) -> dict[str, Finding]:
    return {each.what: each for each in diagnosis.findings if each.part == part}


class TestWhatIsFound:
    def test_an_installation_that_works(self, monkeypatch: pytest.MonkeyPatch) -> None:
        selected = "metrics,baselines,movingmnist,latentode,latentode-small"
        monkeypatch.setenv("VPBENCH_PLUGINS", selected)
        found = diagnose()
        assert not found.broken, found.as_text()
        assert of(found, "python")["version"].found.startswith(platform.python_version())
        assert of(found, "torch").keys() >= {"version", "CUDA", "threads"}
        assert "the score is as it must be" in of(found, "evaluation")["cpu"].found
        assert of(found, "datasets")["moving-mnist"].found == "there"
        weights = [each.found for each in of(found, "weights").values()]
        counts = {"latentode": 2, "latentode-small": 1, "convlstm-small": 1, "phydnet-small": 1}
        for model, count in counts.items():
            assert len([text for text in weights if f"for {model} on moving-mnist" in text]) == count, weights
        assert of(found, "environment")["VPBENCH_PLUGINS"].found == selected
        assert of(found, "packages").keys() >= {"numpy", "torch", "click", "torchdiffeq"}
        assert {"cache", "data", "temporary", "working"} == of(found, "folders").keys()
        parts = [each.part for each in found.findings]
        assert [part for n, part in enumerate(parts) if part not in parts[:n]] == [
            part for n, part in enumerate(parts) if n == 0 or parts[n - 1] != part
        ], "findings of one part are apart"

    def test_the_closed_form_is_what_a_plain_loop_gives(self) -> None:
        data = tiny_evaluation.Brightening(None)
        times = np.tile(np.arange(8.0), (4, 1))
        frames = data.clips("test", range(4), times).frames.astype(np.float64) / 255
        errors = [
            (frames[clip, 2, 0, y, x] - frames[clip, step, 0, y, x]) ** 2
            for clip in range(4)
            for step in range(3, 8)
            for y in range(4)
            for x in range(4)
        ]
        assert np.mean(errors) == pytest.approx(tiny_evaluation.EXPECTED_ERROR, rel=1e-12)
        assert tiny_evaluation.tiny_score("cpu") == pytest.approx(np.mean(errors), rel=1e-5)

    def test_a_device_that_computes_something_else_is_broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tiny_evaluation, "EXPECTED_ERROR", tiny_evaluation.EXPECTED_ERROR * 1.001)
        (finding,) = (each for each in dict(examination.steps(quick=False))["evaluation"]() if each.what == "cpu")
        assert finding.status == "broken"
        assert "must be" in finding.found

    def test_packages_that_are_missing_or_too_old_are_broken(self, install: Callable[..., None]) -> None:
        needs = "Requires-Dist: numpy>=99\nRequires-Dist: no-such-thing>=2\nRequires-Dist: also-none; extra == 'test'\n"
        install("demanding", model("demanding", "body"), metadata=needs, body="class Model: pass")
        found = of(diagnose(quick=True), "packages")
        assert found["numpy"].status == found["no-such-thing"].status == "broken"
        assert f"{np.__version__}, demanding needs >=99" in found["numpy"].found
        assert found["no-such-thing"].advice == "run pip install 'no-such-thing>=2'"
        assert "also-none" not in found
        assert found["click"].status == "ok"

    def test_weights_that_are_not_there_are_broken(self, install: Callable[..., None]) -> None:
        shape = "dataset='d', frame_shape=(1, 8, 8), context=2"
        weights = f"vpbench.Weights(file='json:none.safetensors', sha256='0' * 64, {shape})"
        install(
            "bare",
            model("bare", "body", f", learns='weights', weights=({weights},)"),
            body="class Model: pass",
        )
        found = of(Diagnosis(list(examine())), "weights")["none.safetensors"]
        assert (found.status, found.advice) == ("broken", "reinstall bare")

    @posix
    def test_a_folder_that_cannot_be_written_is_broken(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("VPBENCH_CACHE", str(tmp_path / "file" / "cache"))
        monkeypatch.setenv("VPBENCH_PLUGINS", "metrics")
        found = of(diagnose(quick=True), "folders")["cache"]
        assert (found.status, found.advice) == ("broken", "name another with VPBENCH_CACHE")


class TestNothingEndsIt:
    @posix
    def test_plugins_that_fail_crash_hang_and_print_cost_a_line_each(self, install: Callable[..., None]) -> None:
        install("raises", model("raises", "raising"), raising="raise RuntimeError('no luck')")
        install(
            "crashes", model("crashes", "crashing"), crashing="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
        )
        install("exits", model("exits", "exiting"), exiting="import os; os._exit(7)")
        install("hangs", model("hangs", "hanging"), hanging="import time; time.sleep(60)")
        install("leaves", model("leaves", "leaving"), leaving="import sys; sys.exit('bye')")
        install("prints", model("prints", "printing"), printing="print('{')\nclass Model: pass")
        install("breaks", "import nothing_of_this_name")
        broken = {each.what: each for each in examine(patience_s=4) if each.status == "broken"}
        told = {what: each.found for what, each in broken.items()}
        assert told == {
            "breaks 1.0 (breaks)": "import: ModuleNotFoundError: No module named 'nothing_of_this_name'",
            "model raises of raises 1.0 (raises)": "RuntimeError: no luck",
            "model crashes": "ended by SIGSEGV",
            "model exits": "ended with code 7",
            "model hangs": "not done after 4 s",
            "model leaves of leaves 1.0 (leaves)": "SystemExit: bye",
        }
        assert all(each.advice for each in broken.values())

    @posix
    def test_an_entry_module_that_crashes_leaves_the_rest_to_be_seen(self, install: Callable[..., None]) -> None:
        install("fatal", "import os, signal; os.kill(os.getpid(), signal.SIGABRT)")
        found = list(examine())
        (broken,) = (each for each in found if each.status == "broken")
        assert (broken.part, broken.found) == ("plugins", "ended by SIGABRT")
        assert "VPBENCH_PLUGINS" in broken.advice
        assert any(each.part == "evaluation" and each.status == "ok" for each in found)

    @posix
    @pytest.mark.parametrize(
        ("torch", "told"),
        [
            ("raise OSError('libtorch.so: cannot open shared object file')", "OSError: libtorch.so: cannot open"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "ended by SIGILL"),
            ("import time; time.sleep(60)", "not done after 4 s"),
        ],
        ids=["cannot be imported", "built for another processor", "hangs"],
    )
    def test_a_torch_that_is_broken_is_the_only_finding(
        self, torch: str, told: str, install: Callable[..., None]
    ) -> None:
        install("fine", model("fine", "body"), body="class Model: pass", torch=torch)
        found = list(examine(patience_s=4))
        (broken,) = (each for each in found if each.status == "broken")
        assert broken.part == "torch"
        assert told in broken.found
        assert "reinstall torch" in broken.advice
        assert [each.found for each in found if each.part == "plugins"] == ["1 model"]

    def test_quick_does_not_touch_torch_or_bodies(self, install: Callable[..., None]) -> None:
        install("fine", model("fine", "body"), body="raise RuntimeError", torch="raise RuntimeError")
        found = list(examine(quick=True))
        assert [(each.part, each.what, each.status) for each in found] == [("plugins", "fine 1.0 (fine)", "ok")]

    def test_no_plugin_at_all_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "")
        (found,) = examine(quick=True)
        assert (found.found, found.status) == ("none", "broken")


class TestWhatItKeepsToItself:
    def test_home_user_and_host_are_not_in_a_report(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, install: Callable[..., None]
    ) -> None:
        home = tmp_path / "home" / "ada.lovelace"
        home.mkdir(parents=True)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("LOGNAME", "ada.lovelace")
        monkeypatch.setenv("VPBENCH_DATA", "/scratch/ada.lovelace/data")
        monkeypatch.setenv("VPBENCH_CACHE", str(home / "cache"))
        monkeypatch.setenv("VPBENCH_UPLOAD_TOKEN", "hunter2")
        monkeypatch.setenv("VPBENCH_TORONTO_URL", "https://ada:pass@mirror.example/file.npy?key=abc")
        install("broken", f"open({str(home / 'missing.txt')!r})")
        text = diagnose(quick=True).as_text() + json.dumps(diagnose(quick=True).as_json())
        for secret in ("ada", "lovelace", "hunter2", "pass@", "abc"):
            assert secret not in text
        assert "~/cache" in text
        assert "/scratch/USER/data" in text
        assert "https://…@mirror.example/file.npy?…" in text
        assert "No such file or directory: '~/missing.txt'" in text

    @given(name=st.from_regex(r"[a-z][a-z0-9._-]{2,12}", fullmatch=True))
    def test_a_host_is_not_told_whatever_its_name(self, name: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(platform, "node", lambda: name)
            told = anonymous()(f"cannot reach {name}: refused")
        assert told == "cannot reach HOST: refused" or name == "localhost" or name in "cannot reach : refused HOST"

    def test_words_that_merely_contain_a_name_stay(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/torch")
        monkeypatch.setenv("LOGNAME", "torch")
        without = anonymous()
        assert without("torch 2.4 in /opt/torchvision, /data/torch/x and /home/torch/lib, /home/torchlight") == (
            "torch 2.4 in /opt/torchvision, /data/USER/x and ~/lib, /home/torchlight"
        )

    def test_variables_that_name_secrets(self) -> None:
        assert is_secret("VPBENCH_API_KEY")
        assert is_secret("VPBENCH_Password")
        assert not is_secret("VPBENCH_CACHE")


class TestTheCommand:
    def run(self, *words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(main, ["doctor", *words], prog_name="vpbench")
        return result.exit_code, result.stdout, result.stderr

    def test_all_is_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("VPBENCH_PLUGINS", "metrics")
        code, out, err = self.run("--quick")
        assert (code, err) == (ExitCode.OK, "")
        assert re.search(r"^  vpbench-metrics \S+ \(metrics\) +\d+ metrics$", out, flags=re.MULTILINE)

    def test_what_is_broken_is_a_line_that_says_what_to_do(self, install: Callable[..., None]) -> None:
        install("broken", "raise ValueError('on purpose')")
        code, out, err = self.run("--quick")
        assert code == ExitCode.FAILED
        (line,) = err.splitlines()
        assert line.startswith("vpbench: plugins: broken 1.0 (broken): import: ValueError: on purpose; ")
        assert re.search(r"^! broken 1\.0 \(broken\) +import: ValueError: on purpose; ", out, flags=re.MULTILINE)

    def test_json_has_every_finding(self, install: Callable[..., None]) -> None:
        install("broken", "raise ValueError('on purpose')")
        code, out, _ = self.run("--quick", "--json")
        told = json.loads(out)
        assert (code, told["schema"], told["works"]) == (ExitCode.FAILED, 1, False)
        fields = {field.name for field in dataclasses.fields(Finding)}
        assert all(each.keys() == fields for each in told["findings"])
        assert [each["found"] for each in told["findings"] if each["status"] == "broken"] == [
            "import: ValueError: on purpose"
        ]
        assert {"vpbench", "python", "packages", "environment", "folders", "plugins"} == {
            each["part"] for each in told["findings"]
        }

    def test_the_report_outlives_a_torch_that_cannot_be_imported(self, tmp_path: Path) -> None:
        """As a user has it: a process of its own, and a torch before the real one."""
        (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.13: cannot open shared object file')")
        code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from vpbench.cli import main; main()"
        command = [sys.executable, "-c", code, str(tmp_path), "doctor"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == ExitCode.FAILED
        assert done.stderr.startswith("vpbench: torch: import: ImportError: libcudart.so.13: cannot open")
        assert len(done.stderr.splitlines()) == 1
        assert "\nplugins\n" in done.stdout
