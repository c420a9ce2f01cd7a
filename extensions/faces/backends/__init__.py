"""Networks for swaps and expressions that a person supplies as ONNX files, under licences that are accepted first."""
