"""Run many random networks and record what is wrong; or one again; or what is known to be wrong.

python tests/fuzz/run.py --seeds 0:10000 --out results     # fuzz_0_10000.csv and .json in results
python tests/fuzz/run.py --seeds 17:18 --shrink            # one network, made small where it is wrong
python tests/fuzz/run.py --program '{...}' --seed 17       # a program that a test has printed
python tests/fuzz/run.py --known                           # which known failures hold by now
"""

import argparse
import json
import sys
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import torch
from grammar import WHOLE, check, draw, shrink, simple
from known import KNOWN, terms
from parts import PARTS


def asked(program, seed):
    """What is wrong; a program that does not run at all is a mistake of the grammar, and said to be."""
    try:
        return check(program, seed)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [f"grammar: {type(error).__name__} {error} ({Path(where.filename).name}:{where.lineno})"]


def seeds(first, last, out, small):
    """Draw, ask and record."""
    rows, wrong, used, began = [], [], Counter(), time.perf_counter()
    for seed in range(first, last):
        program = draw(seed)
        used.update(term["part"] for term in terms(program["parts"]))
        failures = asked(program, seed)
        rows.append(f"{seed},{len(failures)}")
        if failures:
            kinds = {line.split(":")[0] for line in failures}
            least = shrink(program, seed, kinds) if small else program
            wrong.append({"seed": seed, "failures": failures, "program": program, "smallest": least})
            print(f"seed {seed}", *failures, json.dumps(least), sep="\n    ", flush=True)
    seconds = time.perf_counter() - began
    print(f"{last - first} networks, {len(wrong)} wrong, {seconds:.0f} s")
    if out:
        out.mkdir(parents=True, exist_ok=True)
        base = out / f"fuzz_{first}_{last}"
        base.with_suffix(".csv").write_text("seed,failures\n" + "\n".join(rows) + "\n")
        summary = {
            "networks": last - first,
            "wrong": wrong,
            "parts": dict(used.most_common()),
            "torch": torch.__version__,
        }
        base.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    return bool(wrong)


def alone(known):
    """The network that shows a known failure."""
    whole = {key: value for key, value in known.options.items() if key in WHOLE}
    options = {key: value for key, value in known.options.items() if key not in WHOLE}
    program = simple({"part": known.part, **options})
    return {**program, "x": "pair" if "second input" in options.values() else "leaf", **whole}


def known():
    """Run each known failure alone, and print whether it is right by now."""
    for each in KNOWN:
        said = [line for seed in range(5) for line in asked(alone(each), seed)]
        state = f"wrong ({said[0]})" if said else "right"
        print(f"{each.part} {json.dumps(dict(each.options))}: {state}; {each.reason}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", help="first:last, the last left out")
    parser.add_argument("--out", type=Path, help="folder for the record")
    parser.add_argument("--shrink", action="store_true", help="make what is wrong small")
    parser.add_argument("--program", help="a program as JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the program's values")
    parser.add_argument("--known", action="store_true", help="run what is known to be wrong")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if given.known:
        return known()
    if given.program:
        program = json.loads(given.program)
        program = program if "parts" in program else simple(program)
        wrong = asked(program, given.seed)
        print(*(wrong or ["right"]), sep="\n")
        return bool(wrong)
    first, _, last = (given.seeds or "0:200").partition(":")
    return seeds(int(first), int(last or int(first) + 1), given.out, given.shrink)


assert PARTS
if __name__ == "__main__":
    sys.exit(main())
