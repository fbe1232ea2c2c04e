"""The student leaves Python: whole numbers, ONNX, C, a page."""
