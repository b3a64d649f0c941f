"""A profile as panels: the figure of `Profile.plot`, and what a page shows of it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skipglass.report import Axis, Panel, Rule, Series, Table, draw
from skipglass.report.figures import SIZE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from skipglass.paths.profile import Profile

__all__ = ["blocks_table", "figure", "panels"]
