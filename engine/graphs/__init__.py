"""ONNX graphs: what a file says about itself, and one loaded file as a function."""
