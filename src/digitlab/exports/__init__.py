"""Trained networks as files for other programs.

`service` is what commands call. `onnx` writes a network with its scaling and softmax inside, for any runtime
of that format, once `agreement` has found that onnxruntime computes what torch does; `plain` writes a short
PyTorch program beside a safetensors file. Both take bytes [n, 28, 28] and give probabilities [n, classes].
`facts` says what network a file holds: spec, data digest, accuracy.
"""
