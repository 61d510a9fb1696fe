"""Networks as values.

`parameters`: layer sizes -> arrays; `forward`: arrays and images -> probabilities; `sequential`: arrays ->
nn.Sequential, and back (it alone loads torch); `trained`: a network with its RunSpec, and its safetensors
file; `inspection`: what one network gets right and wrong.
"""
