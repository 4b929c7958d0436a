"""Turbulence against the spectra of the standards, and every wind source against its definition."""

import numpy as np
import pytest
import torch

from liquid_control.config import ConfigError, StrictModel, parse
from liquid_control.evaluation.views.wind import dryden_spectrum
from liquid_control.frames import stack
from liquid_control.sim.wind import formulas, turbulence
from liquid_control.sim.wind.field import Wind, WindSourceConfig
from liquid_control.sim.wind.sources import (
    CosineGustsConfig,
    JetConfig,
    ShearConfig,
    SteadyConfig,
    read_series,
)

SIGMA = (1.5, 1.2, 0.8)


def dryden_series(rng, time_scale, dt, steps, batch):
    """(steps, 3, batch) turbulence, axes u, v, w."""
    filters = formulas.turbulence_coefficients(SIGMA, time_scale, dt)
    states = formulas.turbulence_start(rng.standard_normal((formulas.NOISE_SIZE, batch)))
    series = np.empty((steps, 3, batch))
    for k in range(steps):
        noise = rng.standard_normal((formulas.NOISE_SIZE, batch))
        states, velocity = formulas.turbulence_step(states, noise, filters)
        series[k] = velocity
    return series


@pytest.mark.parametrize("rate", [50, 500])
def test_dryden_variance_and_correlation_at_any_step(rng, rate):
    """Variance within 5 %, and the correlation e^(−τ/T) or e^(−τ/T)(1 − τ/2T) at every lag."""
    scales = (0.5, 0.4, 0.3)
    series = dryden_series(rng, scales, 1 / rate, round(0.8 * rate) + 1, 10000)
    for axis in range(3):
        for lag in (0.0, 0.2, 0.4, 0.8):
            x = lag / scales[axis]
            expected = np.exp(-x) * (1.0 if axis == 0 else 1 - x / 2)
            got = np.mean(series[0, axis] * series[round(lag * rate), axis]) / SIGMA[axis] ** 2
            assert abs(got - expected) < 0.04, (axis, lag)
        np.testing.assert_allclose(series[-1, axis].var(), SIGMA[axis] ** 2, rtol=0.05)
    correlation = np.corrcoef(series[-1])
    assert np.abs(correlation - np.eye(3)).max() < 0.05


@pytest.mark.parametrize("rate", [50, 500])
def test_dryden_spectrum(rng, rate):
    """Averaged periodograms on the analytic form, where the window and aliasing don't reach."""
    scales, steps = (0.5, 0.4, 0.3), 20 * rate
    series = dryden_series(rng, scales, 1 / rate, steps, 200)
    window = np.hanning(steps)[:, None]
    frequency = np.fft.rfftfreq(steps, 1 / rate)
    band = (frequency > 0.15) & (frequency < min(0.1 * rate, 10))
    for axis, name in enumerate("uvw"):
        spectrum = np.abs(np.fft.rfft(series[:, axis] * window, axis=0)) ** 2
        psd = 2 * spectrum.mean(axis=1) / (rate * np.sum(window**2))
        expected = dryden_spectrum(frequency, SIGMA[axis], scales[axis], name)
        ratio = psd[band] / expected[band]
        assert abs(np.mean(ratio) - 1) < 0.05, name
        # each bin is the mean of 200 periodograms: 7 % of scatter, and aliasing at the top
        assert np.percentile(np.abs(ratio - 1), 95) < 0.2, name


def test_the_analytic_spectrum_holds_the_variance():
    frequency = np.linspace(0, 400, 2_000_001)
    for axis in "uvw":
        psd = dryden_spectrum(frequency, 1.5, 0.7, axis)
        assert np.trapezoid(psd, frequency) == pytest.approx(1.5**2, rel=0.01)


def test_both_standards_are_the_same_process_at_low_altitude():
    """1797B halves L_v and L_w and its filters double them again."""
    for height in (0.5, 20.0, 200.0):
        sigma_c, lengths_c = turbulence.low_altitude("mil_f_8785c", height, 10.0)
        sigma_b, lengths_b = turbulence.low_altitude("mil_hdbk_1797b", height, 10.0)
        assert sigma_c == sigma_b
        assert lengths_b[1] == lengths_c[1] / 2
        np.testing.assert_allclose(
            turbulence.filter_lengths("mil_hdbk_1797b", lengths_b),
            turbulence.filter_lengths("mil_f_8785c", lengths_c),
        )


def test_low_altitude_values():
    """MIL-F-8785C at 100 ft and 30 knots, worked by hand."""
    sigma, lengths = turbulence.low_altitude("mil_f_8785c", 30.48, 30 * turbulence.KNOT)
    base = 0.177 + 0.0823
    np.testing.assert_allclose(sigma[2], 1.543333, rtol=1e-6)
    np.testing.assert_allclose(sigma[0], 1.543333 / base**0.4, rtol=1e-6)
    np.testing.assert_allclose(lengths, [30.48 / base**1.2] * 2 + [30.48], rtol=1e-9)


def build(*sources, seed=0, duration=20.0, dt=0.002):
    class Holder(StrictModel):
        wind: tuple[WindSourceConfig, ...]

    configs = parse({"wind": list(sources)}, Holder, "test").wind
    return Wind(configs, np.random.default_rng(seed), duration, dt)


def fly_through(field, seconds, pos=(0.0, 0.0, 1.0), vel=(0.0, 0.0, 0.0), dt=0.002):
    rows = []
    for k in range(round(seconds / dt)):
        if k % 5 == 0:
            field.begin(pos, vel, 5)
        rows.append(field.velocity(k * dt, pos))
    return np.array(rows)


def test_dryden_in_a_world_has_the_strength_of_the_standard():
    """A long series in a mean wind to the north-east: u along the wind, w up."""
    sources = [
        {"kind": "steady", "speed": 8.0, "toward_deg": 45.0},
        {"kind": "dryden", "standard": "mil_f_8785c", "severity": "light"},
    ]
    samples = fly_through(build(*sources, dt=3.0), 30000.0, dt=3.0)
    sigma, _ = turbulence.low_altitude("mil_f_8785c", 1.0, 15 * turbulence.KNOT)
    east, north, up = (samples - np.array([1, 1, 0]) * 8 / np.sqrt(2)).T
    along, across = (east + north) / np.sqrt(2), (north - east) / np.sqrt(2)
    got = [along.std(), across.std(), up.std()]
    np.testing.assert_allclose(got, sigma, rtol=0.05)


def correlation(series, lag):
    return np.corrcoef(series[:-lag], series[lag:])[0, 1]


def test_turbulence_follows_the_airspeed():
    """Twice the airspeed, half the correlation time."""
    source = {"kind": "turbulence", "sigma": [1, 1, 1], "length": [4, 4, 4]}
    for speed in (4.0, 8.0):
        series = fly_through(build(source, dt=0.1), 4000.0, vel=(speed, 0, 0), dt=0.1)[:, 0]
        np.testing.assert_allclose(correlation(series, 5), np.exp(-0.5 * speed / 4), atol=0.05)


def test_ornstein_uhlenbeck():
    source = {"kind": "ornstein_uhlenbeck", "sigma": [1.0, 2.0, 0.0], "time_constant": 0.5}
    series = fly_through(build(source, dt=0.1), 4000.0, dt=0.1)
    np.testing.assert_allclose(series.std(axis=0), [1, 2, 0], rtol=0.05)
    np.testing.assert_allclose(correlation(series[:, 0], 5), np.exp(-1.0), atol=0.05)
    np.testing.assert_allclose(np.corrcoef(series[:, 0], series[:, 1])[0, 1], 0, atol=0.05)


def test_one_minus_cosine():
    time = np.array([-1.0, 0.0, 0.25, 0.5, 0.75, 1.5, 2.0, 2.25, 2.5, 9.0])
    got = formulas.one_minus_cosine(time, 0.5, 1.5)
    np.testing.assert_allclose(got, [0, 0, 0.5, 1, 1, 1, 1, 0.5, 0, 0], atol=1e-12)


def test_a_pulse_is_a_gust_without_a_hold():
    time = np.linspace(-1, 4, 501)
    np.testing.assert_allclose(
        formulas.one_minus_cosine_pulse(time, 3.0),
        formulas.one_minus_cosine(time, 1.5, 0.0),
        atol=1e-12,
    )


def test_gusts_come_as_often_as_asked():
    config = CosineGustsConfig(
        kind="gust_1_cosine",
        amplitude=4.0,
        toward_deg=90.0,
        upward_deg=0.0,
        rise_time=0.05,
        hold_time=0.0,
        first=0.5,
        mean_interval=2.0,
    )
    source = config.build(np.random.default_rng(3), 400.0)
    time = np.arange(0, 400, 0.02)
    north = np.array([source.velocity(t, (0, 0, 1))[1] for t in time])
    starts = np.sum((north[1:] > 0) & (north[:-1] <= 0))
    assert 160 < starts < 240
    np.testing.assert_allclose(source.velocity(0.55, (0, 0, 1)), [0, 4, 0], atol=1e-9)


def test_step_gust_and_sum():
    field = build(
        {"kind": "steady", "speed": 1.0, "toward_deg": 0.0},
        {
            "kind": "gust_step",
            "amplitude": 3.0,
            "toward_deg": 0.0,
            "upward_deg": 90.0,
            "start": 1.0,
            "length": 0.5,
        },
    )
    rows = fly_through(field, 2.0)
    np.testing.assert_allclose(
        rows[[499, 500, 749, 750]], [[1, 0, 0], [1, 0, 3], [1, 0, 3], [1, 0, 0]], atol=1e-12
    )


def test_a_gust_that_reverses_goes_back_along_its_axis():
    axis = {"toward_deg": {"uniform": [0.0, 360.0]}, "upward_deg": {"uniform": [-30.0, 30.0]}}
    step = {"kind": "gust_step", "amplitude": 3.0, "start": 1.0, "length": 0.5, "reverses": True}
    cosine = {
        "kind": "gust_1_cosine", "amplitude": 3.0, "first": 1.0, "rise_time": 0.2, "hold_time": 0.1,
        "reverses": True,
    }  # fmt: skip
    for gust in (step, cosine):
        rows = fly_through(build({**gust, **axis}), 2.5)
        there, back = rows[500:750], rows[750:1000]
        np.testing.assert_allclose(there, -back, atol=0.03)  # m/s, within a physics step
        assert np.linalg.norm(rows, axis=1).max() == pytest.approx(3.0)
        np.testing.assert_array_equal(rows[[400, 1010, 1249]], 0)


def test_shear_profile():
    shear = ShearConfig(roughness=0.05, reference_height=6.0)
    assert shear.share(6.0) == pytest.approx(1.0)
    assert shear.share(0.01) == 0.0
    assert shear.share(2.0) == pytest.approx(np.log(40) / np.log(120))
    source = SteadyConfig(kind="steady", speed=5.0, toward_deg=-90.0, shear=shear)
    velocity = source.build(np.random.default_rng(0), 1.0).velocity(0.0, (0, 0, 6.0))
    np.testing.assert_allclose(velocity, [0, -5, 0], atol=1e-12)


def test_jet_is_fast_on_the_axis_and_gone_beside_and_behind():
    jet = JetConfig(
        kind="jet", pos=(-2, 0, 1), toward_deg=0.0, upward_deg=0.0, speed=6.0, diameter=0.5
    )
    velocity = jet.build(np.random.default_rng(0), 1.0).velocity
    np.testing.assert_allclose(velocity(0, (0, 0, 1)), [6, 0, 0])
    assert velocity(0, (10, 0, 1))[0] == pytest.approx(6 * 6 * 0.5 / 12)
    half = 0.25 + 0.1 * 2
    assert velocity(0, (0, half, 1))[0] == pytest.approx(3.0)
    assert velocity(0, (-3, 0, 1)) == (0, 0, 0)
    assert velocity(0, (0, 3, 1))[0] < 1e-6


def test_series_is_interpolated_and_repeats(tmp_path):
    path = tmp_path / "wind.csv"
    path.write_text("time,east,north,up\n0,0,0,0\n1,2,0,0\n2,2,-4,0\n")
    field = build({"kind": "series", "file": str(path), "random_start": False})
    for time, expected in ((0.5, [1, 0, 0]), (1.5, [2, -2, 0]), (2.5, [1, 0, 0])):
        np.testing.assert_allclose(field.velocity(time, (0, 0, 1)), expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t,x,y,z\n0,0,0,0\n1,0,0,0\n", "expected the header"),
        ("time,east,north,up\n0,0,0,0\n0,0,0,0\n", "must increase"),
        ("time,east,north,up\n0,0,0,0\n", "two finite rows"),
        ("time,east,north,up\n0,0,0,0\n1,nan,0,0\n", "two finite rows"),
        ("time,east,north,up\n0,0,0,x\n1,0,0,0\n", "wind.csv"),
    ],
)
def test_a_broken_series_is_named(tmp_path, text, message):
    path = tmp_path / "wind.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_series(str(path))


def test_adding_a_source_leaves_the_others_alone():
    noise = {"kind": "turbulence", "sigma": [1, 1, 1], "length": [2, 2, 2]}
    steady = {"kind": "steady", "speed": 1.0, "toward_deg": 0.0}
    gust = {
        "kind": "gust_step",
        "amplitude": {"uniform": [1, 2]},
        "toward_deg": 0.0,
        "upward_deg": 0.0,
        "start": 9.0,
        "length": 1.0,
    }
    alone = fly_through(build(steady, noise), 0.5)
    np.testing.assert_array_equal(fly_through(build(steady, noise, gust), 0.5), alone)


def test_batched_wind_is_the_same_in_numpy_and_torch(rng):
    batch = 6
    params = formulas.WindParams(
        mean_world=rng.normal(size=(3, batch)),
        axis_u_world=np.array([np.cos(np.arange(6.0)), np.sin(np.arange(6.0))]),
        turbulence=formulas.turbulence_coefficients(
            SIGMA, tuple(rng.uniform(0.2, 2, (3, batch))), 0.01
        ),
        gust_world=rng.normal(size=(3, batch)),
        gust_start=rng.uniform(0, 0.1, batch),
        gust_rise_time=rng.uniform(0.05, 0.1, batch),
        gust_hold_time=rng.uniform(0, 0.1, batch),
    )

    def to_torch(value):
        if isinstance(value, tuple):
            items = [to_torch(v) for v in value]
            return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
        return torch.as_tensor(value, dtype=torch.float64)

    other = to_torch(params)
    first = rng.standard_normal((formulas.NOISE_SIZE, batch))
    states = stack(first, *formulas.turbulence_start(first))
    states_torch = torch.tensor(states)
    for k in range(50):
        noise = rng.standard_normal((formulas.NOISE_SIZE, batch))
        time = np.full(batch, 0.01 * k)
        states, velocity = formulas.wind_step(states, noise, time, params)
        states_torch, velocity_torch = formulas.wind_step(
            states_torch, torch.tensor(noise), torch.tensor(time), other
        )
        np.testing.assert_allclose(velocity_torch.numpy(), velocity, atol=1e-9)
