"""A trained network that runs without PyTorch: ONNX, smaller numbers (chapter 13)."""
