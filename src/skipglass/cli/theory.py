"""`skipglass theory`: the depth ensemble of a residual network."""

from typing import Annotated

import typer

__all__ = ["theory"]


def theory(
    depth: Annotated[int, typer.Option(help="p, the number of weight layers.")] = 100,
    beta: Annotated[float, typer.Option(help="β = ρnC/√Λ (Eq. 17); b with --reading independent.")] = 0.5,
    reading: Annotated[str, typer.Option(help="coherent or independent.")] = "coherent",
    mass: Annotated[float, typer.Option(help="The mass of the band to report.")] = 0.99,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with ε_r for every length.")] = False,
) -> None:
    """Say which path lengths dominate a network of this depth."""
    from skipglass.cli.render import print_json, print_table
    from skipglass.theory import DepthEnsemble, peak_interval

    e = DepthEnsemble(depth, beta, reading)
    band, interval = e.band(mass), peak_interval(depth, e.peak)
    if as_json:
        print_json(
            {
                "depth": e.depth,
                "beta": e.beta,
                "reading": e.reading,
                "peak": e.peak,
                "mean_length": e.mean_length,
                "band": {"mass": mass, "lengths": band},
                "lengths": e.lengths,
                "weights": e.weights,
                "share": e.share,
            }
        )
        return
    rows: list[tuple[str, object]] = [
        ("peak, argmax ε_r", e.peak),
        ("peak / depth", e.peak / e.depth),
        ("mean length, Σ r ε_r²", e.mean_length),
        (f"shortest band with {mass:.4g} of Σ ε_r²", f"{band[0]}..{band[1]}"),
    ]
    if reading == "coherent":
        rows.append((f"β for which the peak is {e.peak}", f"{interval[0]:.6g}..{interval[1]:.6g}"))
    print_table(e.headline().split(":")[0], ["quantity", "value"], rows)
