"""Record what the code says today: ``python tests/golden/record.py [section …]``, or ``--wording`` alone.

A change of numbers that an issue asks for is recorded anew by the section's name, and said in the commit that makes
it. A change of wording alone is recorded by ``python tests/golden/record.py --wording``.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))
import golden_glass
import golden_measure
import golden_models
import golden_paths
import golden_scales
import golden_theory
import golden_training
import golden_watch

import golden

SECTIONS: dict[str, tuple[golden.Cases, Callable[[str], float]]] = {
    "paths": (golden_paths.SECTION, golden_paths.tolerance),
    "measure": (golden_measure.SECTION, golden_measure.tolerance),
    "models": (golden_models.SECTION, golden_models.tolerance),
    "scales": (golden_scales.SECTION, golden_scales.tolerance),
    "watch": (golden_watch.SECTION, golden_watch.tolerance),
    "training": (golden_training.SECTION, golden_training.tolerance),
    "theory": (golden_theory.SECTION, golden_theory.tolerance),
    "glass": (golden_glass.SECTION, golden_glass.tolerance),
}
"""Section → its cases, and how far each may be off, relative to the scale of each array."""


def main(arguments: list[str]) -> None:
    """Record the sections that are named, or all; wording goes to a file of its own."""
    only_wording = "--wording" in arguments
    chosen = [name for name in arguments if name != "--wording"] or list(SECTIONS)
    wording = golden.read_wording()
    for section in chosen:
        cases, _ = SECTIONS[section]
        values, texts, total = {}, {}, 0.0
        for name, case in cases.items():
            values[name], text, seconds = golden.compute(case)
            if text:
                texts[name] = text
            total += seconds
            print(f"{section:10} {seconds:6.2f} s  {name}", flush=True)
        wording[section] = texts
        if not only_wording:
            path = golden.write(section, values)
            print(f"{section}: {len(values)} cases, {total:.1f} s, {path.stat().st_size / 1024:.0f} KiB")
    golden.write_wording({section: texts for section, texts in wording.items() if texts})


if __name__ == "__main__":
    main(sys.argv[1:])
