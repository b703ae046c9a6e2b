"""From what is drawn on a spectrum in the report alone, read back from the drawing, follows the value of its scalarizer."""

import math

import numpy as np
import pytest
from chromium import NEEDED

from bluesky_stm.geometry import Frame, Point
from bluesky_stm.measurements import Setpoint, Spectrum, ZSpectrum
from bluesky_stm.protocols import Observation
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.units import ELECTRON_KINETIC
from bluesky_stm.views import RunRecord, report

pytestmark = [pytest.mark.system, NEEDED]

COLD = {"temperature": 1.2, "modulation": 1e-4}


def spectrum(bias, didv, rng, noise, z_sweep=None):
    """One whose current is the integral of its dI/dV, which has this much noise."""
    current = np.concatenate([[0], np.cumsum((didv[1:] + didv[:-1]) / 2 * np.diff(bias))])
    current -= np.interp(0, bias, current)
    measured = didv + noise * rng.standard_normal(bias.size)
    return Spectrum(
        position=Point(*rng.uniform(-20, 20, 2)), bias=bias, current=current + 1e-4 * rng.standard_normal(bias.size),
        lockin_x=0.0156 * measured, lockin_y=0 * bias, didv=measured, setpoint=Setpoint(float(bias[0]), float(abs(current[0]))),
        z_sweep=z_sweep,
    )  # fmt: skip


def semiconductor(number):
    """Edges, strength and a state in the gap drawn at random; beside it I(z) over a barrier drawn at random."""
    rng, bias = np.random.default_rng(number), np.linspace(-1.5, 1.5, 121)
    valence, conduction, at = rng.uniform(-1.3, -0.6), rng.uniform(0.2, 1.2), rng.uniform(-0.4, 0.1)
    state = rng.uniform(0.2, 2) * np.exp(-(((bias - at) / rng.uniform(0.05, 0.12)) ** 2) / 2)
    bands = np.clip(bias - conduction, 0, None) ** 2 + np.clip(valence - bias, 0, None) ** 2
    z, height = np.linspace(0, 0.6, 61), rng.uniform(3, 6)
    current = 0.5 * np.exp(-2 * math.sqrt(height / ELECTRON_KINETIC) * z) + 1e-5 * rng.standard_normal(z.size)
    taken = ZSpectrum(position=Point(0, 0), distance=z, current=current, setpoint=Setpoint(-1.5, 0.5))
    return spectrum(bias, rng.uniform(2, 20) * bands + state, rng, 0.01, taken)


def superconductor(number):
    """A gap after Dynes, drawn at random, at 0.2 K less than is assumed."""
    rng, bias = np.random.default_rng(number), np.linspace(-5e-3, 5e-3, 101)
    energy, gap, width = bias + 1j * rng.uniform(1e-4, 2e-4), rng.uniform(0.8e-3, 1.6e-3), 1.4e-4
    fine = np.linspace(-6e-3, 6e-3, 1201) + 1j * energy.imag[0]
    states = np.abs((fine / np.sqrt(fine**2 - gap**2)).real)
    kernel = np.exp(-((fine.real[:, None] - bias) ** 2) / 2 / (1.7 * width) ** 2)
    return spectrum(bias, 100 * states @ kernel / kernel.sum(axis=0), rng, 2.0)


def resonance(number):
    """A line of Fano at random on a metal of 100 nS."""
    rng, bias = np.random.default_rng(number), np.linspace(-0.04, 0.04, 81)
    e = (bias - rng.uniform(-4e-3, 4e-3)) / rng.uniform(4e-3, 8e-3)
    q = rng.uniform(0.2, 1.0)
    return spectrum(bias, 100 * (1 + rng.uniform(0.2, 0.5) * ((q + e) ** 2 / (1 + e**2) - 1)), rng, 1.0)


def molecule(number):
    """Steps of 10 to 30 % at 25 to 50 meV, smeared by 2 meV."""
    rng, bias = np.random.default_rng(number), np.linspace(-0.08, 0.08, 161)
    energy, height = rng.uniform(0.025, 0.05), rng.uniform(0.1, 0.3)
    return spectrum(
        bias, 100 * (1 + height * (2 + np.tanh((bias - energy) / 2e-3) - np.tanh((bias + energy) / 2e-3)) / 2), rng, 0.5
    )


def middle(drawn, taken):
    """Mean of the channel over the window that is drawn; a sample at its end belongs to it, to a fifth of a step."""
    ((low, high),), edge = drawn["windows"], 0.2 * np.diff(taken.bias)[0]
    return taken.didv[(taken.bias >= low - edge) & (taken.bias <= high + edge)].mean()


def slope_of(drawn, taken):
    """Barrier height by the slope of the line that is drawn on the logarithmic axis; where it is high no offset bends it."""
    along, up = drawn["curve"]
    return ELECTRON_KINETIC / 4 * np.polyfit(along, np.log(up), 1, w=up)[0] ** 2


def above_the_line(drawn, taken):
    """How far the point that is drawn lies above the line that is drawn."""
    (along, up), ((at, height),) = drawn["curve"], drawn["points"]
    return height / np.interp(at, along, up) - 1


def apart(kind):
    return lambda drawn, taken: np.ptp([np.ravel(one)[0] for one in drawn[kind]])


CASES = {
    "valence edge": ("valence_edge", semiconductor, lambda d, s: d["edges"][0]),
    "conduction edge": ("conduction_edge", semiconductor, lambda d, s: d["edges"][0]),
    "onsets": ("onsets_above_noise", semiconductor, apart("edges")),
    "conductance, window": ({"name": "conductance", "bias": 0.9}, semiconductor, middle),
    "conductance, height": ({"name": "conductance", "bias": 0.9}, semiconductor, lambda d, s: d["curve"][1].mean()),
    "peak position": ({"name": "peak_position", "between": [-0.5, 0.15]}, semiconductor, lambda d, s: d["points"][0][0]),
    "peak height": ({"name": "peak_height", "between": [-0.5, 0.15]}, semiconductor, lambda d, s: d["points"][0][1]),
    "barrier height": ("barrier_height", semiconductor, slope_of),
    "Dynes": ({"name": "superconducting_gap", **COLD}, superconductor, lambda d, s: np.ptp(d["edges"]) / 2),
    "coherence peaks": ("coherence_peaks", superconductor, apart("points")),
    "Kondo, position": ({"name": "kondo", "which": "energy", **COLD}, resonance, lambda d, s: d["edges"][0]),
    "Kondo, width": ({"name": "kondo", "which": "width", **COLD}, resonance, lambda d, s: np.ptp(d["windows"][0]) / 2),
    "zero-bias anomaly": ("zero_bias_anomaly", resonance, above_the_line),
    "inelastic step": ({"name": "inelastic_step", "which": "energy", **COLD}, molecule, lambda d, s: np.ptp(d["edges"]) / 2),
}

EACH = """(() => {
  const number = (node, name) => Number(node.getAttribute(name));
  const seen = (chart) => {
    const of = (selector) => [...chart.querySelectorAll(selector)];
    const texts = of("text[text-anchor=end]:not(.levelname)").map((n) => n.textContent).filter(Boolean);
    return {
      ticks: of("line.tick").map((n) => number(n, "x1")),
      labels: of("text[text-anchor=middle]:not(.axis)").map((n) => n.textContent),
      names: of("text.axis").map((n) => n.textContent), grid: of("line.grid").map((n) => number(n, "y1")), texts,
      edges: of("line.edge").map((n) => number(n, "x1")),
      windows: of("rect.window").map((n) => [number(n, "x"), number(n, "x") + number(n, "width")]),
      points: of("circle.spot").map((n) => [number(n, "cx"), number(n, "cy")]),
      curves: of("polyline.fit").map((n) => n.getAttribute("points").split(" ").map((p) => p.split(",").map(Number))),
    };
  };
  return Array.from({ length: COUNT }, (_, i) => {
    document.querySelector(`section .map [data-spectrum="${i}"]`).dispatchEvent(new MouseEvent("click", { bubbles: true }));
    const charts = [...document.querySelectorAll("section .chart")].slice(0, 3);
    return charts.map(seen).find((one) => one.edges.length + one.windows.length + one.points.length + one.curves.length);
  });
})()"""

UNITS = {"V": 1.0, "mV": 1e-3, "nm": 1.0, "nS": 1.0, "pS": 1e-3, "nA": 1.0, "pA": 1e-3, "pm": 1e-3}


def axis(at, texts, name):
    """From a place in the drawing back to the number, by the ticks, their labels and the unit that the axis is given in."""
    logarithmic = any(text.startswith("10") and text != "10" for text in texts) and name.startswith("|")
    plain = [text.removeprefix("10" if logarithmic else "").replace("\N{MINUS SIGN}", "-") for text in texts]
    line = np.poly1d(np.polyfit(at, [float(text) for text in plain], 1))
    unit = UNITS[name.rpartition("(")[2].rstrip(")")]
    return (lambda where: unit * 10 ** line(where)) if logarithmic else (lambda where: unit * line(where))


def read(seen):
    """What is drawn, in V (nm along a distance) and in the units of the channel."""
    bias = axis(seen["ticks"], seen["labels"], seen["names"][0])
    up = axis(seen["grid"], seen["texts"], seen["names"][1])
    curve = np.array([corner for piece in seen["curves"] for corner in piece]).reshape(-1, 2).T
    return {
        "edges": [float(bias(x)) for x in seen["edges"]],
        "windows": [(float(bias(low)), float(bias(high))) for low, high in seen["windows"]],
        "points": [(float(bias(x)), float(up(y))) for x, y in seen["points"]],
        "curve": (bias(curve[0]), up(curve[1])),
    }


@pytest.mark.parametrize("count", [15, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES)
def test_the_value_follows_from_what_is_drawn(browser, make_run, tmp_path, case, count):
    """To two thousandths of the value, or of the axis on which it is read, which is a pixel or less.

    What has no unit is a ratio of numbers that the page holds to 0.03 % each.
    """
    choice, make, follows = CASES[case]
    scalarizer = make_scalarizer(choice)
    run = make_run(Frame(Point(0, 0), (50, 50), (32, 32)), "mesa", budget=10)
    run[0][1]["scalarizer"] = scalarizer.describe()
    record = RunRecord.of(run)
    record.observations[:] = [Observation.of(make(number), scalarizer) for number in range(count)]
    browser.open(report(record, tmp_path / "report.html"), 1400)
    browser("lazily.all()")
    checked = 0
    for number, seen in enumerate(browser(EACH.replace("COUNT", str(count)))):
        if record.reasons[number]:
            continue
        value, taken = float(record.values[number]), record.spectra[number]
        found = follows(read(seen), taken)
        axes = {"V": np.ptp(taken.bias), "eV": np.ptp(taken.bias), "nS": np.ptp(taken.didv), "": 0.3}
        scale = max(abs(value), axes.get(scalarizer.units, 0.0))
        assert found == pytest.approx(value, abs=2e-3 * scale), f"{case}, spectrum {number + 1}"
        checked += 1
    assert checked >= 0.6 * count
    assert browser.complaints == []
