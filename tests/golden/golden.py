"""Golden recordings: plain nested values, kept as JSON, and the comparison that says where two of them differ.

A value is a dict, a list, a text, a whole number, a truth value, None or a float. Floats are written by ``repr``, so
that nothing is lost. An array of floats differs where one entry is off by more than ``tolerance`` times its scale:
the largest magnitude in the recorded array, or what `near` says.
"""

import gzip
import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent
WORDING = "wording"
SCALED = {"values", "scale"}
MORE = "…"
"""The key of a dict that may have more keys by now, as the variables of a dataset may."""
SHOWN = 6  # differences of one case that a failure prints

Cases = Mapping[str, Callable[[], dict[str, Any]]]
"""Name of a case → what recomputes it."""


def plain(value: Any) -> Any:
    """The value without NumPy, torch and tuples."""
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a golden value is no {type(value).__name__}")


def near(values: Any, scale: float) -> dict[str, Any]:
    """Floats that are compared relative to a scale of their own, where parts of this size cancel in them."""
    return {"values": plain(values), "scale": float(scale)}


def growing(values: Mapping[str, Any]) -> dict[str, Any]:
    """A dict that may have more keys by now; none may be missing."""
    return {MORE: True, **values}


def dataset(data: Any, leave: tuple[str, ...] = ()) -> dict[str, Any]:
    """An xarray dataset: values and dimensions of its variables and coordinates, and its attributes."""

    def labelled(arrays: Mapping[str, Any]) -> dict[str, Any]:
        kept = {str(name): array for name, array in arrays.items() if name not in leave}
        return growing({name: {"dims": array.dims, "values": array.values} for name, array in kept.items()})

    attributes = {str(name): value for name, value in data.attrs.items() if name not in leave}
    return {"variables": labelled(data.data_vars), "coords": labelled(data.coords), "attrs": growing(attributes)}


def schema(data: Any) -> list[str]:
    """The names in an xarray dataset, without its numbers."""
    names = [f"{name} ({', '.join(map(str, array.dims))})" for name, array in sorted(data.variables.items())]
    return [*names, f"attributes: {', '.join(sorted(map(str, data.attrs)))}"]


def differences(recorded: Any, now: Any, tolerance: float, at: str = "") -> list[str]:
    """A line for each place where the two differ."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        missing, new = sorted(recorded.keys() - now.keys()), sorted(now.keys() - recorded.keys())
        if missing or (new and MORE not in recorded):
            return [f"{at}: recorded keys that are missing {missing}, new keys {new}"]
        if set(recorded) == SCALED:
            return _floats(recorded["values"], now["values"], tolerance, at, recorded["scale"])
        return [line for key in recorded for line in differences(recorded[key], now[key], tolerance, f"{at}/{key}")]
    if _has_floats(recorded) or _has_floats(now):
        shapes = _shape(recorded), _shape(now)
        if None not in shapes:
            return _floats(recorded, now, tolerance, at)
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        pairs = enumerate(zip(recorded, now, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, tolerance, f"{at}[{k}]")]
    return [] if recorded == now else [f"{at}: recorded {recorded!r}, now {now!r}"]


def _has_floats(value: Any) -> bool:
    return any(map(_has_floats, value)) if isinstance(value, list) else isinstance(value, float)


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of an array of numbers; None if it is none."""
    if not isinstance(value, list):
        return () if isinstance(value, int | float) and not isinstance(value, bool) else None
    inner = {_shape(part) for part in value}
    if None in inner or len(inner) > 1:
        return None
    return (len(value), *(inner.pop() if inner else ()))


def _floats(recorded: Any, now: Any, tolerance: float, at: str, scale: float | None = None) -> list[str]:
    a, b = np.array(recorded, dtype=np.float64), np.array(now, dtype=np.float64)
    if a.shape != b.shape:
        return [f"{at}: recorded shape {a.shape}, now {b.shape}"]
    finite = np.abs(a[np.isfinite(a)])
    size = (float(finite.max()) if finite.size else 0.0) if scale is None else scale
    alike = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        off = ~alike & ~(np.abs(a - b) <= tolerance * size)
    if not off.any():
        return []
    gap = np.where(off, np.nan_to_num(np.abs(a - b), nan=math.inf), -1.0)
    worst = np.unravel_index(int(gap.argmax()), a.shape)
    where = f"[{', '.join(map(str, worst))}]" if a.ndim else ""
    ratio = float(gap[worst]) / size if size else math.inf
    return [
        f"{at}{where}: recorded {float(a[worst])!r}, now {float(b[worst])!r}: "
        f"{ratio:.1e} of the scale {size:.3g}, allowed {tolerance:.0e} ({int(off.sum())} of {a.size} entries)"
    ]


def report(lines: list[str]) -> str:
    """The differences, the first of them in full."""
    rest = [f"… {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join([f"{len(lines)} differences from the golden recording", *lines[:SHOWN], *rest])


def compute(case: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any], float]:
    """The values of a case, its wording, and the seconds that it took."""
    begin = time.perf_counter()
    values = plain(case())
    return values, values.pop(WORDING, {}), time.perf_counter() - begin


def write(section: str, values: dict[str, Any]) -> Path:
    """Keep a section, without the time of writing, so that the same values give the same file."""
    path = FOLDER / f"{section}.json.gz"
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return path


def read(section: str) -> dict[str, Any]:
    """A section as it was recorded; empty where it was not."""
    path = FOLDER / f"{section}.json.gz"
    return json.loads(gzip.decompress(path.read_bytes())) if path.exists() else {}


def write_wording(wording: dict[str, Any]) -> Path:
    """Keep what is printed, as text that a review can read."""
    path = FOLDER / f"{WORDING}.json"
    path.write_text(json.dumps(wording, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    return path


def read_wording() -> dict[str, Any]:
    """Section → case → what it printed."""
    path = FOLDER / f"{WORDING}.json"
    return json.loads(path.read_text()) if path.exists() else {}
