"""oneDNN is kept from AMX before torch computes anything, on every way in, where nobody chose otherwise."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from eegfm import processor
from kedro_project import run_python

AMX = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu avx512_bf16 amx_bf16 amx_tile amx_int8\nbugs\t\t:\n\n"
NO_AMX = AMX.replace(" amx_bf16 amx_tile amx_int8", "")
ARM = "processor\t: 0\nFeatures\t: fp asimd bf16\n"


@pytest.fixture
def described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the system describes its processors; nobody chose what oneDNN may use."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.setenv(name, "")  # so that what a test sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(processor, "_PROCESSOR", str(tmp_path / "cpuinfo"))
    return tmp_path / "cpuinfo"


@pytest.mark.parametrize(
    ("text", "limit"),
    [(AMX * 300, "AVX512_CORE_BF16"), (NO_AMX * 300, None), (ARM, None), ("", None), (None, None)],
    ids=["amx", "no_amx", "arm", "empty", "no_file"],
)
def test_only_a_processor_with_amx_is_limited(described: Path, text: str | None, limit: str | None) -> None:
    if text is not None:
        described.write_text(text)
    processor.keep_onednn_from_amx()
    assert os.environ.get("ONEDNN_MAX_CPU_ISA") == limit == processor.onednn_limit()


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize("chosen", ["AVX512_CORE_AMX", "AVX2"])
def test_what_the_user_chose_stays(described: Path, monkeypatch: pytest.MonkeyPatch, name: str, chosen: str) -> None:
    described.write_text(AMX)
    monkeypatch.setenv(name, chosen)
    processor.keep_onednn_from_amx()
    assert processor.onednn_limit() == chosen
    assert len({"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"} & os.environ.keys()) == 1


def test_an_empty_variable_chooses_nothing(described: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    described.write_text(AMX)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "")
    processor.keep_onednn_from_amx()
    assert processor.onednn_limit() == "AVX512_CORE_BF16"


def test_only_the_first_of_many_processors_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def lines() -> Iterator[str]:
        yield from AMX.splitlines(keepends=True)[:3]
        raise AssertionError("the kernel describes every processor anew for whoever reads on")

    monkeypatch.setattr("builtins.open", lambda *_, **__: nullcontext(lines()))
    assert processor.has_amx()


WAYS_IN = {
    "kedro": "from eegfm import settings",
    "module": "import eegfm.__main__",
    "notebook": "import torch; from eegfm.encoders.config import ConvConfig",
}
IN_A_PROCESS = """
import builtins, os, sys
opened = builtins.open
builtins.open = lambda path, *a, **k: opened(sys.argv[1] if path == "/proc/cpuinfo" else path, *a, **k)
os.environ.pop("ONEDNN_MAX_CPU_ISA", None)
{way_in}
print("limit", os.environ.get("ONEDNN_MAX_CPU_ISA"), "torch" in sys.modules)
"""
COMPUTE = """
import torch
native = torch.cpu.get_capabilities().get("avx512_bf16", False)
with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
    torch.nn.functional.conv2d(torch.randn(2, 8, 19, 99).bfloat16(), torch.randn(32, 8, 1, 9).bfloat16())
print("native", native)
"""


@pytest.mark.parametrize("way_in", WAYS_IN)
def test_every_way_in_limits_onednn_before_it_computes(tmp_path: Path, way_in: str) -> None:
    (tmp_path / "cpuinfo").write_text(AMX)
    code = IN_A_PROCESS.format(way_in=WAYS_IN[way_in])
    is_notebook = way_in == "notebook"
    done = run_python(code + COMPUTE * is_notebook, str(tmp_path / "cpuinfo"))
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert f"limit AVX512_CORE_BF16 {is_notebook}" in lines
    if "native True" in lines:
        # oneDNN obeys, although torch was imported first: it reads the variable when it first computes.
        assert [line for line in lines if "cpu,isa:Intel AVX-512 with Intel DL Boost and bfloat16 support" in line]
