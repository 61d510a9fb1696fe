"""Networks as values.

`parameters`: layer sizes -> arrays -> nn.Sequential, and back; `trained`: a network with its RunSpec, and its
safetensors file; `inspection`: what one network gets right and wrong.
"""
