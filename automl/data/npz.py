"""Arrays that automl wrote, read again from where others may have put them: their size is known first."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

FREE, RATIO = 64 << 20, 50  # bytes of any file, and how many times its size: numbers of a training pack less densely


def read_arrays(file: Path | IO[bytes]) -> dict[str, NDArray[Any]]:
    """Every array of an .npz. Raises `ValueError` where the arrays are far larger than the file, and what zip and numpy
    raise of damaged bytes, which is almost anything.
    """
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        most = FREE + RATIO * sum(member.compress_size for member in members)
        if sum(member.file_size for member in members) > most:
            raise ValueError(f"its arrays would take more than {most >> 20} MiB")
        return {member.filename.removesuffix(".npy"): _read(archive, member) for member in members}


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    """One array; numpy would allocate whatever its header says, however short the member is."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = header(stream)
    if any(side < 0 for side in shape) or dtype.itemsize * int(np.prod(shape, dtype=object)) > member.file_size:
        raise ValueError(f"array '{member.filename}' is shorter than it says")
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array
