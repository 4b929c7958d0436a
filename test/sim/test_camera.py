"""The camera: geometry of the pinhole, mounting, timing, appearance; and that it only looks."""

import numpy as np
import pytest

from liquid_control.config import ConfigError, parse, read_yaml, share_dir
from liquid_control.frames import quat_from_rotation_vector, quat_from_yaw, quat_multiply, rotate
from liquid_control.sim.scenery.config import BoxConfig
from liquid_control.sim.sensors.camera import Camera, CameraConfig
from liquid_control.structs import RATES_THRUST

LEVEL = np.array([0.0, 0.0, 0.0, 1.0])
STILL = np.zeros(3)
GREY = [0.5, 0.5, 0.5]
SMALL = read_yaml(share_dir() / "sim_worlds/sensors/camera_64x48.yaml")
PLAIN = {**SMALL["appearance"], "fog": 0.0, "noise": 0.0, "ground": [GREY, GREY]}
CAMERA = {
    **SMALL,
    "width": 160,
    "height": 120,
    "focal_length": [100.0, 110.0],
    "principal_point": [85.0, 55.0],
    "pos_body": [0.05, 0.0, 0.02],
    "appearance": PLAIN,
}


def red_ball(pos, size=0.2):
    data = {"shape": "box", "pos": pos, "size": [size] * 3, "yaw_deg": 0, "color": [1, 0, 0]}
    return parse(data, BoxConfig, "test")


@pytest.fixture
def make_camera():
    cameras = []

    def make(obstacles=(), seed=0, appearance=None, **changes):
        data = {**CAMERA, **changes, "appearance": {**PLAIN, **(appearance or {})}}
        config = parse(data, CameraConfig, "test")
        cameras.append(Camera(config, obstacles, np.random.default_rng(seed)))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.close()


def centre_of_red(image):
    red = (image[..., 0] > 60) & (image[..., 1] < 30)
    rows, columns = np.nonzero(red)
    return columns.mean() + 0.5, rows.mean() + 0.5


@pytest.mark.parametrize(
    ("yaw", "tilt", "pitch_deg"), [(0.0, [0, 0, 0], 0.0), (2.0, [0.1, 0.2, 0], 10.0)]
)
def test_a_point_lands_where_the_pinhole_says(make_camera, yaw, tilt, pitch_deg):
    """Body FLU to pixel: u = cx − fx·left/ahead, v = cy − fy·up/ahead, camera pitched up."""

    quat = quat_multiply(quat_from_yaw(np.float64(yaw)), quat_from_rotation_vector(np.array(tilt)))
    pos = np.array([1.0, -2.0, 3.0])
    left, up, ahead = 0.8, -0.5, 4.0  # in the camera
    pitch = np.radians(pitch_deg)
    in_body = np.array(
        [
            ahead * np.cos(pitch) - up * np.sin(pitch),
            left,
            ahead * np.sin(pitch) + up * np.cos(pitch),
        ]
    ) + np.array(CAMERA["pos_body"])
    target = pos + rotate(quat, in_body)
    camera = make_camera([red_ball(target.tolist(), 0.1)], pitch_deg=pitch_deg)
    u, v = centre_of_red(camera.image(pos, quat, STILL, STILL))
    assert u == pytest.approx(85 - 100 * left / ahead, abs=1.0)
    assert v == pytest.approx(55 - 110 * up / ahead, abs=1.0)


def test_sky_above_ground_below(make_camera):
    image = make_camera().image(np.array([0, 0, 1.0]), LEVEL, STILL, STILL)
    np.testing.assert_array_equal(image[5, 80], [178, 204, 230])
    assert np.ptp(image[-5, 80].astype(int)) <= 2  # grey


def test_fog_fades_with_distance_to_the_sky(make_camera):
    pos = np.array([0, 0, 1.0])
    reds = []
    for distance in (2.0, 8.0):
        balls = [red_ball([distance, 0.0, 1.0], 0.6)]
        clear = make_camera(balls).image(pos, LEVEL, STILL, STILL)[55, 85].astype(float)
        foggy = make_camera(balls, appearance={"fog": 0.3}).image(pos, LEVEL, STILL, STILL)[55, 85]
        depth = distance - 0.3 - 0.05
        expected = [178, 204, 230] + np.exp(-0.3 * depth) * (clear - [178, 204, 230])
        np.testing.assert_allclose(foggy, expected, atol=3)
        reds.append(foggy)
    assert reds[1][1] > reds[0][1]


def test_brightness_noise_and_occlusion(make_camera):
    pos = np.array([0, 0, 1.0])

    def look(**appearance):
        return make_camera(appearance=appearance).image(pos, LEVEL, STILL, STILL).astype(float)

    plain = look()
    np.testing.assert_allclose(look(brightness=0.5), plain // 2, atol=1)
    assert (look(noise=8.0) - plain)[:40].std() == pytest.approx(8.0, rel=0.05)
    hidden = look(occlusion=0.25)
    assert np.mean(np.all(hidden == 0, axis=-1)) == pytest.approx(0.25**2, rel=0.05)


def test_a_texture_is_picked_by_the_seed(make_camera):
    pos = np.array([0, 0, 1.0])
    balls = [red_ball([1.5, 0.0, 1.0], 0.6)]

    def look(seed=0, **texture):
        texture = {"contrast": 0.6, "cell_size": 0.2, **texture} if texture else None
        camera = make_camera(balls, seed=seed, appearance={"texture": texture})
        return camera.image(pos, LEVEL, STILL, STILL).astype(float)

    plain, noisy = look(), look(kind="noise")
    np.testing.assert_array_equal(noisy, look(kind="noise"))
    assert np.any(noisy != look(kind="noise", seed=1))
    np.testing.assert_array_equal(look(kind="checker", contrast=0.0), plain)
    for kind in ("checker", "stripes"):
        share = look(kind=kind) / np.maximum(plain, 1)
        ground, ball = share[90:, :, 1], share[35:75, 65:105, 0]
        for part in (ground, ball):
            dark, bright = np.abs(part - 0.4) < 0.05, np.abs(part - 1) < 0.05
            assert np.mean(dark | bright) > 0.98
            assert 0.2 < dark.mean() < 0.8
    with pytest.raises(ConfigError, match=r"appearance\.texture\.kind"):
        look(kind="marble")


def test_a_texture_cell_has_its_size(make_camera):
    """Looking straight down from 2 m, 100 px focal length: cells of 0.4 m are 20 px wide."""
    texture = {"kind": "checker", "contrast": 0.5, "cell_size": 0.4}
    camera = make_camera(
        appearance={"texture": texture},
        pitch_deg=-90.0,
        pos_body=[0, 0, 0],
        focal_length=[100, 100],
    )
    image = camera.image(np.array([0.9, 0.9, 2.0]), LEVEL, STILL, STILL)[..., 0].astype(int)
    for line in (image[47], image[:, 47]):
        edges = np.flatnonzero(np.abs(np.diff(line)) > 30)
        assert len(edges) >= 5
        np.testing.assert_allclose(np.diff(edges), 20, atol=1)


def test_motion_blur_smears_along_the_motion(make_camera):
    pos = np.array([0, 0, 1.0])
    balls = [red_ball([3.0, 0.0, 1.0])]
    sharp = make_camera(balls).image(pos, LEVEL, STILL, STILL)
    turning = np.array([0.0, 0.0, 3.0])
    camera = make_camera(balls, exposure=0.03, blur_frames=6)
    blurred = camera.image(pos, LEVEL, STILL, turning)

    def width(image):
        return np.sum(image[55, :, 0].astype(int) - image[55, :, 1] > 5)

    # 0.09 rad at 100 px
    assert width(blurred) - width(sharp) == pytest.approx(9, abs=2.5)


def test_rate_and_latency(make_world):
    world = make_world(camera={**CAMERA, "latency": 0.03})
    stamps = []
    for _ in range(13):
        world.step(RATES_THRUST.command(*RATES_THRUST.neutral))
        frame = world.image
        stamps.append(None if frame is None else frame.stamp // 10_000_000)
    assert stamps == [None, None, 0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 10]
    assert world.image.rgb.shape == (120, 160, 3)


def test_a_camera_may_be_named(make_world):
    assert make_world(camera="camera_64x48").image.rgb.shape == (48, 64, 3)


def test_looking_changes_nothing(make_world):
    wind = [{"kind": "turbulence", "sigma": [1, 1, 1], "length": [2, 2, 2]}]
    worlds = [make_world(wind=wind), make_world(wind=wind, camera=CAMERA)]
    for world in worlds:
        for _ in range(60):
            world.step(RATES_THRUST.command(*RATES_THRUST.neutral))
    np.testing.assert_array_equal(worlds[0].state.pos_world, worlds[1].state.pos_world)


def test_a_seed_is_a_film(make_world):
    foggy = {**CAMERA, "appearance": {**PLAIN, "noise": 5.0, "fog": {"uniform": [0.0, 0.2]}}}
    images = [make_world(seed=s, camera=foggy).image.rgb for s in (3, 3, 4)]
    np.testing.assert_array_equal(images[0], images[1])
    assert np.any(images[0] != images[2])
