"""The landmark network in 8-bit integers, made from the published one when it is opened: it then runs in about half the time.

Convolutions multiply 8-bit weights, one scale a channel, with 8-bit activations, one scale and zero a tensor. What decides the precision
stays in floating point: the first five operators, the sums of the residual blocks, and the last block with the heads. Scheme: Jacob et
al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, CVPR 2018.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

FLOAT_BEFORE, FLOAT_FROM = 5, 54
"""Operators, in order, that stay in floating point: with them in integers joints are off by 1.5 % of the palm instead of 0.5 %."""
RELU6 = (0.0, 6.0)
RANGES = {
    5: (-9.68, 7.62), 8: (-9.72, 14.12), 9: (-13.63, 14.57), 12: (-12.51, 10.59), 15: (-11.02, 9.6), 16: (-13.91, 13.6),
    19: (-15.22, 11.5), 22: (-10.46, 10.24), 23: (-16.45, 13.12), 26: (-11.47, 12.23), 27: (-18.68, 22.13), 30: (-18.0, 14.86),
    33: (-7.85, 9.49), 34: (-21.83, 20.2), 37: (-12.17, 11.96), 38: (-33.76, 28.07), 41: (-13.96, 16.36), 44: (-5.27, 9.43),
    45: (-14.93, 23.77), 48: (-4.66, 7.78), 49: (-16.76, 31.28), 52: (-8.23, 11.99), 53: (-20.76, 33.41),
}  # fmt: skip
"""Operator without activation function -> least and greatest value of its output. From `ranges` on 80 cut-out hands, 30 of a video of a
real one and 50 of synthetic ones, a tenth wider on both ends."""


def to_int8(content: bytes, ranges: dict[int, tuple[float, float]] = RANGES) -> bytes:
    """A ``.tflite`` file of the published landmark network with most of its convolutions in integers."""
    model = _Model(content)
    ops = list(model.graph.operators)
    convolves = [model.kind(op) in ("CONV_2D", "DEPTHWISE_CONV_2D") and FLOAT_BEFORE <= n < FLOAT_FROM for n, op in enumerate(ops)]
    made: list[Any] = []
    small: dict[int, tuple[int, float]] = {}
    """Tensor -> the same in integers, and its scale."""
    wanted = {int(op.inputs[0]) for op, integer in zip(ops, convolves, strict=True) if integer}
    floating = {int(t) for op, integer in zip(ops, convolves, strict=True) if not integer for t in op.inputs}
    for n, (op, integer) in enumerate(zip(ops, convolves, strict=True)):
        out = int(op.outputs[0])
        made.append(op)
        if integer or out in wanted:
            small[out] = model.integer_twin(out, *ranges.get(n, RELU6))
        if integer:
            model.quantise(op, *small[int(op.inputs[0])], small[out][0])
            if out in floating:
                made.append(model.operator("DEQUANTIZE", small[out][0], out))
        elif out in wanted:
            made.append(model.operator("QUANTIZE", out, small[out][0]))
    model.graph.operators = made
    return model.packed()


def ranges(content: bytes, pictures: npt.NDArray[np.uint8]) -> dict[int, tuple[float, float]]:
    """What `RANGES` holds, from cut-out hands, BGR, shape (N, 224, 224, 3)."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    model = _Model(content)
    interpreter = Interpreter(model_content=model.packed(), num_threads=1, experimental_preserve_all_tensors=True,
                              experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    watched = {n: int(op.outputs[0]) for n, op in enumerate(model.graph.operators) if FLOAT_BEFORE <= n < FLOAT_FROM
               and (model.kind(op) == "ADD" or (model.kind(op) == "CONV_2D" and op.builtinOptions.fusedActivationFunction == 0))}
    seen: dict[int, list[tuple[float, float]]] = {n: [] for n in watched}
    for picture in pictures:
        interpreter.set_tensor(given, picture[None, ..., ::-1].astype(np.float32) / 255)
        interpreter.invoke()
        for n, tensor in watched.items():
            values = interpreter.get_tensor(tensor)
            seen[n].append((float(values.min()), float(values.max())))
    return {n: (round(1.1 * min(low for low, _ in found), 2), round(1.1 * max(high for _, high in found), 2)) for n, found in seen.items()}


class _Model:
    """A network taken apart: its half-precision constants made single, ready to be changed and packed again."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self._schema: Any = schema
        self._codes = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
        self.model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
        self.graph: Any = self.model.subgraphs[0]
        for op in self.graph.operators:
            if self.kind(op) == "DEQUANTIZE":
                half = self.graph.tensors[op.inputs[0]]
                values = np.frombuffer(bytes(self.model.buffers[half.buffer].data), np.float16)
                self.model.buffers[half.buffer].data = _bytes(values.astype(np.float32))
                single = self.graph.tensors[op.outputs[0]]
                single.buffer, half.buffer = half.buffer, 0
        self.graph.operators = [op for op in self.graph.operators if self.kind(op) != "DEQUANTIZE"]

    def kind(self, op: Any) -> str:
        """What an operator is, as the format calls it."""
        code = self.model.operatorCodes[op.opcodeIndex]
        return str(self._codes[max(code.builtinCode, code.deprecatedBuiltinCode)])

    def integer_twin(self, tensor: int, low: float, high: float) -> tuple[int, float]:
        """A new tensor that holds another's values of this range in 8 bits, and its scale."""
        of, scale = self.graph.tensors[tensor], (high - low) / 255
        twin = self._schema.TensorT()
        twin.shape, twin.type, twin.name = of.shape, self._schema.TensorType.INT8, bytes(of.name) + b"/int8"
        twin.quantization = self._scales(np.array([scale]), zero=round(-128 - low / scale))
        self.graph.tensors.append(twin)
        return len(self.graph.tensors) - 1, scale

    def quantise(self, op: Any, given: int, given_scale: float, out: int) -> None:
        """Have a convolution work on integer tensors, its weights and biases becoming integers."""
        weights, biases = (self.graph.tensors[i] for i in op.inputs[1:3])
        axis = 0 if self.kind(op) == "CONV_2D" else 3
        w, b = self._values(weights), self._values(biases)
        scales = np.abs(np.moveaxis(w, axis, 0)).reshape(len(b), -1).max(1) / 127
        scales = np.maximum(scales, np.maximum(np.abs(b) / given_scale, 1e-6) * 2.0**-28)  # of a dead channel: its bias must fit
        along = np.moveaxis(w, axis, -1) / scales
        self._fill(weights, np.moveaxis(np.clip(np.round(along), -127, 127), -1, axis).astype(np.int8), scales, axis)
        self._fill(biases, np.round(b / (given_scale * scales)).astype(np.int32), given_scale * scales)
        op.inputs, op.outputs = [given, op.inputs[1], op.inputs[2]], [out]
        code = self.model.operatorCodes[op.opcodeIndex]
        code.version = max(code.version, 3)  # of both kinds the first with one scale a channel

    def operator(self, kind: str, given: int, out: int) -> Any:
        """A new operator from one tensor to another."""
        code, op = self._schema.OperatorCodeT(), self._schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(self._schema.BuiltinOperator, kind)
        code.version = 2
        self.model.operatorCodes.append(code)
        op.opcodeIndex, op.inputs, op.outputs = len(self.model.operatorCodes) - 1, [given], [out]
        return op

    def packed(self) -> bytes:
        """As a file again."""
        import flatbuffers

        builder = flatbuffers.Builder(1 << 24)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _values(self, tensor: Any) -> Floats:
        return np.frombuffer(bytes(self.model.buffers[tensor.buffer].data), np.float32).reshape(tensor.shape)

    def _fill(self, tensor: Any, values: npt.NDArray[Any], scales: npt.NDArray[np.floating[Any]], axis: int = 0) -> None:
        types = {"int8": self._schema.TensorType.INT8, "int32": self._schema.TensorType.INT32}
        tensor.type, tensor.quantization = types[values.dtype.name], self._scales(scales, axis)
        self.model.buffers[tensor.buffer].data = _bytes(values)

    def _scales(self, scales: npt.NDArray[np.floating[Any]], axis: int = 0, zero: int = 0) -> Any:
        found = self._schema.QuantizationParametersT()
        found.scale, found.zeroPoint, found.quantizedDimension = scales.astype(np.float32), np.full(len(scales), zero, np.int64), axis
        return found


def _bytes(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(values.tobytes(), np.uint8)
