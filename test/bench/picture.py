# SPDX-License-Identifier: BSD-3-Clause
"""One SVG picture of the results: a panel per test, a line per peer, on a logarithmic scale."""

import math
from xml.sax.saxutils import escape

from peers import LIMIT, OURS, OURS_EARLY, OURS_LENDING, PEERS, TESTS

# Distinct for colour-blind readers as well; ours is drawn thick, the limit dashed.
COLOURS = {OURS: "#d55e00", OURS_LENDING: "#cc79a7", OURS_EARLY: "#f0a060", "vhost-split": "#56b4e9",
           "vhost-packed": "#0072b2", "memif": "#009e73", "memif-zc": "#8a6d00", LIMIT: "#555555"}

PANEL_WIDTH, PANEL_HEIGHT, COLUMNS = 400, 300, 3
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 40, 36
HEADER = 56
LICENCE = "<!-- SPDX-License-Identifier: BSD-3-Clause -->"


class Panel:
    """The scales of one test's panel, and what is drawn in it."""

    def __init__(self, results, test, x, y):
        self.results, self.test, self.x, self.y = results, test, x, y
        values = [value for (_, name, _), row in results.rows.items() if name == test
                  for value in row.values if value > 0] or [1]
        self.low = math.floor(math.log10(min(values)) * 2) / 2
        self.high = max(math.ceil(math.log10(max(values)) * 2) / 2, self.low + 0.5)

    def at_frame(self, index):
        count = max(len(self.results.frames) - 1, 1)
        return self.x + LEFT + 12 + index * (PANEL_WIDTH - LEFT - RIGHT - 24) / count

    def at_value(self, value):
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.y + TOP + (1 - share) * (PANEL_HEIGHT - TOP - BOTTOM)

    def axes(self):
        test = TESTS[self.test]
        better = "less is better" if test.is_latency else "more is better"
        yield text(self.x + LEFT, self.y + 24, f"{test.title}, {test.unit} ({better})", 13, "bold")
        for value in tick_values(self.low, self.high):
            height = self.at_value(value)
            yield (f'<line x1="{self.x + LEFT}" x2="{self.x + PANEL_WIDTH - RIGHT}" '
                   f'y1="{height:.1f}" y2="{height:.1f}" stroke="#ddd"/>')
            yield text(self.x + LEFT - 6, height + 4, f"{value:g}", 11, anchor="end")
        for index, frame in enumerate(self.results.frames):
            yield text(self.at_frame(index), self.y + PANEL_HEIGHT - 14, f"{frame} B", 11,
                       anchor="middle")

    def line(self, peer):
        rows = [(index, self.results.get(peer, self.test, frame))
                for index, frame in enumerate(self.results.frames)]
        rows = [(self.at_frame(index), row) for index, row in rows
                if row and row.median > 0 and not self.results.is_unusual(row)]
        if not rows:
            return
        points = " ".join(f"{x:.1f},{self.at_value(row.median):.1f}" for x, row in rows)
        yield f'<polyline points="{points}" fill="none" {stroke(peer)}/>'
        for x, row in rows:
            low, high = max(min(row.values), 10 ** self.low), max(row.values)
            yield (f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{self.at_value(low):.1f}" '
                   f'y2="{self.at_value(high):.1f}" stroke="{COLOURS[peer]}"/>')
            yield (f'<circle cx="{x:.1f}" cy="{self.at_value(row.median):.1f}" r="3" '
                   f'fill="{COLOURS[peer]}"><title>{escape(peer)}: {row.median:.3g}</title>'
                   f'</circle>')


def text(x, y, content, size, weight="normal", anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(content)}</text>')


def stroke(peer):
    width = 3 if peer == OURS else 1.5
    dashes = ' stroke-dasharray="5 4"' if peer == LIMIT else ""
    return f'stroke="{COLOURS[peer]}" stroke-width="{width}"{dashes}'


def tick_values(low, high):
    """1, 2 and 5 of each power of ten between the two."""
    for power in range(math.floor(low), math.ceil(high) + 1):
        for step in (1, 2, 5):
            if low - 1e-9 <= math.log10(step) + power <= high + 1e-9:
                yield step * 10.0 ** power


def legend(results, x, y):
    for index, peer in enumerate(results.measured_peers()):
        height = y + TOP + 26 * index
        title = PEERS[peer].title if peer in PEERS else "limit: cache lines, one copy"
        yield f'<line x1="{x}" x2="{x + 28}" y1="{height}" y2="{height}" {stroke(peer)}/>'
        yield text(x + 36, height + 4, title, 12, "bold" if peer == OURS else "normal")


def draw(results, subtitle):
    """The picture as SVG text."""
    cells = len(results.tests) + 1
    height = HEADER + math.ceil(cells / COLUMNS) * PANEL_HEIGHT
    width = COLUMNS * PANEL_WIDTH
    place = [(i % COLUMNS * PANEL_WIDTH, HEADER + i // COLUMNS * PANEL_HEIGHT)
             for i in range(cells)]
    parts = [LICENCE,
             f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             f'width="{width}" height="{height}" font-family="sans-serif" fill="#222">',
             f'<rect width="{width}" height="{height}" fill="#fff"/>',
             text(LEFT, 26, "Two cores, one queue pair: median and range over the rounds", 17,
                  "bold"),
             text(LEFT, 46, subtitle, 12)]
    for test, (x, y) in zip(results.tests, place):
        panel = Panel(results, test, x, y)
        parts += panel.axes()
        for peer in reversed(results.measured_peers()):  # ours, the first, on top
            parts += panel.line(peer)
    parts += legend(results, place[-1][0] + LEFT, place[-1][1])
    return "\n".join([*parts, "</svg>", ""])
