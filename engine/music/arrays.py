"""Names of array types: F32 is an array of float32, I64 one of int64, and so on; Mask is one of bool. No shapes."""

import numpy as np
import numpy.typing as npt

__all__ = ["C64", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U64", "Mask"]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
C64 = npt.NDArray[np.complex64]
I8 = npt.NDArray[np.int8]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U64 = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
