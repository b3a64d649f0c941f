"""One report with every kind of mark, a slider, rules and a table; its text tries to break out of HTML."""

import numpy as np

from skipglass.report import Answer, Axis, Panel, Report, Rule, Section, Series, Slider, Table

NASTY = "</script><script>alert('x')</script><b>&"
BETAS = (0.1, 0.5, 2.0)


def panel(name, series=(), **settings):
    arguments = {"x": Axis("length r"), "y": Axis("share"), "title": name, "how_to_read": "Up is more."}
    return Panel(name, series=series, **(arguments | settings))


def bars(beta):
    r = np.arange(1, 11)
    return (Series("share", r, beta**r / np.sum(beta**r)),)


def report():
    x = np.linspace(1, 2, 20)
    two = (Series("a", x, x, low=x - 0.1, high=x + 0.1), Series(NASTY, x, x**2))
    dots = Series("dots", [1, 2, 3], [1, np.nan, 2], low=[0.5, 0.5, 1.5], high=[2, 2, 2.5], marks="points")
    runs = tuple(Series(str(k), x, x + k) for k in range(12))
    captions = [f"frame {NASTY} {beta}" for beta in BETAS]
    table = Table(
        "claims", "Claims", "✓ means that it is supported.", ("claim", "value", "verdict", "statement"),
        [(NASTY, 1.23456, "identity", "a = a"), ("b", 2.0, "supported (2 of 3 settings)", "b > 1"),
         ("c", 3.0, "not supported", "c"), ("d", 4, "undetermined: β < 1", "d")],
        details=[(NASTY, "two"), ("one",), (), ()], links=["lines", "", "", ""],
    )  # fmt: skip
    panels = (
        panel("lines", two, rules=(Rule(1.5, NASTY, "x"), Rule(2.0, "level")), note=NASTY),
        panel("points", (dots, Series("line", [1, 3], [1, 2]))),
        panel("bars", (*bars(0.5), Series("other", np.arange(1, 11), np.ones(10))), marks="bar",
              y=Axis("share", log=True)),
        panel("epochs", runs, color=Axis("epoch"), x=Axis("x", log=True)),
        panel("slider", marks="bar", slider=Slider("β", BETAS, [bars(b) for b in BETAS], captions), shown=0),
    )  # fmt: skip
    sections = (Section("Claims " + NASTY, "One.\n\nTwo.", (table,)), Section("Panels", items=panels))
    answers = (Answer("Why? " + NASTY, NASTY, panel("answer", two), "supported (2 of 3 settings)"),)
    return Report("Title " + NASTY, NASTY, sections, "made by a test", answers)
