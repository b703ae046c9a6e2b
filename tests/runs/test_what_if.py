"""Another scalarizer, another agent, the same spectra; and what was never measured is said to be so."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from bluesky_stm.agents import make_agent
from bluesky_stm.errors import ReplayError, UnknownNameError
from bluesky_stm.protocols import Failed
from bluesky_stm.runs import sweep, what_if
from bluesky_stm.scalarizers import make_scalarizer
from bluesky_stm.storage import open_catalog
from bluesky_stm.teaching import spectrum_from


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    with open_catalog(tmp_path_factory.mktemp("what_if")) as catalog:
        yield catalog


@pytest.fixture
def run(catalog, recorder):
    recorder(catalog, make_agent("gp-xy", seed=3, patch=8, step=4, seeds=4)).run(10)
    return catalog[-1]


def test_the_same_agent_goes_the_same_way(run):
    same = what_if(run)
    assert [d.candidate for d in same.decisions] == [d.candidate for d in run.decisions[:-1]]
    assert same.on_policy == 1 and same.wishes == [None] * 10
    np.testing.assert_array_equal(same.chosen, same.recorded)
    assert "100%" in str(same) and run.uid[:8] in str(same)


def test_another_scalarizer_judges_the_same_spectra(run):
    other = {"name": "integral", "between": [-1.5, -0.5]}
    judged = [make_scalarizer(other)(spectrum) for spectrum in run.spectra]
    expected = [np.nan if isinstance(value, Failed) else value for value in judged]
    np.testing.assert_array_equal(what_if(run, scalarizer=other).recorded, expected)


def test_another_agent_is_answered_by_each_spectrum_once_and_its_unmeasured_wishes_are_kept(run):
    other = what_if(run, agent="random", seed=11)
    np.testing.assert_array_equal(np.sort(other.chosen), np.sort(other.recorded))
    assert len({d.candidate for d in other.decisions}) == 10
    measured = {d.candidate for d in run.decisions[:-1]}
    refused = [wish for wish in other.wishes if wish is not None]
    assert refused and other.on_policy == 1 - len(refused) / 10
    assert not {wish.candidate for wish in refused} & measured


@pytest.mark.parametrize("agent", ["dkl", "dkl:net=false", {"name": "dkl", "acquisition": "variance"}])
def test_an_agent_with_trained_weights_is_taken_by_its_name(run, agent):
    """It takes the weights that are installed; only those of a run have to be the same."""
    answer = what_if(run, agent=agent, budget=3)
    assert answer.agent["name"] == "dkl" and len(answer.decisions) == 3


def test_curves_are_the_best_value_so_far_and_end_at_the_same_best(run):
    other = what_if(run, agent="random", seed=11)
    recorded, chosen = other.curves
    assert (np.diff(recorded[np.isfinite(recorded)]) >= 0).all()
    assert recorded[-1] == chosen[-1] == np.nanmax(other.recorded)
    assert other.spectra_to() == (int(np.nanargmax(other.recorded)) + 1, int(np.nanargmax(other.chosen)) + 1)


def test_a_smaller_budget_may_miss_the_best(run):
    short = what_if(run, agent="random", seed=1, budget=2)
    assert len(short.chosen) == 2 and short.spectra_to()[1] in {0, 1, 2}


def test_what_it_predicts_follows_from_all_spectra_of_the_run(run):
    """A measured place is predicted near its value, an agent that does not predict says nothing."""
    same = what_if(run)
    candidates = [d.candidate for d in run.decisions[:-1]]
    good = np.isfinite(same.recorded)
    assert np.corrcoef(same.posterior.mean[candidates][good], same.recorded[good])[0, 1] > 0.9
    assert np.isnan(what_if(run, agent="random").posterior.mean).all()


def test_where_a_simulator_answers_every_wish_is_granted(run, spectrum_at):
    answered = what_if(run, agent="random", seed=11, answers=spectrum_at)
    assert answered.on_policy == 1
    judge = make_scalarizer(run.start["scalarizer"])
    np.testing.assert_array_equal(answered.chosen, [judge(spectrum_at(d.point)) for d in answered.decisions])


@pytest.fixture
def spectrum_at(synthetic_spectrum):
    return lambda point: spectrum_from(synthetic_spectrum(point, 0))


def test_the_stored_map_is_compared_with_the_new_one(catalog, recorder):
    live = recorder(catalog, make_agent("gp-xy", seed=3, patch=8, step=4, seeds=4))
    for _ in range(10):
        live.measure(live.decide().point)
    posterior = live.agent.posterior()
    live.emit("maps", {"agent_map_mean": posterior.mean, "agent_map_std": posterior.std, "agent_map_ingested": 10})
    assert what_if(catalog[-1]).agreement == pytest.approx(1)
    assert np.isnan(what_if(catalog[-1], agent="random").agreement)


def test_a_scalarizer_that_values_no_spectrum_finds_no_best_and_says_so(run):
    none = what_if(run, scalarizer={"name": "integral", "between": [5.0, 6.0]}, agent="random")
    assert np.isnan(none.recorded).all() and none.spectra_to() == (0, 0)
    assert "does not find" in str(none)


def test_unknown_names_and_empty_runs_are_refused(run, catalog, recorder):
    with pytest.raises(UnknownNameError):
        what_if(run, scalarizer="gapp")
    with pytest.raises(UnknownNameError, match="agent named 'dk'"):
        what_if(run, agent="dk")
    recorder(catalog)
    with pytest.raises(ReplayError, match="nothing to learn from"):
        what_if(catalog[-1])


def test_a_sweep_gives_what_each_what_if_gives_in_their_order_with_progress(run):
    variations = [{"seed": seed, "agent": "random"} for seed in range(3)]
    seen = []
    with ThreadPoolExecutor(1) as executor:
        swept = sweep(run, variations, executor=executor, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for one, variation in zip(swept, variations, strict=True):
        np.testing.assert_array_equal(one.chosen, what_if(run, **variation).chosen)


def test_a_result_can_cross_to_another_process(run):
    result = what_if(run, agent="random")
    again = pickle.loads(pickle.dumps(result))
    np.testing.assert_array_equal(again.chosen, result.chosen)


@pytest.mark.slow
def test_a_sweep_in_processes_gives_the_same(run):
    (swept,) = sweep(run, [{"seed": 5}])
    here = what_if(run, seed=5)
    np.testing.assert_array_equal(swept.chosen, here.chosen)
    np.testing.assert_allclose(swept.posterior.mean, here.posterior.mean, rtol=1e-9)


@pytest.mark.slow
def test_a_sweep_whose_processes_die_says_so(run):
    class Dying(ThreadPoolExecutor):
        def submit(self, *args, **kwargs):
            raise BrokenProcessPool

    with pytest.raises(ReplayError, match="In a script, call sweep"):
        sweep(run, [{"seed": 1}], executor=Dying(1))


def test_a_sweep_on_a_dask_cluster_gives_the_same(run):
    distributed = pytest.importorskip("distributed", reason="sweeps on a cluster need dask.distributed")
    with distributed.Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
        (swept,) = sweep(run, [{"agent": "random", "seed": 5}], executor=client.get_executor())
    np.testing.assert_array_equal(swept.chosen, what_if(run, agent="random", seed=5).chosen)
