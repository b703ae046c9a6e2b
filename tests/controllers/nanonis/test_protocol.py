"""The table of commands equals an independent transcription of the vendor's description, `protocol.txt`, for each release."""

import re
from pathlib import Path

import pytest

from bluesky_stm.controllers.nanonis_server._further import FURTHER
from bluesky_stm.controllers.nanonis_wire._commands import (
    COMMANDS,
    RELEASES,
    Comparison,
    DigSync,
    Pulse,
    SafeAction,
    SafeLogic,
    ScanAction,
    Switch,
    Types,
    ZStatus,
    drift_switch,
    types_of,
)

WORDS = {
    **{"uint16": "H", "int16": "h", "uint32": "I", "int": "i", "float32": "f", "float64": "d", "string": "s"},
    **{"string[]": "AS", "int[]": "Ai", "uint32[]": "AI", "float32[]": "Af", "float64[]": "Ad", "float32[][]": "M"},
    **{"float32[n]": "Nf", "int[n]": "Ni", "uint32[n]": "NI", "string[n]": "NS", "string[without number]": "AT"},
}
"""Our letters for the vendor's names of types."""

LINES = (Path(__file__).parent / "protocol.txt").read_text(encoding="utf-8").splitlines()


def read_types(text):
    words = re.findall(r"[\w]+(?:\[[^\]]*\])*", text)
    return " ".join(WORDS.get(word, f"?{word}") for word in words)


def transcribed(release):
    """Types by command, as a release has them: of lines that say how it was before, the one that still holds."""
    found, older = {}, {}
    for line in LINES:
        match = re.fullmatch(r"(?:@(\d+) )?([\w.]+): ?(.*)->(.*)", line)
        if match:
            before, command, request, answer = match.groups()
            into = found if before is None else older if release < int(before) else {}
            into[command] = Types(read_types(request), read_types(answer))
    return found | older


def meanings(release):
    """What each code of a value means, by command and number of the value."""
    found, older = {}, {}
    for line in LINES:
        match = re.fullmatch(r"(?:@(\d+) )?= ([\w.]+) (\d+): (.*)", line)
        if match:
            before, command, number, codes = match.groups()
            into = found if before is None else older if release < int(before) else {}
            into[command, int(number)] = {word.strip(): int(code) for code, word in re.findall(r"(-?\d+) ([a-z ]+)", codes)}
    return found | older


def words(codes):
    return {code.name.lower().replace("_", " "): int(code) for code in codes}


def one_less(codes):
    return {name: code - 1 for name, code in words(codes).items() if name != "keep"}


@pytest.mark.parametrize("release", RELEASES)
def test_every_command_has_the_types_of_the_description(release):
    """A width, an order or a number of values that is wrong in either shows here."""
    known = transcribed(release)
    assert {command: types_of(command, release) for command in COMMANDS} == {
        command: known.get(command) for command in COMMANDS
    }


@pytest.mark.parametrize("release", RELEASES)
def test_codes_mean_what_the_description_says(release):
    found = meanings(release)
    drift = found.pop(("Piezo.DriftCompSet", 0))
    if release in {RELEASES[0], RELEASES[-1]}:  # which one holds between them is not known
        assert (drift_switch(True, release), drift_switch(False, release)) == (drift["on"], drift["off"])
    switch = words(Switch)
    assert found == {
        ("BiasSpectr.SafeCond1Set", 0): words(SafeAction),
        ("BiasSpectr.SafeCond1Get", 0): one_less(SafeAction),
        ("BiasSpectr.SafeCond1Set", 3): words(Comparison),
        ("BiasSpectr.SafeCond2Set", 0): words(SafeLogic),
        ("BiasSpectr.SafeCond2Get", 0): {name: code for name, code in words(SafeLogic).items() if name != "keep"},
        ("BiasSpectr.DigSyncSet", 0): words(DigSync),
        ("BiasSpectr.DigSyncGet", 0): one_less(DigSync),
        ("BiasSpectr.AdvPropsSet", 0): switch,
        ("BiasSpectr.AdvPropsGet", 0): {"off": False, "on": True},
        ("SafeTip.OnOffSet", 0): switch,
        ("SafeTip.OnOffGet", 0): {"off": False, "on": True},
        ("ZCtrl.StatusGet", 0): words(ZStatus),
        ("Bias.Pulse", 3): {"keep": 0, "hold": Pulse.HOLD_FEEDBACK, "keep feedback": Pulse.KEEP_FEEDBACK},
        ("Bias.Pulse", 4): {"keep": 0, "relative": Pulse.RELATIVE, "absolute": Pulse.ABSOLUTE},
        ("Scan.Action", 0): words(ScanAction),
    }


@pytest.mark.parametrize("release", RELEASES[-1:])
def test_what_the_simulated_software_answers_beyond_has_the_types_of_the_description_too(release):
    known = transcribed(release)
    beyond = {command: types for command, types in FURTHER.items() if command in known}
    assert len(beyond) > 0.95 * len(FURTHER)
    assert beyond == {command: known[command] for command in beyond}


@pytest.mark.parametrize("wrong", ["H f i H", "i f i", "i f H i", "f i i H"])
def test_a_deliberate_error_in_the_table_is_found(monkeypatch, wrong):
    """The second safe condition was once sent with the width of the first one."""
    monkeypatch.setitem(COMMANDS, "BiasSpectr.SafeCond2Set", Types(wrong, ""))
    with pytest.raises(AssertionError):
        test_every_command_has_the_types_of_the_description(RELEASES[-1])


def test_a_deliberate_error_in_the_transcription_is_found(monkeypatch):
    wrong = [line.replace("uint16", "uint32", 1) if line.startswith("Bias.Pulse") else line for line in LINES]
    monkeypatch.setitem(globals(), "LINES", wrong)
    with pytest.raises(AssertionError):
        test_every_command_has_the_types_of_the_description(RELEASES[-1])
