"""A camera's optics from a calibration file: ours (TOML, JSON), or what OpenCV and ROS write (YAML, XML)."""

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from firsthand.capture.calibration import CameraCalibration
from firsthand.capture.errors import FirsthandError
from firsthand.capture.files import reason
from firsthand.capture.lens import Model

MODELS: dict[str, Model] = {"": "opencv", "opencv": "opencv", "plumb_bob": "opencv", "rational_polynomial": "opencv", "radtan": "opencv",
                            "kannala-brandt": "kannala-brandt", "equidistant": "kannala-brandt", "fisheye": "kannala-brandt"}
"""What files call a distortion model, and what we do."""
_SPELLED = {"width_px": ("width_px", "image_width"), "height_px": ("height_px", "image_height"),
            "K": ("K", "camera_matrix", "cameraMatrix", "Camera_Matrix"),
            "distortion": ("distortion", "distortion_coefficients", "dist_coeffs", "distCoeffs", "Distortion_Coefficients"),
            "T_rig_cam": ("T_rig_cam",)}
_MOST_BYTES = 1 << 20


def read_lens(path: Path) -> CameraCalibration:
    """Read a calibration file. Raises `FirsthandError` when there is none, or it does not tell the lens."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise FirsthandError(f"{path} is no calibration file: it is larger than a megabyte")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FirsthandError(f"cannot read the calibration file {path}: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise FirsthandError(f"{path} is no calibration file: it is not text") from error
    try:
        if path.suffix == ".toml":
            document = tomllib.loads(text)
        elif path.suffix == ".json":
            document = json.loads(text)
        else:
            document = _opencv(text, path)
        found = {ours: next((document[name] for name in names if name in document), None) for ours, names in _SPELLED.items()}
        missing = [" or ".join(_SPELLED[name][:2]) for name in ("width_px", "height_px", "K") if found[name] is None]
        if missing:
            raise FirsthandError(f"{path} does not say {', '.join(missing)}")
        model = str(document.get("model", document.get("distortion_model", ""))).lower()
        if model not in MODELS:
            raise FirsthandError(f"{path} is of a lens of the model {model!r}; those that are read are {', '.join(filter(None, MODELS))}")
        T_rig_cam = np.eye(4) if found["T_rig_cam"] is None else np.asarray(found["T_rig_cam"], float)
        distortion = np.asarray([] if found["distortion"] is None else found["distortion"], float).ravel()
        lens = CameraCalibration(np.asarray(found["K"], float).reshape(3, 3), int(found["width_px"]), int(found["height_px"]),  # type: ignore[arg-type]
                                 distortion, T_rig_cam, model=MODELS[model])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FirsthandError(f"{path} is no calibration file: {error}; it needs width_px, height_px, K (3x3) and distortion") from error
    if not np.isfinite(lens.K).all() or not np.isfinite(lens.distortion).all() or lens.K[0, 0] <= 0 or lens.K[1, 1] <= 0:
        raise FirsthandError(f"{path}: its K is no camera matrix; focal lengths are above 0, and all numbers finite")
    return lens


def _opencv(text: str, path: Path) -> dict[str, Any]:
    """A YAML or XML file through OpenCV's own reader; ROS leaves the YAML header out that it insists on."""
    try:
        import cv2
    except ImportError:
        raise FirsthandError(f"{path} needs OpenCV to be read: pip install 'firsthand[camera]'") from None
    whole = text if text.lstrip().startswith(("%YAML", "<?xml")) else f"%YAML:1.0\n---\n{text.removeprefix('---')}"
    try:
        storage = cv2.FileStorage(whole, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()
        return {name: _value(root.getNode(name)) for name in root.keys()}  # noqa: SIM118 - a node of OpenCV's, not a dict
    except (cv2.error, SystemError) as error:  # SystemError is how its binding tells of some
        raise FirsthandError(f"{path} is no calibration file: it is neither TOML, JSON nor what OpenCV or ROS writes") from error


def _value(node: Any) -> Any:
    if node.isMap() and not node.getNode("data").empty():  # a matrix
        data = node.getNode("data")
        return [data.at(i).real() for i in range(data.size())]
    if node.isSeq():
        return [_value(node.at(i)) for i in range(node.size())]
    return node.string() if node.isString() else node.real() if node.isReal() or node.isInt() else None
