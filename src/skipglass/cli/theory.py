"""`skipglass theory`: the depth ensemble of a residual network."""

from typing import Annotated

import typer

from skipglass.cli.options import AsJson
from skipglass.cli.render import print_json, print_table

__all__ = ["theory"]


def theory(
    depth: Annotated[int, typer.Option(help="p, the number of weight layers.")] = 100,
    beta: Annotated[float, typer.Option(help="β = ρnC/√Λ (Eq. 17); b with --reading independent.")] = 0.5,
    reading: Annotated[str, typer.Option(help="How paths add up: coherent (Eq. 17), or independent.")] = "coherent",
    mass: Annotated[float, typer.Option(help="Fraction of Σ ε_r² in the band of lengths that is reported.")] = 0.99,
    as_json: AsJson = False,
) -> None:
    """Say which path lengths dominate a network of this depth; --json adds ε_r for every length."""
    from skipglass.theory import DepthEnsemble, peak_interval

    e = DepthEnsemble(depth, beta, reading)
    band = e.band(mass)
    if as_json:
        scalars = {name: getattr(e, name) for name in ("depth", "beta", "reading", "peak", "mean_length")}
        arrays = {name: getattr(e, name) for name in ("lengths", "weights", "share")}
        print_json({**scalars, "band": {"mass": mass, "lengths": band}, **arrays})
        return
    rows: list[tuple[str, object]] = [
        ("peak, argmax ε_r", e.peak),
        ("peak / depth", e.peak / e.depth),
        ("mean length, Σ r ε_r²", e.mean_length),
        (f"shortest band with {mass:.4g} of Σ ε_r²", f"{band[0]}..{band[1]}"),
    ]
    if reading == "coherent":
        low, high = peak_interval(depth, e.peak)
        rows.append((f"β for which the peak is {e.peak}", f"{low:.6g}..{high:.6g}"))
    print_table(e.headline().split(":")[0], ["quantity", "value"], rows)
