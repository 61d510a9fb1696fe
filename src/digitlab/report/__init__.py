"""Report: Findings made visible. Lays out what `analysis.findings` holds and computes no statistics.

`numbers` is how values are written. `lines`, `heatmap` and `forest` each turn one kind of picture into a
chart, out of what `axes` and `marks` share; `charts` makes SVG and PNG of any picture, `tables` its numbers,
`figures` files. `html` puts everything into one page, with `images` for digits and weights.
"""
