"""At an IPython prompt: labels, ``%wa``, ``%ct``, tab completion, repr."""

import pytest
from bluesky.magics import BlueskyMagics, get_labeled_devices

IPython = pytest.importorskip("IPython", reason="IPython is not installed")


@pytest.fixture
def shell(stm, RE):
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    shell = IPython.InteractiveShell(config=settings)
    shell.register_magics(BlueskyMagics)
    shell.user_ns.update(stm=stm, RE=RE)
    return shell


def test_devices_are_found_by_their_labels(stm):
    """bluesky looks for labels at what is read with its parent: what is left out of ``stm.read()`` needs a name of its own."""
    found = get_labeled_devices(user_ns={"stm": stm, "sweep": stm.sweep, "scanner": stm.scanner, "grid": stm.grid})
    assert {name for name, _ in found["motors"]} == {"stm.tip", "stm.bias"}
    assert {name for name, _ in found["detectors"]} == {"stm.current", "sweep", "scanner"}
    assert {name for name, _ in found["flyers"]} == {"grid"}


def test_where_all_shows_place_and_limits(shell, capsys):
    """An offset, the last column, is a matter of EPICS motors."""
    shell.run_line_magic("wa", "")
    rows = {line.split()[0]: line.split()[1:4] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert rows["stm_bias"] == ["-1.0", "-10.0", "10.0"]
    assert rows["stm_tip_x"] == rows["stm_tip_y"] == ["0.0", "-500.0", "500.0"]


def test_one_count_by_magic_prints_scalars(shell, capsys):
    shell.run_line_magic("ct", "detectors")
    told = capsys.readouterr().out
    assert "stm_current" in told


@pytest.mark.parametrize("typed", ["stm.", "stm.sweep.", "stm.z.", "stm.scanner."])
def test_tab_completes_components_and_verbs(shell, typed):
    from IPython.core.completer import provisionalcompleter

    with provisionalcompleter():
        completed = {found.text.rsplit(".", 1)[-1] for found in shell.Completer.completions(typed, len(typed))}
    parts = {
        "stm.": {"tip", "bias", "sweep", "z", "shaper", "clear_fault"},
        "stm.sweep.": {"start", "end", "setpoint_after", "trigger"},
        "stm.z.": {"withdraw", "home", "approach", "setpoint"},
        "stm.scanner.": {"center_x", "line_time", "backward", "kickoff"},
    }
    assert parts[typed] <= completed
