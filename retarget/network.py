"""One network of the hand model, run by LiteRT on one thread."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from firsthand.retarget.quiet import quiet

Pixels = npt.NDArray[np.uint8]


class Network:
    """Takes square pictures, gives arrays. Not for several threads at once."""

    def __init__(self, content: bytes) -> None:
        """`content` is a ``.tflite`` file. Raises `ImportError` without LiteRT, `ValueError` or `RuntimeError` for what is none."""
        with quiet():  # it says that it runs on the CPU
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter: Any = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        (given,) = self._interpreter.get_input_details()
        if len(given["shape"]) != 4 or given["shape"][1] != given["shape"][2] or given["shape"][3] != 3:
            raise ValueError(f"it takes arrays of shape {tuple(given['shape'])}, not one square picture")
        self.size = int(given["shape"][1])
        """Width and height of its pictures, px."""
        self._input = self._interpreter.tensor(given["index"])
        self._outputs = [found["index"] for found in self._interpreter.get_output_details()]
        self._rgb = np.empty((self.size, self.size, 3), np.uint8)

    def __call__(self, picture: Pixels) -> list[npt.NDArray[np.float32]]:
        """What it says of a BGR picture, shape (size, size, 3): each output as a copy."""
        cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=self._rgb)
        np.multiply(self._rgb, np.float32(1 / 255), out=self._input()[0])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]
