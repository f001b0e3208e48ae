"""The part of the kernel's Video4Linux2 interface that recording needs: structures, request numbers and flags of ``linux/videodev2.h``.

Written by hand: the one well-kept binding, linuxpy, is under the GPL. A test compiles the kernel's header and compares every size, offset
and number. ``long`` stands for the kernel's ``struct timeval``, on 32-bit machines in its old layout, which the kernel goes on serving.
"""

import ctypes
from ctypes import c_char, c_int32, c_int64, c_long, c_uint8, c_uint32, c_void_p

CAPTURE, MMAP = 1, 1
"""V4L2_BUF_TYPE_VIDEO_CAPTURE and V4L2_MEMORY_MMAP."""
CAP_VIDEO_CAPTURE, CAP_STREAMING, CAP_DEVICE_CAPS = 0x1, 0x04000000, 0x80000000
DISCRETE = 1
BUF_ERROR, BUF_MONOTONIC, BUF_TIMESTAMP_MASK = 0x40, 0x2000, 0xE000
CAP_TIMEPERFRAME = 0x1000
FIELD_NONE = 1
CTRL_NEXT = 0x80000000
CTRL_DISABLED, CTRL_READ_ONLY, CTRL_WRITE_ONLY = 0x1, 0x4, 0x40
INTEGER, BOOLEAN, MENU, INTEGER_MENU = 1, 2, 3, 9

CID_AUTO_WHITE_BALANCE, CID_WHITE_BALANCE_TEMPERATURE = 0x98090C, 0x98091A
CID_EXPOSURE_AUTO, CID_EXPOSURE_ABSOLUTE = 0x9A0901, 0x9A0902
CID_FOCUS_ABSOLUTE, CID_FOCUS_AUTO = 0x9A090A, 0x9A090C
EXPOSURE_AUTO, EXPOSURE_MANUAL, EXPOSURE_APERTURE_PRIORITY = 0, 1, 3


class Capability(ctypes.Structure):
    """struct v4l2_capability: which device this is."""

    _fields_ = (("driver", c_char * 16), ("card", c_char * 32), ("bus_info", c_char * 32), ("version", c_uint32),
                ("capabilities", c_uint32), ("device_caps", c_uint32), ("reserved", c_uint32 * 3))


class FormatDescription(ctypes.Structure):
    """struct v4l2_fmtdesc: one pixel format that it has."""

    _fields_ = (("index", c_uint32), ("type", c_uint32), ("flags", c_uint32), ("description", c_char * 32), ("pixelformat", c_uint32),
                ("mbus_code", c_uint32), ("reserved", c_uint32 * 3))


class _Range(ctypes.Structure):
    """struct v4l2_frmsize_stepwise; a discrete size is its first two numbers."""

    _fields_ = (("min_width", c_uint32), ("max_width", c_uint32), ("step_width", c_uint32), ("min_height", c_uint32),
                ("max_height", c_uint32), ("step_height", c_uint32))


class FrameSize(ctypes.Structure):
    """struct v4l2_frmsizeenum: one picture size of a format."""

    _fields_ = (("index", c_uint32), ("pixel_format", c_uint32), ("type", c_uint32), ("size", _Range), ("reserved", c_uint32 * 2))


class Fraction(ctypes.Structure):
    """struct v4l2_fract."""

    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))


class FrameInterval(ctypes.Structure):
    """struct v4l2_frmivalenum: one frame interval of a size, in seconds; with STEPWISE the least, the greatest and the step."""

    _fields_ = (("index", c_uint32), ("pixel_format", c_uint32), ("width", c_uint32), ("height", c_uint32), ("type", c_uint32),
                ("interval", Fraction * 3), ("reserved", c_uint32 * 2))


class PixFormat(ctypes.Structure):
    """struct v4l2_pix_format: how a picture lies in its buffer."""

    _fields_ = (("width", c_uint32), ("height", c_uint32), ("pixelformat", c_uint32), ("field", c_uint32), ("bytesperline", c_uint32),
                ("sizeimage", c_uint32), ("colorspace", c_uint32), ("priv", c_uint32), ("flags", c_uint32), ("ycbcr_enc", c_uint32),
                ("quantization", c_uint32), ("xfer_func", c_uint32))


class _FormatUnion(ctypes.Union):
    _fields_ = (("pix", PixFormat), ("raw", c_uint8 * 200), ("pointer", c_void_p))  # the kernel's has pointers, which align it


class Format(ctypes.Structure):
    """struct v4l2_format."""

    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class _CaptureParameters(ctypes.Structure):
    _fields_ = (("capability", c_uint32), ("capturemode", c_uint32), ("timeperframe", Fraction), ("extendedmode", c_uint32),
                ("readbuffers", c_uint32), ("reserved", c_uint32 * 4))


class _ParametersUnion(ctypes.Union):
    _fields_ = (("capture", _CaptureParameters), ("raw", c_uint8 * 200))


class StreamParameters(ctypes.Structure):
    """struct v4l2_streamparm: the frame interval."""

    _fields_ = (("type", c_uint32), ("parm", _ParametersUnion))


class RequestBuffers(ctypes.Structure):
    """struct v4l2_requestbuffers."""

    _fields_ = (("count", c_uint32), ("type", c_uint32), ("memory", c_uint32), ("capabilities", c_uint32), ("flags", c_uint8),
                ("reserved", c_uint8 * 3))


class _Timecode(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("flags", c_uint32), ("digits", c_uint8 * 4), ("userbits", c_uint8 * 4))


class _BufferUnion(ctypes.Union):
    _fields_ = (("offset", c_uint32), ("pointer", c_void_p))


class Buffer(ctypes.Structure):
    """struct v4l2_buffer: one picture's place, size, time and number."""

    _fields_ = (("index", c_uint32), ("type", c_uint32), ("bytesused", c_uint32), ("flags", c_uint32), ("field", c_uint32),
                ("seconds", c_long), ("microseconds", c_long), ("timecode", _Timecode), ("sequence", c_uint32), ("memory", c_uint32),
                ("m", _BufferUnion), ("length", c_uint32), ("reserved2", c_uint32), ("request_fd", c_int32))


class QueryControl(ctypes.Structure):
    """struct v4l2_queryctrl: what a control can be set to."""

    _fields_ = (("id", c_uint32), ("type", c_uint32), ("name", c_char * 32), ("minimum", c_int32), ("maximum", c_int32), ("step", c_int32),
                ("default_value", c_int32), ("flags", c_uint32), ("reserved", c_uint32 * 2))


class _MenuUnion(ctypes.Union):
    _pack_ = 1
    _fields_ = (("name", c_char * 32), ("value", c_int64))


class QueryMenu(ctypes.Structure):
    """struct v4l2_querymenu: one choice of a menu."""

    _pack_ = 1
    _fields_ = (("id", c_uint32), ("index", c_uint32), ("item", _MenuUnion), ("reserved", c_uint32))


class Control(ctypes.Structure):
    """struct v4l2_control: a control's value."""

    _fields_ = (("id", c_uint32), ("value", c_int32))


_READ, _WRITE = 2, 1


def _request(direction: int, number: int, kind: type[ctypes.Structure] | type[c_int32]) -> int:
    return direction << 30 | ctypes.sizeof(kind) << 16 | ord("V") << 8 | number


QUERYCAP = _request(_READ, 0, Capability)
ENUM_FMT = _request(_READ | _WRITE, 2, FormatDescription)
S_FMT = _request(_READ | _WRITE, 5, Format)
REQBUFS = _request(_READ | _WRITE, 8, RequestBuffers)
QUERYBUF = _request(_READ | _WRITE, 9, Buffer)
QBUF = _request(_READ | _WRITE, 15, Buffer)
DQBUF = _request(_READ | _WRITE, 17, Buffer)
STREAMON = _request(_WRITE, 18, c_int32)
STREAMOFF = _request(_WRITE, 19, c_int32)
G_PARM = _request(_READ | _WRITE, 21, StreamParameters)
S_PARM = _request(_READ | _WRITE, 22, StreamParameters)
G_CTRL = _request(_READ | _WRITE, 27, Control)
S_CTRL = _request(_READ | _WRITE, 28, Control)
QUERYCTRL = _request(_READ | _WRITE, 36, QueryControl)
QUERYMENU = _request(_READ | _WRITE, 37, QueryMenu)
ENUM_FRAMESIZES = _request(_READ | _WRITE, 74, FrameSize)
ENUM_FRAMEINTERVALS = _request(_READ | _WRITE, 75, FrameInterval)


def fourcc(text: str) -> int:
    """A pixel format's number from its four characters."""
    return int.from_bytes(text.ljust(4).encode("ascii"), "little")


def fourcc_text(number: int) -> str:
    """And back."""
    return number.to_bytes(4, "little").decode("ascii", "replace").rstrip()
