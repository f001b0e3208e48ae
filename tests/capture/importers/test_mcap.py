"""MCAP: Foxglove's schemas in JSON and Protobuf and ROS 2's in CDR come in with their bytes, numbers and both stamps."""

import base64
import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from firsthand.annotate.annotation import read_annotation
from firsthand.capture.errors import DamagedError, FirsthandError
from firsthand.capture.library import Episode
from firsthand.retarget.head_pose import COLUMNS

pytest.importorskip("mcap_ros2")

from google.protobuf.timestamp_pb2 import Timestamp
from mcap.writer import CompressionType, Writer
from mcap_protobuf.writer import Writer as ProtobufWriter
from mcap_ros2.writer import Writer as Ros2Writer

EPOCH, FRAMES = 1_770_000_000_000_000_000, 8
STAMPS = EPOCH + np.arange(FRAMES) * 33_333_333
LOGGED = STAMPS + 4_000_000 + np.array([0, 70_000, 900_000, 0, 5_000, 300_000, 0, 20_000])
POSES = np.random.default_rng(0).normal(0, 1, (FRAMES, 7))
K = [300.0, 0, 32, 0, 301, 24, 0, 0, 1]

HEADER = ("std_msgs/Header header\n", "===\nMSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
          "===\nMSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n")
GEOMETRY = ("===\nMSG: geometry_msgs/Pose\nPoint position\nQuaternion orientation\n"
            "===\nMSG: geometry_msgs/Point\nfloat64 x\nfloat64 y\nfloat64 z\n"
            "===\nMSG: geometry_msgs/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w\n"
            "===\nMSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z\n"
            "===\nMSG: geometry_msgs/Transform\nVector3 translation\nQuaternion rotation\n")
ROS2 = {
    "sensor_msgs/msg/CompressedImage": HEADER[0] + "string format\nuint8[] data\n" + HEADER[1],
    "sensor_msgs/msg/Image": HEADER[0] + "uint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\n"
    "uint8[] data\n" + HEADER[1],
    "sensor_msgs/msg/CameraInfo": HEADER[0] + "uint32 height\nuint32 width\nstring distortion_model\nfloat64[] d\nfloat64[9] k\n" +
    HEADER[1],
    "sensor_msgs/msg/Imu": HEADER[0] + "geometry_msgs/Quaternion orientation\nfloat64[9] orientation_covariance\n"
    "geometry_msgs/Vector3 angular_velocity\nfloat64[9] angular_velocity_covariance\ngeometry_msgs/Vector3 linear_acceleration\n"
    "float64[9] linear_acceleration_covariance\n" + HEADER[1] + GEOMETRY,
    "sensor_msgs/msg/JointState": HEADER[0] + "string[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n" + HEADER[1],
    "geometry_msgs/msg/PoseStamped": HEADER[0] + "geometry_msgs/Pose pose\n" + HEADER[1] + GEOMETRY,
    "tf2_msgs/msg/TFMessage": "geometry_msgs/TransformStamped[] transforms\n===\nMSG: geometry_msgs/TransformStamped\n" + HEADER[0] +
    "string child_frame_id\nTransform transform\n" + HEADER[1] + GEOMETRY,
    "std_msgs/msg/String": "string data\n", "std_msgs/msg/Float32": "float32 data\n",
    "robot_msgs/msg/Gripper": HEADER[0] + "float32 width\nbool[2] pads\nuint8 mode\nstring note\n" + HEADER[1],
    "sensor_msgs/msg/NavSatFix": HEADER[0] + "float64 latitude\nfloat64 longitude\n" + HEADER[1],
}  # fmt: skip


def header(t: int, frame: str) -> dict[str, Any]:
    return {"stamp": {"sec": t // 10**9, "nanosec": t % 10**9}, "frame_id": frame}


def xyz(values: Any) -> dict[str, float]:
    return dict(zip("xyz", map(float, values), strict=False))


def quat(wxyz: Any) -> dict[str, float]:
    return dict(zip("wxyz", map(float, wxyz), strict=True))


def write_ros2(path: Path, messages: list[tuple[str, str, int, int, Any]]) -> Path:
    """(topic, type, log time, publish time, message) as a bag of ROS 2 is."""
    with path.open("wb") as file:
        writer = Ros2Writer(file)
        schemas = {kind: writer.register_msgdef(kind, ROS2[kind]) for kind in dict.fromkeys(m[1] for m in messages)}
        for topic, kind, logged, published, message in messages:
            writer.write_message(topic, schemas[kind], message, logged, published)
        writer.finish()
    return path


def bag(jpegs: list[bytes]) -> list[tuple[str, str, int, int, Any]]:
    """A robot that was moved by hand: camera, depth, joints, IMU, poses, and some of its own."""
    found: list[tuple[str, str, int, int, Any]] = []
    lens = {"distortion_model": "plumb_bob", "d": [0.1, 0.0, 0.0, 0.0, 0.0], "k": K}
    optics = {"header": header(EPOCH, "optical"), "height": 48, "width": 64, **lens}
    for i, (stamp, logged) in enumerate(zip(STAMPS.tolist(), LOGGED.tolist(), strict=True)):
        depth = np.full((48, 64), 500 + i, np.uint16)
        tool = {"position": xyz(POSES[i, :3]), "orientation": quat(POSES[i, 3:])}
        moved = {"translation": xyz(POSES[i, :3]), "rotation": quat(POSES[i, 3:])}
        pairs = [("base", "tool"), ("world", "optical")][: 1 + i % 2]
        names = ["shoulder", "elbow"] if i else ["elbow"]
        for topic, kind, message in (
            ("/camera/color/image_raw/compressed", "sensor_msgs/msg/CompressedImage",
             {"header": header(stamp, "optical"), "format": "rgb8; jpeg compressed bgr8", "data": jpegs[i]}),
            ("/camera/depth/image_raw", "sensor_msgs/msg/Image",
             {"header": header(stamp, "optical"), "height": 48, "width": 64, "encoding": "16UC1", "is_bigendian": 0, "step": 128,
              "data": depth.tobytes()}),
            ("/camera/color/image_raw/camera_info", "sensor_msgs/msg/CameraInfo", optics),
            ("/imu", "sensor_msgs/msg/Imu", {"header": header(stamp, "imu"), "orientation": quat([1, 0, 0, 0]),
                                             "orientation_covariance": [-1.0] + [0.0] * 8, "angular_velocity": xyz([i, 0, 1]),
                                             "angular_velocity_covariance": [0.0] * 9, "linear_acceleration": xyz([0, i, 9.8]),
                                             "linear_acceleration_covariance": [0.0] * 9}),
            ("/joint_states", "sensor_msgs/msg/JointState", {"header": header(stamp, ""), "name": names, "position": [0.1 * i] * len(names),
                                                             "velocity": [], "effort": [1.0 * i] * len(names)}),
            ("/tool_pose", "geometry_msgs/msg/PoseStamped", {"header": header(stamp, "base"), "pose": tool}),
            ("/tf", "tf2_msgs/msg/TFMessage", {"transforms": [{"header": header(stamp, parent), "child_frame_id": child, "transform": moved}
                                                              for parent, child in pairs]}),
            ("/notes", "std_msgs/msg/String", {"data": f"note {i}"}), ("/force", "std_msgs/msg/Float32", {"data": 0.5 * i}),
            ("/gripper", "robot_msgs/msg/Gripper", {"header": header(stamp, ""), "width": 0.25 * i, "pads": [True, False], "mode": i,
                                                    "note": "x"}),
            ("/gps", "sensor_msgs/msg/NavSatFix", {"header": header(stamp, ""), "latitude": 48.0, "longitude": 11.0}),
        ):  # fmt: skip
            found.append((topic, kind, logged, stamp + 1_000_000, message))
    return found


@pytest.fixture
def ros2(tmp_path: Path, jpegs: Callable[..., list[bytes]]) -> Path:
    """That robot's bag."""
    return write_ros2(tmp_path / "demo.mcap", bag(jpegs(FRAMES)))


def test_a_ros2_bag_comes_in(ros2: Path, bring_in: Callable[..., Episode], jpegs: Callable[..., list[bytes]]) -> None:
    with bring_in(ros2).recording() as recording:
        assert recording.source == "teleop"
        camera = recording.camera()
        assert camera.spec.name == "camera-color-image_raw-compressed" and camera.spec.clock == "device"
        assert [camera.payload(i) for i in range(FRAMES)] == jpegs(FRAMES)
        for stream in (camera, recording["imu"], recording["joint_states"], recording["tool_pose"], recording["gripper"]):
            np.testing.assert_array_equal(stream.device_ns, STAMPS)
            np.testing.assert_array_equal(stream.host_ns, LOGGED)
        np.testing.assert_array_equal(recording["force"].device_ns, STAMPS + 1_000_000, "no stamp of its own: when it was published")
        pose = recording["tool_pose"]
        assert pose.spec.names == COLUMNS and pose.spec.about == "" and pose.spec.extra["frame"] == "base"
        np.testing.assert_array_equal(pose.values, POSES)
        imu = recording["imu"]
        assert imu.spec.names == ("ax", "ay", "az", "gx", "gy", "gz") and imu.spec.units == ("m/s^2",) * 3 + ("rad/s",) * 3
        np.testing.assert_array_equal(imu.values[3], [0, 3, 9.8, 3, 0, 1])
        gripper = recording["gripper"]
        assert gripper.spec.names == ("width", "pads[0]", "pads[1]", "mode")
        np.testing.assert_array_equal(gripper.values[:, 0], 0.25 * np.arange(FRAMES))
        assert [json.loads(recording["notes"].payload(i))["text"] for i in range(2)] == ["note 0", "note 1"]


def test_joints_are_matched_by_name_and_nan_where_not_told(ros2: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(ros2).recording() as recording:
        joints = recording["joint_states"]
        assert joints.spec.names == ("elbow.position", "elbow.effort", "shoulder.position", "shoulder.effort")
        assert np.isnan(joints.values[0, 2:]).all() and np.isfinite(joints.values[1:]).all()
        np.testing.assert_allclose(joints.values[:, 0], 0.1 * np.arange(FRAMES))


def test_transforms_become_a_stream_a_pair_and_the_cameras_own_is_about_it(ros2: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(ros2).recording() as recording:
        tool, head = recording["tf-base-to-tool"], recording["tf-world-to-optical"]
        np.testing.assert_array_equal(tool.values, POSES)
        np.testing.assert_array_equal(head.values, POSES[1::2])
        assert (tool.spec.about, head.spec.about) == ("", recording.camera().spec.name)


def test_depth_keeps_its_millimetres_and_optics_come_in(ros2: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(ros2).recording() as recording:
        depth, camera = recording["camera-depth-image_raw"], recording.camera()
        assert depth.spec.about == camera.spec.name
        np.testing.assert_allclose(depth.depth_m(3), 0.503, rtol=1e-6)
        optics = recording.calibration.cameras[camera.spec.name]
        np.testing.assert_array_equal(optics.K.ravel(), K)
        np.testing.assert_array_equal(optics.distortion, [0.1, 0, 0, 0, 0])


def test_places_are_left_out_unless_asked_for(ros2: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(ros2).recording() as recording:
        assert "gps" not in recording.streams
        assert recording.provenance.parameters["left_out"] == {"/gps": "a place, which was not asked for"}


def test_places_asked_for_come_in(ros2: Path, bring_in: Callable[..., Episode]) -> None:
    with bring_in(ros2, keep_gps=True).recording() as recording:
        np.testing.assert_array_equal(recording["gps"].values[0], [48, 11])


def packets(codec: str) -> list[bytes]:
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt, context.framerate = 64, 48, "yuv420p", 30  # type: ignore[attr-defined]
    context.time_base = Fraction(1, 30)
    options = {"libx264": {"g": "4", "bf": "0", "tune": "zerolatency", "x264-params": "repeat-headers=1"},
               "libx265": {"preset": "ultrafast", "x265-params": "repeat-headers=1:keyint=4:bframes=0:log-level=none"},
               "libvpx-vp9": {"g": "4", "lag-in-frames": "0", "deadline": "realtime"},
               "libsvtav1": {"g": "4", "svtav1-params": "pred-struct=1:lp=1", "preset": "12"}}
    context.options = options[codec]
    found = []
    for n in [*range(FRAMES), None]:
        frame = None
        if n is not None:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * n, np.uint8), format="bgr24").reformat(format="yuv420p")
            frame.pts = n
        found += [bytes(packet) for packet in context.encode(frame)]
    return found


@pytest.mark.parametrize(("kind", "codec", "encoding"), [("h264", "libx264", "h264"), ("h265", "libx265", "hevc"),
                                                         ("vp9", "libvpx-vp9", "vp9"), ("av1", "libsvtav1", "av1")])
def test_foxglove_video_keeps_its_packets(tmp_path: Path, bring_in: Callable[..., Episode], kind: str, codec: str, encoding: str,
                                          capfd: pytest.CaptureFixture[str]) -> None:
    from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo

    sent = packets(codec)
    assert len(sent) == FRAMES
    with (tmp_path / "clip.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for stamp, logged, data in zip(STAMPS.tolist(), LOGGED.tolist(), sent, strict=True):
            message = CompressedVideo(timestamp=timestamp(stamp), frame_id="head", data=data, format=kind)
            writer.write_message("/head/video", message, logged, stamp)
    with bring_in(tmp_path / "clip.mcap").recording() as recording:
        video = recording["head-video"]
        assert video.spec.encoding == encoding and (video.spec.width_px, video.spec.height_px) == (64, 48)
        assert [video.payload(i) for i in range(FRAMES)] == sent
        assert (video.rows["flags"] & 1).tolist()[:5] == [1, 0, 0, 0, 1]
        np.testing.assert_allclose([p.mean() for p in video.images()], 5 * np.arange(FRAMES), atol=6)
        np.testing.assert_array_equal(video.device_ns, STAMPS)


def test_a_video_that_begins_in_the_middle_shows_from_its_first_keyframe(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    from foxglove_schemas_protobuf.CompressedVideo_pb2 import CompressedVideo

    with (tmp_path / "clip.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for stamp, data in list(zip(STAMPS.tolist(), packets("libx264"), strict=True))[2:]:
            writer.write_message("/video", CompressedVideo(timestamp=timestamp(stamp), data=data, format="h264"), stamp, stamp)
    with bring_in(tmp_path / "clip.mcap").recording() as recording:
        assert len(recording["video"].rows) == 6
        np.testing.assert_array_equal(recording["video"].device_ns, STAMPS[4:])
        np.testing.assert_allclose([p.mean() for p in recording["video"].images()], 5 * np.arange(4, 8), atol=6)


def timestamp(ns: int) -> Timestamp:
    return Timestamp(seconds=ns // 10**9, nanos=ns % 10**9)


def write_json(path: Path, messages: list[tuple[str, str, int, Any]], metadata: dict[str, str] | None = None, **how: Any) -> Path:
    with path.open("wb") as file:
        writer = Writer(file, **how)
        writer.start()
        channels: dict[str, int] = {}
        for topic, kind, logged, message in messages:
            if topic not in channels:
                schema = writer.register_schema(kind, "jsonschema", b'{"type": "object"}')
                channels[topic] = writer.register_channel(topic, "json", schema)
            writer.add_message(channels[topic], logged, json.dumps(message).encode(), logged)
        if metadata:
            writer.add_metadata("episode", metadata)
        writer.finish()
    return path


def foxglove_json(jpegs: list[bytes]) -> list[tuple[str, str, int, Any]]:
    found: list[tuple[str, str, int, Any]] = []
    for i, (stamp, logged) in enumerate(zip(STAMPS.tolist(), LOGGED.tolist(), strict=True)):
        at = {"timestamp": {"sec": stamp // 10**9, "nsec": stamp % 10**9}, "frame_id": "head"}
        pose = {"position": xyz(POSES[i, :3]), "orientation": quat(POSES[i, 3:])}
        found += [("/head", "foxglove.CompressedImage", logged, {**at, "format": "jpeg", "data": base64.b64encode(jpegs[i]).decode()}),
                  ("/wrist", "foxglove.PoseInFrame", logged, {**at, "frame_id": "world", "pose": pose}),
                  ("/hand", "foxglove.PosesInFrame", logged, {**at, "poses": [pose] * 2}),
                  ("/optics", "foxglove.CameraCalibration", logged,
                   {**at, "width": 64, "height": 48, "distortion_model": "", "D": [], "K": K, "R": [], "P": []}),
                  ("/glove", "acme.Glove", logged, {"fingers": [{"bend": 0.1 * i, "ok": True}], "text": "x", "none": None})]
    return found


@pytest.mark.parametrize("compression", list(CompressionType))
def test_foxglove_json_comes_in(tmp_path: Path, bring_in: Callable[..., Episode], jpegs: Callable[..., list[bytes]],
                                compression: CompressionType) -> None:
    path = write_json(tmp_path / "take.mcap", foxglove_json(jpegs(FRAMES)), {"task": "pour the tea", "success": "true"},
                      compression=compression)
    episode = bring_in(path)
    with episode.recording() as recording:
        assert [recording["head"].payload(i) for i in range(FRAMES)] == jpegs(FRAMES)
        np.testing.assert_array_equal(recording["head"].device_ns, STAMPS)
        np.testing.assert_array_equal(recording["head"].host_ns, LOGGED)
        np.testing.assert_array_equal(recording["wrist"].values, POSES)
        np.testing.assert_array_equal(recording["hand"].values, np.hstack([POSES, POSES]))
        assert recording["hand"].spec.names[7:9] == ("1.x", "1.y")
        assert recording["glove"].spec.names == ("fingers[0].bend", "fingers[0].ok")
        np.testing.assert_array_equal(recording.calibration.cameras["head"].K.ravel(), K)
        assert recording.task == "pour the tea"
    annotation = read_annotation(episode.annotations_path)
    assert annotation and annotation.success and annotation.instruction == "pour the tea"


def test_foxglove_protobuf_comes_in(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    from foxglove_schemas_protobuf.FrameTransform_pb2 import FrameTransform
    from foxglove_schemas_protobuf.FrameTransforms_pb2 import FrameTransforms
    from foxglove_schemas_protobuf.JointState_pb2 import JointState
    from foxglove_schemas_protobuf.JointStates_pb2 import JointStates
    from foxglove_schemas_protobuf.Quaternion_pb2 import Quaternion
    from foxglove_schemas_protobuf.RawImage_pb2 import RawImage
    from foxglove_schemas_protobuf.Vector3_pb2 import Vector3

    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    with (tmp_path / "take.mcap").open("wb") as file, ProtobufWriter(file) as writer:
        for i, stamp in enumerate(STAMPS.tolist()):
            padded = np.zeros((48, 200), np.uint8)
            padded[:, :192] = picture.reshape(48, 192)
            image = RawImage(timestamp=timestamp(stamp), frame_id="head", width=64, height=48, encoding="rgb8", step=200,
                             data=padded.tobytes())
            writer.write_message("/raw", image, stamp, stamp)
            x, y, z, w, qx, qy, qz = POSES[i].tolist()
            moved = FrameTransform(timestamp=timestamp(stamp), parent_frame_id="world", child_frame_id="head",
                                   translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=w))
            writer.write_message("/tf", FrameTransforms(transforms=[moved]), stamp, stamp)
            joints = [JointState(name="a", position=0.0, effort=1.0 * i), JointState(name="b", velocity=2.0)]
            writer.write_message("/joints", JointStates(timestamp=timestamp(stamp), joints=joints), stamp, stamp)
    with bring_in(tmp_path / "take.mcap").recording() as recording:
        np.testing.assert_array_equal(next(recording["raw"].images())[..., ::-1], picture)
        assert recording["raw"].spec.extra["packed"] == "PNG of raw rgb8"
        head = recording["tf-world-to-head"]
        np.testing.assert_array_equal(head.values, POSES)
        assert head.spec.about == "raw"
        assert recording["joints"].spec.names == ("a.position", "a.effort", "b.velocity"), "what was not set is not 0"
        np.testing.assert_array_equal(recording["joints"].values[3], [0, 3, 2])


def test_cdr_written_by_hand_reads_as_ros2_means_it(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    """Not with the library that reads it: little-endian header, then fields aligned to their size from the fifth byte on."""
    cdr = b"\0\1\0\0" + struct.pack("<iI", 1_770_000_000, 250) + struct.pack("<I", 5) + b"base\0" + b"\0" * 7  # 20 to 24 is aligned to 8
    cdr += struct.pack("<7d", *POSES[0, :3], *POSES[0, [4, 5, 6, 3]])
    with (tmp_path / "one.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        schema = writer.register_schema("geometry_msgs/msg/PoseStamped", "ros2msg", ROS2["geometry_msgs/msg/PoseStamped"].encode())
        writer.add_message(writer.register_channel("/pose", "cdr", schema), EPOCH + 900, cdr, EPOCH + 800)
        writer.finish()
    with bring_in(tmp_path / "one.mcap").recording() as recording:
        pose = recording["pose"]
        np.testing.assert_array_equal(pose.values, POSES[:1])
        assert (int(pose.device_ns[0]), int(pose.host_ns[0])) == (EPOCH + 250, EPOCH + 900)
        assert pose.spec.extra["frame"] == "base"


@pytest.mark.parametrize(("encoding", "pixels", "shown"), [
    ("bgr8", np.arange(24, dtype=np.uint8).reshape(2, 4, 3), None), ("mono8", np.arange(8, dtype=np.uint8).reshape(2, 4), None),
    ("bgra8", np.arange(32, dtype=np.uint8).reshape(2, 4, 4), np.arange(32, dtype=np.uint8).reshape(2, 4, 4)[..., :3]),
    ("mono16", np.arange(8, dtype=np.uint16).reshape(2, 4) * 999, None),
    ("32FC1", np.array([[0.5, np.nan, 0, -1], [2.0004, 1e9, np.inf, 0.0001]], np.float32),
     np.array([[500, 0, 0, 0], [2000, 65535, 0, 1]], np.uint16)),
    ("bayer_rggb8", np.arange(8, dtype=np.uint8).reshape(2, 4), None),
])  # fmt: skip
@pytest.mark.parametrize("big", [False, True])
def test_raw_pictures_lose_nothing(encoding: str, pixels: np.ndarray, shown: np.ndarray | None, big: bool) -> None:
    from types import SimpleNamespace

    from firsthand.capture.importers.mcap_pictures import raw

    sent = pixels.astype(pixels.dtype.newbyteorder(">")) if big else pixels
    message = SimpleNamespace(width=4, height=2, step=0, encoding=encoding, is_bigendian=int(big), data=sent.tobytes())
    stored = cv2.imdecode(np.frombuffer(raw(message).payload, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored, pixels if shown is None else shown)


def short(message: dict[str, Any]) -> None:
    message["data"] = message["data"][:-1]


def huge(message: dict[str, Any]) -> None:
    message["width"] = 2**31


@pytest.mark.parametrize("harm", [short, huge])
def test_a_picture_with_too_few_bytes_is_told(tmp_path: Path, bring_in: Callable[..., Episode], jpegs: Callable[..., list[bytes]],
                                              harm: Callable[[dict[str, Any]], None]) -> None:
    messages = bag(jpegs(FRAMES))
    harm(next(m[4] for m in messages if m[1] == "sensor_msgs/msg/Image"))
    with pytest.raises(DamagedError, match="/camera/depth/image_raw is damaged") as told:
        bring_in(write_ros2(tmp_path / "bad.mcap", messages))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("size", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_file_cut_off_is_told(ros2: Path, bring_in: Callable[..., Episode], size: float) -> None:
    ros2.write_bytes(ros2.read_bytes()[: int(size * ros2.stat().st_size)])
    with pytest.raises(DamagedError, match=r"cut off|damaged") as told:
        bring_in(ros2)
    assert str(ros2) in str(told.value) and "\n" not in str(told.value)


def test_one_that_was_never_finished_is_told(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    with (tmp_path / "open.mcap").open("wb") as file:
        writer = Writer(file, chunk_size=10)
        writer.start()
        channel = writer.register_channel("/a", "json", writer.register_schema("a", "jsonschema", b"{}"))
        for n in range(10):
            writer.add_message(channel, n, b'{"n": 1}', n)
        file.flush()
    with pytest.raises(DamagedError, match="mcap recover"):
        bring_in(tmp_path / "open.mcap")


def test_a_byte_changed_anywhere_is_told_or_harmless(ros2: Path, tmp_path: Path) -> None:
    from firsthand.capture.importer import import_file

    whole = ros2.read_bytes()
    rng = np.random.default_rng(0)
    for n in range(40):
        bad = bytearray(whole)
        bad[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad.mcap").write_bytes(bad)
        try:
            import_file(tmp_path / "bad.mcap", tmp_path / f"library{n}")
        except DamagedError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(("schema", "data", "why"), [
    (b"geometry_msgs/Nothing what\n", b"\0\1\0\0", "damaged"),
    (b"float64[1000000000] x\n", b"\0\1\0\0", "message of /a is damaged"),
    (b"a/msg/A[] x\n", b"\0\1\0\0" + b"\xff" * 8, "damaged"), (b"float64 x\n", b"", "message of /a is damaged"),
    (b"\xff\xfe", b"", "damaged"),
])  # fmt: skip
def test_a_schema_or_message_that_is_broken_is_told(tmp_path: Path, bring_in: Callable[..., Episode], schema: bytes, data: bytes,
                                                    why: str) -> None:
    with (tmp_path / "bad.mcap").open("wb") as file:
        writer = Writer(file)
        writer.start()
        channel = writer.register_channel("/a", "cdr", writer.register_schema("a/msg/A", "ros2msg", schema))
        writer.add_message(channel, 1, data, 1)
        writer.finish()
    with pytest.raises(DamagedError, match=why) as told:
        bring_in(tmp_path / "bad.mcap")
    assert "\n" not in str(told.value)


def test_topics_that_are_not_read_are_named(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    path = write_json(tmp_path / "wide.mcap", [("/cloud", "acme.Cloud", 1, {"points": list(range(600))}), ("/n", "acme.N", 2, {"n": 1}),
                                               ("/words", "acme.Words", 3, {"a": "b"})])
    with bring_in(path).recording() as recording:
        assert set(recording.provenance.parameters["left_out"]) == {"/cloud", "/words"}
        assert len(recording["n"]) == 1


def test_a_file_without_anything_we_read_is_told(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    path = write_json(tmp_path / "words.mcap", [("/words", "acme.Words", 3, {"a": "b"})])
    with pytest.raises(DamagedError, match=r"no topic in it that firsthand reads \(/words: no numbers in it\)"):
        bring_in(path)


GLOVE = ("int32 glove_id\nstring side\nint32 raw_node_count\nmanus_ros2_msgs/ManusRawNode[] raw_nodes\nint32 ergonomics_count\n"
         "manus_ros2_msgs/ManusErgonomics[] ergonomics\ngeometry_msgs/Quaternion raw_sensor_orientation\nint32 raw_sensor_count\n"
         "geometry_msgs/Pose[] raw_sensor\n===\nMSG: manus_ros2_msgs/ManusRawNode\nint32 node_id\nint32 parent_node_id\nstring joint_type\n"
         "string chain_type\ngeometry_msgs/Pose pose\n===\nMSG: manus_ros2_msgs/ManusErgonomics\nstring type\nfloat32 value\n" + GEOMETRY)


@pytest.fixture
def gloves(tmp_path: Path) -> tuple[Path, dict[str, list[Any]]]:
    """Two gloves on two topics, the first messages of each before MANUS knew its hand; and the same messages as the driver reads them."""
    from firsthand.capture.emulator import Emulation
    from firsthand.capture.emulators.manus import bridged
    from firsthand.capture.skeleton import SIDES
    from firsthand.capture.wire_formats.manus import ManusReader

    path, wanted = tmp_path / "gloves.mcap", {}
    with path.open("wb") as file:
        writer = Ros2Writer(file)
        schema = writer.register_msgdef("manus_ros2_msgs/msg/ManusGlove", GLOVE)
        for number, side in enumerate(SIDES):
            read = ManusReader({}, "z-forward", "openxr")
            for n, (due_ns, text) in enumerate(bridged(Emulation(side=side))):
                if n == 10:
                    break
                message = json.loads(text)
                if n < 2:
                    message["side"] = ""
                else:
                    wanted.setdefault(side, []).append((EPOCH + due_ns, read.glove(message)))
                writer.write_message(f"/manus_glove_{number}", schema, message, EPOCH + due_ns, EPOCH + due_ns, n)
        writer.finish()
    return path, wanted


def test_manus_gloves_in_a_ros2_bag_are_the_drivers_hands_and_angles(gloves: Any, bring_in: Callable[..., Episode]) -> None:
    path, wanted = gloves
    with bring_in(path, hand_axes="z-forward", source="wearable").recording() as recording:
        assert recording.source == "wearable"
        assert {"hand-left", "hand-right", "glove-left", "glove-right"} <= set(recording.streams)
        for side, messages in wanted.items():
            for name in (f"hand-{side}", f"glove-{side}"):
                stream = recording[name]
                assert stream.spec.side == side and stream.spec.extra["schema"] == "manus_ros2_msgs/ManusGlove"
                assert stream.spec.role == ("pose" if name.startswith("hand") else "glove")
                assert stream.host_ns.tolist() == [t_ns for t_ns, _ in messages]
                np.testing.assert_allclose(stream.values, [said[name].values for _, said in messages], atol=1e-6)  # angles are float32
        assert recording["hand-left"].spec.extra["origin"] == "glove" and "'z-forward'" in recording["hand-left"].spec.extra["converted"]


def test_axes_of_gloves_are_asked_for(gloves: Any, bring_in: Callable[..., Episode]) -> None:
    with bring_in(gloves[0]).recording() as recording:
        ours = recording["hand-right"].values[0, :63].reshape(21, 3)
        np.testing.assert_allclose(ours, gloves[1]["right"][0][1]["hand-right"].values[:63].reshape(21, 3) * [-1, 1, 1], atol=1e-9)
    with pytest.raises(FirsthandError, match="no axes of hands called 'unety'; did you mean 'unity'"):
        bring_in(gloves[0], hand_axes="unety")


def test_a_place_in_a_message_of_another_type_is_left_out(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    path = tmp_path / "drive.mcap"
    with path.open("wb") as file:
        writer = Ros2Writer(file)
        fix = writer.register_msgdef("gps_msgs/msg/GPSFix", "float64 latitude\nfloat64 longitude\nfloat64 speed\n")
        speed = writer.register_msgdef("std_msgs/msg/Float32", "float32 data\n")
        for n in range(4):
            writer.write_message("/fix", fix, {"latitude": 48.1, "longitude": 11.5, "speed": 1.0}, EPOCH + n, EPOCH + n, n)
            writer.write_message("/speed", speed, {"data": 1.0}, EPOCH + n, EPOCH + n, n)
        writer.finish()
    with bring_in(path).recording() as recording:
        assert "fix" not in recording.streams and len(recording["speed"]) == 4


def test_a_ros2_bag_in_sqlite_is_told_how_to_become_one_that_is_read(tmp_path: Path, bring_in: Callable[..., Episode]) -> None:
    (tmp_path / "bag_0.db3").write_bytes(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(FirsthandError, match="ros2 bag convert"):
        bring_in(tmp_path / "bag_0.db3")
