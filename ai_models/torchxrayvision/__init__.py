"""TorchXRayVision's published DenseNet-121 weights, as models of this installation."""
