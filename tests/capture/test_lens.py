"""Lenses: what is projected comes back exactly, as OpenCV projects it, and what no lens sees is said not to be seen."""

import cv2
import h5py
import numpy as np
import pytest

from firsthand.capture.calibration import Calibration, CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.live.wire import calibration_from_json, calibration_to_json

K = np.array([[600.0, 0, 511], [0, 610, 389], [0, 0, 1]])
BROWN = [-0.3, 0.1, 1e-3, -2e-3, 0.02]
RATIONAL = [0.5, -0.2, 1e-3, 2e-3, 0.1, 0.8, -0.1, 0.05]
ARIA = [-0.0306, 0.0204, 0.1211, -0.2203, 0.1344, -0.0290, -9e-4, 1e-4, 5e-4, 7e-4, -5e-4, 2e-4]
CAMERAS = {
    "pinhole": CameraCalibration(K, 1024, 780), "brown-4": CameraCalibration(K, 1024, 780, np.array(BROWN[:4])),
    "brown-5": CameraCalibration(K, 1024, 780, np.array(BROWN)), "rational": CameraCalibration(K, 1024, 780, np.array(RATIONAL)),
    "prism": CameraCalibration(K, 1024, 780, np.array([*RATIONAL, 1e-3, 2e-4, -1e-3, 3e-4])),
    "kannala-brandt": CameraCalibration(K, 1024, 780, np.array([-0.01, 0.02, -0.005, 0.001]), model="kannala-brandt"),
    "fisheye624": CameraCalibration(K, 1024, 780, np.array(ARIA), model="fisheye624"),
}  # fmt: skip


def directions(widest_deg: float, count: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(0)
    theta, phi = np.radians(rng.uniform(0, widest_deg, count)), rng.uniform(0, 2 * np.pi, count)
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], 1)


@pytest.mark.parametrize("name", CAMERAS)
def test_what_is_projected_comes_back_exactly(name: str) -> None:
    camera, rays = CAMERAS[name], directions(80 if name == "kannala-brandt" else 60 if name == "fisheye624" else 45)
    pixels = camera.project(rays * 3.0)
    assert np.isfinite(pixels).all()
    np.testing.assert_allclose(camera.unproject(pixels), rays, atol=1e-11)
    shaped = camera.unproject(pixels.reshape(30, 100, 2))
    assert shaped.shape == (30, 100, 3) and np.allclose(camera.project(shaped).reshape(-1, 2), pixels, atol=1e-8)


@pytest.mark.parametrize("name", ["brown-4", "brown-5", "rational", "prism"])
def test_pinholes_are_opencvs(name: str) -> None:
    camera, rays = CAMERAS[name], directions(40)
    theirs, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, camera.distortion)
    np.testing.assert_allclose(camera.project(rays), theirs[:, 0], atol=1e-9)


def test_kannala_and_brandts_fisheye_is_opencvs() -> None:
    camera, rays = CAMERAS["kannala-brandt"], directions(80)
    theirs = cv2.fisheye.distortPoints((rays[:, :2] / rays[:, 2:])[:, None], K, camera.distortion)
    np.testing.assert_allclose(camera.project(rays), theirs[:, 0], atol=1e-9)


def test_arias_fisheye_is_metas() -> None:
    """Pixels that projectaria-tools 2.3.0 gives for these points (``CameraProjection(FISHEYE624, ...).project``)."""
    camera = CameraCalibration(np.array([[878.0, 0, 992.0], [0, 878, 752.4], [0, 0, 1]]), 2016, 1512, np.array(ARIA), model="fisheye624")
    points = np.array([(0, 0, 1), (0.3, -0.2, 1), (-0.8, 0.5, 1), (1.2, 0.9, 0.8), (0.02, 1.5, 1)])
    theirs = [(992.0, 752.4), (1243.8178143917667, 584.460099381617), (430.77919827555434, 1103.0193459405339),
              (1745.6435729118061, 1317.1519203687953), (1003.6923494203454, 1612.0293083178594)]
    np.testing.assert_allclose(camera.project(points), theirs, atol=1e-9)


def test_a_fisheye_without_distortion_is_equidistant_and_sees_to_the_side() -> None:
    camera = CameraCalibration(np.array([[300.0, 0, 50], [0, 300, 40], [0, 0, 1]]), 100, 80, np.zeros(12), model="fisheye624")
    rays = np.array([[np.sin(a), 0.0, np.cos(a)] for a in (0.0, 0.3, 1.4, 1.8)])
    np.testing.assert_allclose(camera.project(rays), [[50 + 300 * a, 40] for a in (0.0, 0.3, 1.4, 1.8)])


def test_what_no_lens_sees_is_nan() -> None:
    pinhole, barrel = CAMERAS["pinhole"], CameraCalibration(K, 1024, 780, np.array([-0.3]))
    assert np.isnan(pinhole.project(np.array([[0.1, 0.0, -1.0], [0.0, 0.0, 0.0], [np.nan, 0.0, 1.0]]))).all()
    assert np.isnan(barrel.project(np.array([[1.2, 0.0, 1.0]]))).all()  # the polynomial has turned back there
    assert np.isfinite(barrel.project(np.array([[1.0, 0.0, 1.0]]))).all()
    assert np.isnan(barrel.unproject(np.array([[511 + 600 * 0.75, 389.0]]))).all()  # it never gets there
    assert np.isnan(barrel.unproject(np.array([[np.nan, 389.0]]))).all()


def test_a_lens_survives_the_file_and_the_wire() -> None:
    camera = CameraCalibration(K, 1024, 780, np.array(ARIA), source="factory", model="fisheye624", rolling_s_px=np.array([0.0, 1e-5]))
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        camera.write(file.create_group("camera"))
        stored = CameraCalibration.read(file["camera"])
    sent = calibration_from_json(calibration_to_json(Calibration({"head": camera}))).cameras["head"]
    for back in (stored, sent):
        assert back.model == "fisheye624" and back.source == "factory"
        np.testing.assert_array_equal(back.distortion, ARIA)
        np.testing.assert_array_equal(back.rolling_s_px, [0.0, 1e-5])


def test_a_model_nobody_knows_is_refused() -> None:
    with pytest.raises(FirsthandError, match="model 'kannala-brandt' with 5 distortion coefficients is unknown"):
        CameraCalibration(K, 1024, 780, np.zeros(5), model="kannala-brandt")
