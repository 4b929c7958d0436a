"""A policy that sees: two graphs in one file, each with its proof; images of any camera."""

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

import onnx
import torch

from liquid_control.config import ConfigError
from liquid_control.nn.cells.zoo import build_cell
from liquid_control.nn.export import export_policy
from liquid_control.nn.policy import Policy
from liquid_control.nn.vision import Encoder
from liquid_control.runtime.artifact import load_artifact, seal, upgrade_artifact
from liquid_control.runtime.eye import EYE_KEY, FEATURES, fitted
from liquid_control.runtime.policy import OnnxPolicy
from liquid_control.runtime.schema import EyeEntry
from liquid_control.structs import STEERING, ImageSample, Layout, Slot

INTRINSICS = (22.0, 22.0, 16.0, 8.0)
LAYOUT = Layout((Slot("ang_vel", 3, "rad/s", "body"), Slot(FEATURES, 5, "1", "none")))
ENTRY = EyeEntry(
    width=32, height=16, focal_length=(22, 22), principal_point=(16, 8), weights=1,
    golden_seed=1, golden_features=[],
)  # fmt: skip


@pytest.fixture(scope="module", params=[0, 3], ids=["plain", "points"])
def made(request, tmp_path_factory):
    """The file, and the torch modules that it was made of."""
    torch.manual_seed(0)
    encoder = Encoder(32, 16, 5, (4, 6, 8), request.param)
    encoder(torch.randint(0, 256, (64, 16, 32, 3), dtype=torch.uint8))  # statistics of its norms
    encoder.eval()
    wiring = {"kind": "auto_ncp", "units": 12, "sensory": 8, "motor": 2, "sparsity": 0.3, "seed": 1}
    cell = build_cell(
        {"kind": "cfc", "mode": "closed", "nominal_dt": 0.02, "wiring": wiring},
        torch.Generator().manual_seed(0),
    )
    policy = Policy(
        cell,
        observation_offset=torch.zeros(8),
        observation_scale=torch.ones(8),
        command_offset=torch.zeros(2),
        command_scale=torch.tensor([15.0, 1.3]),
    )
    path = tmp_path_factory.mktemp("eye") / "policy.onnx"
    export_policy(
        policy,
        path,
        observation=LAYOUT,
        command=STEERING,
        control_period=0.02,
        network="test",
        vehicle="car",
        training={},
        rng=np.random.default_rng(0),
        encoder=encoder,
        intrinsics=INTRINSICS,
    )
    return path, policy, encoder


def test_it_steps_on_what_it_saw_last(made):
    path, policy, encoder = made
    flying, rng = OnnxPolicy(load_artifact(path)), np.random.default_rng(3)
    assert flying.sees
    assert flying.observation_layout.names == ("ang_vel",)
    state, features = policy.initial_state(1), torch.zeros(1, 5)
    for k in range(9):
        if k % 3 == 0:
            rgb = rng.integers(0, 256, (16, 32, 3), np.uint8)
            flying.look(ImageSample(k, rgb, INTRINSICS))
            with torch.no_grad():
                features = encoder(torch.from_numpy(rgb[None]))
        observation = rng.normal(size=3)
        command = flying.step(observation, 0.02)
        given = torch.cat([torch.from_numpy(observation).float()[None], features], dim=1)
        with torch.no_grad():
            wanted, state = policy(given, torch.tensor([[0.02]]), state)
        np.testing.assert_allclose(command, wanted[0].numpy(), atol=1e-4)


def test_an_upgrade_keeps_the_eye(made, tmp_path):
    path = tmp_path / "policy.onnx"
    path.write_bytes(made[0].read_bytes())
    assert upgrade_artifact(path).eye is not None


def changed(source, path, change):
    """The file with other properties, sealed again."""
    model = onnx.load(source)
    properties = {p.key: p.value for p in model.metadata_props}
    change(properties)
    onnx.helper.set_model_props(model, properties)
    path.write_bytes(seal(model.SerializeToString(deterministic=True)))
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: p.pop(EYE_KEY), "its metadata tell of one"),
        (lambda p: p.update({EYE_KEY: "???"}), "is no base64"),
        (lambda p: p.update({EYE_KEY: "AAAA"}), "not a whole ONNX file"),
        (
            lambda p: p.update(
                liquid_control=p["liquid_control"].replace('"golden_seed":1', '"golden_seed":2')
            ),
            "eye check failed: largest error",
        ),
    ],
)
def test_a_damaged_eye_is_refused(made, tmp_path, change, reason):
    path = changed(made[0], tmp_path / "policy.onnx", change)
    with pytest.raises(ConfigError, match=reason):
        load_artifact(path)


def test_a_large_picture_is_averaged_to_what_the_eye_takes():
    rgb = np.zeros((480, 640, 3), np.uint8)
    rgb[:, 320:] = 200
    # twenty times the focal length in pixels: 640 columns are the 32 of the eye
    seen = fitted(ImageSample(0, rgb, (440.0, 440.0, 320.0, 240.0)), ENTRY)
    assert seen.shape == (16, 32, 3)
    assert not seen[:, :16].any()
    assert (seen[:, 16:] == 200).all()


def test_without_intrinsics_the_shape_must_fit():
    assert fitted(ImageSample(0, np.zeros((160, 320, 3), np.uint8)), ENTRY).shape == (16, 32, 3)
    with pytest.raises(ValueError, match="640 x 480 without camera_info"):
        fitted(ImageSample(0, np.zeros((480, 640, 3), np.uint8)), ENTRY)


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (ImageSample(0, np.zeros((16, 32), np.uint8)), r"uint8 of shape \(16, 32\)"),
        (ImageSample(0, np.zeros((16, 32, 3))), "float64 of shape"),
        (
            ImageSample(0, np.zeros((16, 32, 3), np.uint8), (80.0, 80.0, 16.0, 8.0)),
            "the camera sees less than the policy needs",
        ),
    ],
)
def test_a_picture_that_does_not_fit_is_named(image, reason):
    with pytest.raises(ValueError, match=reason):
        fitted(image, ENTRY)
