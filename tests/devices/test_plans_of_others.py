"""Plans that others wrote run unchanged, and every document they emit is valid and says its units."""

import matplotlib

matplotlib.use("Agg")

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.simulators import summarize_plan
from bluesky.utils import ProgressBarManager
from ophyd import Kind

from bluesky_stm.errors import CatalogError, LimitError
from bluesky_stm.geometry import Frame
from bluesky_stm.protocols import SweepSettings
from bluesky_stm.storage import Run, load_run

SHORT = SweepSettings(-0.5, 0.5, 7, settle=0.0, integrate=0.001)

PLANS = {
    "count": lambda stm: bp.count([stm.sweep, stm.tip, stm.current, stm.z], 3),
    "count an image": lambda stm: bp.count([stm.scanner], 1),
    "scan": lambda stm: bp.scan([stm.sweep], stm.tip.x, -5, 5, 3),
    "scan the bias": lambda stm: bp.scan([stm.current], stm.bias, -0.5, -2.5, 3),
    "scan both axes": lambda stm: bp.scan([stm.current, stm.z], stm.tip.x, -5, 5, stm.tip.y, 0, 3, 3),
    "grid_scan": lambda stm: bp.grid_scan([stm.sweep], stm.tip.y, -1, 1, 2, stm.tip.x, -1, 1, 2, snake_axes=True),
    "rel_scan": lambda stm: bp.rel_scan([stm.z], stm.tip.y, -3, 3, 3),
    "list_scan": lambda stm: bp.list_scan([stm.sweep], stm.tip, [(0, 0), (1, 2), (2, 4)]),
    "list_scan the set point": lambda stm: bp.list_scan([stm.z], stm.z.setpoint, [0.1, 0.2, 0.4]),
    "adaptive_scan": lambda stm: bp.adaptive_scan(
        [stm.z], stm.z.height.name, stm.tip.x, start=0, stop=5, min_step=0.5, max_step=2, target_delta=0.02, backstep=False
    ),
    "fly": lambda stm: bp.fly([stm.grid]),
    "spiral": lambda stm: bp.spiral_fermat([stm.current], stm.tip.x, stm.tip.y, 0, 0, 4, 4, 1.5, 1.0),
}


@pytest.fixture
def measured(RE, stm, docs):
    """Runs a plan with the callbacks that people have."""
    stm.sweep.set(SHORT)
    stm.scanner.set(Frame.square((0, 0), 10, 8))
    stm.grid.set(Frame.square((0, 0), 10, 2))
    table = BestEffortCallback()
    table.disable_plots()  # several figures a second are matplotlib's affair
    RE.subscribe(table)
    RE.waiting_hook = ProgressBarManager()

    def run(plan):
        RE(plan)
        return docs

    return run


def test_what_a_plan_of_others_read_is_loaded_as_what_it_is(measured, stm):
    """An image of ``count`` is a topograph; a current alone is neither, and its run says where it is."""
    runs = {}
    for name, device in {"image": stm.scanner, "spectrum": stm.sweep, "current": stm.current}.items():
        runs[name] = Run(measured(bp.count([device])).runs()[-1])
    assert runs["image"].topograph.height.shape == (8, 8) and not runs["image"].spectra
    assert set(load_run(runs["image"]).children) == {"topograph"}
    assert [len(spectrum.bias) for spectrum in runs["spectrum"].spectra] == [7]
    assert set(load_run(runs["spectrum"]).children) == {"spectra"}
    assert runs["current"].spectra == [] and not list(runs["current"].topographs)
    with pytest.raises(CatalogError, match=r"holds no image.*run\.events"):
        load_run(runs["current"])
    assert [event["data"]["stm_current"] for event in runs["current"].events("primary")] == [pytest.approx(-0.1)]  # nA, at -1 V


@pytest.mark.parametrize("name", PLANS)
def test_it_runs_and_is_stored(measured, stm, name):
    docs = measured(PLANS[name](stm))
    assert docs.of("stop")[0]["exit_status"] == "success"
    assert docs.streams()["primary"] >= 1


@pytest.mark.parametrize("name", PLANS)
def test_every_key_of_every_descriptor_says_unit_and_source(measured, stm, name):
    docs = measured(PLANS[name](stm))
    for descriptor in docs.of("descriptor"):
        configured = [config["data_keys"] for config in descriptor["configuration"].values()]
        for keys in [descriptor["data_keys"], *configured]:
            for key, declared in keys.items():
                assert "units" in declared, key
                assert declared["source"].startswith("fake:"), key


@pytest.mark.parametrize("name", PLANS)
def test_every_value_has_the_shape_and_type_declared(measured, stm, name):
    docs = measured(PLANS[name](stm))
    declared = {doc["uid"]: doc["data_keys"] for doc in docs.of("descriptor")}
    for event in docs.of("event"):
        for key, value in event["data"].items():
            said = declared[event["descriptor"]][key]
            assert list(np.shape(value)) == said["shape"], key
            if said["dtype"] != "string":
                assert np.asarray(value).dtype == np.dtype(said["dtype_numpy"]), key


@pytest.mark.parametrize("name", PLANS)
def test_it_leaves_no_trace(measured, stm, fake, name):
    measured(PLANS[name](stm))
    assert fake.get_feedback()
    assert fake.get_bias() == pytest.approx(-1.0)
    assert fake.get_setpoint().current == pytest.approx(0.1)


@pytest.mark.parametrize("name", PLANS)
def test_best_effort_tables_and_plots_what_is_hinted(RE, stm, capsys, name):
    """As everybody has it, plots included: each scalar that is hinted is a column, and none of the arrays."""
    stm.sweep.set(SHORT)
    stm.scanner.set(Frame.square((0, 0), 10, 8))
    stm.grid.set(Frame.square((0, 0), 10, 2))
    RE.subscribe(BestEffortCallback())
    hinted = []
    RE.subscribe(lambda _, doc: hinted.extend(f for h in doc["hints"].values() for f in h["fields"]), "descriptor")
    RE(PLANS[name](stm))
    table = capsys.readouterr().out
    if name != "fly":  # bluesky tables no Events that are collected
        assert hinted and all(field[:10] in table for field in hinted)
    assert "didv" not in table and "topograph" not in table
    plt.close("all")


def test_best_effort_plots_the_hinted_reading_over_the_motor(RE, stm):
    RE.subscribe(BestEffortCallback())
    RE(bp.scan([stm.current], stm.tip.x, -5, 5, 3))
    (axes,) = plt.gcf().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("stm_tip_x", "stm_current")
    plt.close("all")


@pytest.mark.parametrize("name", sorted(set(PLANS) - {"adaptive_scan"}))
def test_it_can_be_checked_and_summarised_without_a_move(stm, fake, name, capsys, check_limits):
    stm.sweep.set(SHORT)
    stm.scanner.set(Frame.square((0, 0), 10, 8))
    check_limits(PLANS[name](stm))
    summarize_plan(PLANS[name](stm))
    assert not {"move_tip", "sweep", "scan", "ramp_bias"} & set(fake.names_asked())


def test_a_grid_that_leaves_the_limits_is_refused_as_a_whole(stm, check_limits):
    with pytest.raises(LimitError, match="stm_tip_x"):
        check_limits(bp.grid_scan([stm.sweep], stm.tip.y, 0, 1, 2, stm.tip.x, 0, 501, 3))


def test_tables_and_plots_take_scalars_only(stm):
    keys = {**stm.tip.describe(), **stm.bias.describe(), **stm.current.describe(), **stm.z.describe(), **stm.sweep.describe()}
    for device in (stm.tip, stm.bias, stm.current, stm.z, stm.sweep, stm.scanner):
        hinted = device.hints["fields"]
        assert hinted
        assert all(keys.get(field, {"shape": []})["shape"] == [] for field in hinted)


def test_what_does_not_change_in_a_run_is_configuration(stm):
    config = stm.sweep.describe_configuration()
    assert {"stm_sweep_start", "stm_sweep_end", "stm_sweep_points", "stm_sweep_setpoint"} <= set(config)
    assert stm.sweep.points.kind == Kind.config
    assert "stm_lockin_gain" in stm.describe_configuration()


def test_a_person_finds_everything_by_tab_and_sees_what_it_is(stm):
    assert {"tip", "bias", "sweep", "current", "z", "lockin", "scanner"} <= set(dir(stm))
    assert {"start", "end", "points", "didv", "trigger"} <= set(dir(stm.sweep))
    for part in (stm, stm.tip, stm.bias, stm.sweep, stm.current, stm.z, stm.lockin, stm.scanner):
        assert part.name in repr(part)
    assert (stm.tip.x.limits, stm.tip.x.egu) == ((-500, 500), "nm")
    assert (stm.bias.low_limit, stm.bias.high_limit, stm.bias.position) == (-10, 10, -1.0)
    assert stm.summary() is None


def test_one_value_is_read_by_the_common_stub(RE, stm):
    def plan():
        values.append((yield from bps.rd(stm.bias)))
        values.append((yield from bps.rd(stm.tip.x)))
        values.append((yield from bps.rd(stm.z.setpoint)))

    values = []
    RE(plan())
    assert values == pytest.approx([-1.0, 0.0, 0.1])
