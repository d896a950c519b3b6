"""Devices and precision."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import vpbench.device
from vpbench import device as devices
from vpbench.errors import ExitCode, UsageError

CPU = torch.device("cpu")


class TestResolve:
    def test_auto_is_the_best_there_is(self) -> None:
        assert str(devices.resolve("auto")) == devices.available()[0]
        assert devices.available()[-1] == "cpu"

    def test_cpu_is_always_there(self) -> None:
        assert devices.resolve("cpu") == CPU

    @pytest.mark.parametrize("request_", ["cuda:99", "tpu", "CPU", "cpu:1", "", "gpu", "cuda:", "cuda:-1", "cuda:x"])
    def test_what_is_not_there_is_refused_and_what_is_there_named(self, request_: str) -> None:
        with pytest.raises(UsageError) as refused:
            devices.resolve(request_)
        assert refused.value.exit_code == ExitCode.USAGE
        assert f"no device {request_!r} here" in str(refused.value)
        assert "cpu" in str(refused.value)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
    def test_cuda_never_falls_back_silently(self) -> None:
        with pytest.raises(UsageError):
            devices.resolve("cuda")

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    def test_cuda_is_the_first_one(self) -> None:
        assert devices.resolve("cuda") == torch.device("cuda:0") == devices.resolve("auto")


class TestPrecision:
    def test_bfloat16_is_autocast_and_ends_with_the_block(self) -> None:
        layer, x = torch.nn.Linear(3, 3), torch.rand(2, 3)
        with devices.precision(CPU, "bfloat16"):
            assert layer(x).dtype == torch.bfloat16
        assert layer(x).dtype == torch.float32

    def test_float32_is_float32_also_inside_of_autocast(self) -> None:
        layer, x = torch.nn.Linear(3, 3), torch.rand(2, 3)
        with torch.autocast("cpu", dtype=torch.bfloat16), devices.precision(CPU, "float32"):
            assert layer(x).dtype == torch.float32

    @pytest.mark.parametrize("name", devices.PRECISIONS)
    @pytest.mark.parametrize("before", [True, False])
    def test_tf32_is_off_inside_and_as_it_was_outside(self, name: str, before: bool) -> None:
        flags = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        try:
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = before
            with contextlib.suppress(KeyError), devices.precision(CPU, name):
                assert not torch.backends.cudnn.allow_tf32
                assert not torch.backends.cuda.matmul.allow_tf32
                raise KeyError
            assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == before
        finally:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = flags

    def test_others_are_refused(self) -> None:
        with pytest.raises(UsageError, match="no precision 'float8'; there is: float32, bfloat16"):
            devices.precision(CPU, "float8").__enter__()


class TestMeasurements:
    def test_peak_memory_of_a_cpu_is_that_of_the_process(self) -> None:
        before = devices.peak_memory_mb(CPU)
        block = torch.ones(int(before * 1.2e6) // 4)
        after = devices.peak_memory_mb(CPU)
        assert 10 < before < after
        assert after > block.numel() * 4 / 1e6

    def test_synchronize_and_reset_are_no_trouble_on_a_cpu(self) -> None:
        devices.synchronize(CPU)
        devices.reset_peak_memory(CPU)

    def test_description_explains_timings_and_identifies_nobody(self) -> None:
        import getpass
        import platform

        facts = devices.describe(CPU)
        assert facts["device"] == "cpu"
        assert facts["threads"] == torch.get_num_threads()
        assert facts["cpu_count"] >= 1
        assert facts["device_name"] == facts["cpu"] != ""
        assert platform.node() not in facts.values()
        assert getpass.getuser() not in facts.values()


def test_a_system_without_resource_usage_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no module `resource`."""
    monkeypatch.setitem(sys.modules, "resource", None)
    spec = importlib.util.spec_from_file_location("vpbench.device_elsewhere", Path(str(vpbench.device.__file__)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.peak_memory_mb(CPU) == 0
    assert module.resolve("cpu") == CPU
