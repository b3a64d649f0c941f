"""A panel is data, axes and the sentence that says how to read it: described once, drawn from that description.

`chart` states a panel in Vega-Lite. A browser draws that on the page, vl-convert draws it into PNG, PDF and SVG files;
`Panel.plot` draws on matplotlib's axes, for figures that people compose themselves. `render_page` puts many panels
into one HTML file that opens offline. The folder knows nothing of the paper.
"""

from skipglass.report.chart import chart
from skipglass.report.document import Answer, Report, Section, Table
from skipglass.report.extra import page_extra
from skipglass.report.figures import draw, grid, save_figures, save_grid, svg
from skipglass.report.page import render_page
from skipglass.report.panel import Panel
from skipglass.report.series import Axis, Rule, Series, Slider

__all__ = [
    "Answer", "Axis", "Panel", "Report", "Rule", "Section", "Series", "Slider", "Table", "chart", "draw", "grid",
    "page_extra", "render_page", "save_figures", "save_grid", "svg",
]  # fmt: skip
