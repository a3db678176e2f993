"""Encoders as ONNX graphs: checkpoint to one file, written directly."""
