"""What a training run is: one YAML file, strict, with a unit for every number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from liquid_control.config import (
    ConfigError,
    NonNegativeFloat,
    PositiveFloat,
    Seed,
    Share,
    StrictModel,
    find_file,
    merge,
    parse,
)
from liquid_control.extending import read_extended


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("expected [low, high] with low <= high")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
PositiveRange = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_ordered)]
NonNegativeRange = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], AfterValidator(_ordered)]


class NoiseConfig(StrictModel):
    """Standard deviations of what the sensors add, white per sample, or constant in an episode."""

    position: NonNegativeFloat  # m
    velocity: NonNegativeFloat  # m/s
    attitude: NonNegativeFloat  # rad
    gyro: NonNegativeFloat  # rad/s
    accelerometer: NonNegativeFloat  # m/s²
    gyro_bias: NonNegativeFloat  # rad/s, constant
    accelerometer_bias: NonNegativeFloat  # m/s², constant
    attitude_bias: NonNegativeFloat = 0.0  # rad, constant


class WindConfig(StrictModel):
    """Ranges of the wind; every environment draws its own."""

    mean: NonNegativeRange  # m/s, horizontal, any direction
    turbulence: NonNegativeRange  # m/s, standard deviation per axis
    correlation_time: PositiveRange  # s, of the turbulence
    gust: NonNegativeRange  # m/s, amplitude of 1-cosine gusts
    gust_duration: PositiveRange  # s, of the whole pulse
    gust_interval: PositiveFloat  # s, mean time between gusts


class RandomisationConfig(StrictModel):
    """Ranges from which each episode draws its vehicle; factors multiply the nominal value."""

    mass: PositiveRange  # factor
    inertia: PositiveRange  # factor
    drag: NonNegativeRange  # factor
    motor_time_constant: PositiveRange  # factor
    motor_efficiency: PositiveRange  # factor, each rotor
    control_rate: PositiveRange  # Hz, log-uniform
    rate_jitter: Share  # of the period, each step
    delay: NonNegativeRange  # s, from measurement to motor command
    dropout: NonNegativeRange  # share of the odometry samples that are lost
    noise_scale: NonNegativeRange  # factor on all noise
    noise: NoiseConfig
    wind: WindConfig
    rate_gain: PositiveRange = (1.0, 1.0)  # factor on the gains of the rate loop, log-uniform
    max_thrust: PositiveRange = (1.0, 1.0)  # factor on the thrust that the rotors have at most
    push: NonNegativeRange = (0.0, 0.0)  # m/s², constant force over mass, any direction
    growth: Share = 0.0  # of the updates, over which the ranges grow from the nominal vehicle on
    # only what can be flown is drawn: gain, lag and mass are reduced until these hold
    max_gain_lag: PositiveFloat | None = None  # gain of the rate loop times its lag, see conditions
    min_thrust_to_weight: PositiveFloat | None = None  # with the true mass and rotors
    max_lateness: PositiveFloat | None = None  # s, of what a command does, see conditions
    max_trim: PositiveFloat | None = None  # rad/s, that unequal rotors take of each rate command


FACTORS = ("mass", "inertia", "motor_time_constant", "motor_efficiency", "rate_gain", "max_thrust")


def grown(random: RandomisationConfig, share: float, control_rate: float) -> RandomisationConfig:
    """The ranges when ``share`` of their growth is done: factors towards 1, rates towards that of
    the run, constant forces and biases towards 0. Noise, delays and wind are whole from the start.
    """
    if share >= 1.0:
        return random
    ranges = {name: tuple(bound**share for bound in getattr(random, name)) for name in FACTORS}
    rates = tuple(control_rate * (rate / control_rate) ** share for rate in random.control_rate)
    biases = ("gyro_bias", "accelerometer_bias", "attitude_bias")
    noise = {name: share * getattr(random.noise, name) for name in biases}
    return random.model_copy(
        update={
            **ranges,
            "control_rate": rates,
            "push": tuple(share * force for force in random.push),
            "noise": random.noise.model_copy(update=noise),
        }
    )


class StartConfig(StrictModel):
    """Where episodes begin, around the setpoint."""

    max_tilt: NonNegativeFloat  # rad, uniform, of the tilted episodes
    tilted_share: Share  # of the episodes; the others start level
    position: NonNegativeFloat  # m, largest offset per axis
    velocity: NonNegativeFloat  # m/s, largest per axis
    ang_vel: NonNegativeFloat  # rad/s, largest per axis


class ReferenceConfig(StrictModel):
    """What is to be followed."""

    lissajous_share: Share  # of the episodes; the others hover
    amplitude: PositiveRange  # m
    max_speed: PositiveFloat  # m/s
    max_acceleration: PositiveFloat | None = None  # m/s², of each axis
    max_lag: PositiveFloat | None = None  # rad, that the vehicle's lateness is of a swing's period
    step_share: Share  # of the hovering episodes whose setpoint jumps
    step: NonNegativeFloat  # m, largest jump per axis
    step_interval: PositiveFloat  # s, mean time between jumps


class LossConfig(StrictModel):
    """Weights of the cost per step."""

    position: NonNegativeFloat  # 1/m, of a smooth norm
    position_smoothing: PositiveFloat  # m, below it the cost is quadratic
    velocity: NonNegativeFloat  # s/m
    yaw: NonNegativeFloat  # of 1 − cos(heading error)
    ang_vel: NonNegativeFloat  # s²/rad²
    command_change: NonNegativeFloat  # of the squared change of the scaled command
    command_rate: NonNegativeFloat  # of the squared scaled rate commands
    inverted: NonNegativeFloat  # of how far the vehicle is past 90° of tilt
    # 1/s; the whole cost of a vehicle is divided by 1 + the square of this times its lateness
    lateness: NonNegativeFloat = 0.0


class OptimiserConfig(StrictModel):
    """Adam with warm-up and cosine decay."""

    updates: int = Field(gt=0)
    environments: int = Field(gt=0)
    window: int = Field(gt=1)  # control steps that are back-propagated through
    reset_share: Share  # of the environments that start anew after each window
    learning_rate: PositiveFloat
    warmup: int = Field(ge=0)  # updates
    gradient_clip: PositiveFloat  # norm
    physics_steps: int = Field(gt=0)  # per control step
    # s, time constant with which the gradient fades on its way back through the vehicle; None: it
    # does not. Through a vehicle that the policy can't hold yet it grows and outweighs all others'.
    gradient_horizon: PositiveFloat | None = None


class EarlyStopConfig(StrictModel):
    """When to end before the last update, by the running mean of the error in flight."""

    target: NonNegativeFloat  # m, RMSE of the position that is good enough; 0: go on
    patience: int = Field(gt=0)  # updates without a better mean


class EyeConfig(StrictModel):
    """The encoder of a policy that sees; its camera is that of the worlds."""

    features: int = Field(gt=0)
    channels: tuple[int, ...] = (16, 24, 32, 32)  # of each convolution, which halve the picture
    points: int = Field(default=0, ge=0)  # that it looks for, see `nn.vision.Encoder`


class TrainingConfig(StrictModel):
    """What every training run says, whatever its method."""

    method: str
    vehicle: str
    command: str = ""  # name of the kind that the policy gives; "": the vehicle's first
    seed: Seed
    control_rate: PositiveFloat  # Hz, nominal
    observation: dict[str, PositiveFloat]  # slot name: what counts as 1, SI units
    # as nn.cells.zoo.build_cell takes it; the sizes are filled in, and the seed of a wiring that
    # gives none, so that each run of several seeds has a wiring of its own
    network: dict[str, Any]
    eye: EyeConfig | None = None  # of a policy that steers by camera
    early_stop: EarlyStopConfig | None = None

    @model_validator(mode="after")
    def _is_taught_to_see(self):
        if self.eye is not None and self.method != "imitation":
            raise ValueError(f"eye: expected method imitation, got {self.method!r}")
        return self

    @property
    def tunes_gains(self) -> bool:
        """Whether a geometric controller is tuned, in place of a network that is trained."""
        return self.network.get("kind") == "geometric"


class GradientConfig(TrainingConfig):
    """A training run by back-propagation through the batched dynamics."""

    method: Literal["gradient"]
    start: StartConfig
    reference: ReferenceConfig
    randomisation: RandomisationConfig
    loss: LossConfig
    optimiser: OptimiserConfig


class ViewsConfig(StrictModel):
    """Views of random scenes, with labels from the simulator, on which an eye learns to see before
    anything moves."""

    updates: int = Field(gt=0)  # Adam steps
    batch: int = Field(gt=0)  # views, each of another scene
    learning_rate: PositiveFloat
    # largest strength of each of `scenery.shifts`, drawn for each view
    shifts: dict[str, Share] = Field(default={})
    # of the squared error of a slot that the expert is told, in its standard deviation; else 1
    weights: dict[str, PositiveFloat] = Field(default={})


class DaggerConfig(StrictModel):
    """Rounds of flights that the expert labels, and of regression on all labels so far."""

    rounds: int = Field(gt=0)
    flights: int = Field(gt=0)  # a round
    duration: PositiveFloat  # s, of a flight
    expert_share: Share  # of the steps that the expert flies in round k: its k-th power
    updates: int = Field(gt=0)  # Adam steps a round
    sequences: int = Field(gt=0)  # in a batch
    length: int = Field(gt=1)  # control steps of a sequence
    learning_rate: PositiveFloat
    gradient_clip: PositiveFloat  # norm
    # steps at the start of a sequence from within a flight that don't count: it begins in a state
    # that is drawn, so that nothing older is to matter. 0: in the state of rest, and all count
    forget: int = Field(default=0, ge=0)
    # of the squared error of a slot of the command, in the unit of its limit; else 1
    weights: dict[str, PositiveFloat] = Field(default={})


class ImitationConfig(TrainingConfig):
    """A training run by imitation of an expert in PyBullet worlds (DAgger)."""

    method: Literal["imitation"]
    expert: str  # a controller by name, as `fly --policy` takes it
    worlds: Annotated[tuple[str, ...], Field(min_length=1)]  # in turn
    dagger: DaggerConfig
    views: ViewsConfig | None = None  # of a policy that sees

    @model_validator(mode="after")
    def _learns_to_see(self):
        if (self.eye is None) is not (self.views is None):
            raise ValueError("eye and views: expected both, for a policy that sees, or none")
        return self


class CandidatesConfig(StrictModel):
    """Which gains are tried, and on which flights."""

    candidates: int = Field(gt=0)
    ranges: dict[str, PositiveRange]  # of each gain; units as in parameters.BackupParameters
    spread: PositiveFloat  # standard deviation of the logarithms around the best
    first_seed: Seed  # of the flights in each world
    flights: int = Field(gt=0)  # a world
    duration: PositiveFloat  # s, of a flight


class SearchConfig(TrainingConfig):
    """Tuning of a geometric controller by random search in PyBullet worlds."""

    method: Literal["search"]
    worlds: Annotated[tuple[str, ...], Field(min_length=1)]
    search: CandidatesConfig


# where it names files, which it looks for beside itself, see `extending.located`
_PLACES = ("vehicle:config/vehicle", "worlds:sim_worlds", "expert", "network.mode")
_METHODS = {"gradient": GradientConfig, "imitation": ImitationConfig, "search": SearchConfig}


def load_training(name: str | Path, changes: Mapping[str, Any] | None = None) -> TrainingConfig:
    """A training configuration by path or by name (``config/training/<name>.yaml``).

    ``changes`` maps dotted keys (``optimiser.learning_rate``) to values in place of the file's.

    A file may say ``extends: <name>``: it then takes all of that file but the keys it gives
    itself; nested keys are merged, ``network`` and ``observation`` are replaced whole. Vehicle,
    worlds and classes that it names may stand beside it.
    """
    path = find_file(name, "config/training")
    whole = ("network", "observation")
    data = read_extended(path, "config/training", whole=whole, places=_PLACES)
    for key, value in (changes or {}).items():
        for part in reversed(key.split(".")):
            value = {part: value}
        data = merge(data, value)
    method = data.get("method") if isinstance(data, dict) else None
    if method not in _METHODS:
        raise ConfigError(f"{path}: method: expected one of {', '.join(_METHODS)}, got {method!r}")
    return parse(data, _METHODS[method], path)
