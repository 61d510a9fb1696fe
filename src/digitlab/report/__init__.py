"""Report: Findings made visible. Lays out what `analysis.findings` holds and computes no statistics.

`opening` is what is said first, the same on the page, in the terminal and in a notebook; `published` are the
results of others beside it. `numbers` is how values are written, `cells` how tables are. `lines`, `heatmap`,
`forest` and `ranking` each turn one kind of picture into a chart, out of what `axes` and `marks` share;
`charts` makes SVG and PNG of any picture, `tables` its numbers, `figures` files. `html` puts everything into
one page, with `images` for digits and weights.
"""
