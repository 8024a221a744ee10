"""MobileNets as data, the networks that ship with the project, and how they are trained.

- :mod:`sw.networks.architecture`: MobileNet V1 and V2 of any width, resolution and classes;
- :mod:`sw.networks.shipped`: two trained networks, test images and labels;
- :mod:`sw.networks.fashion_mnist`: the images they are trained on;
- :mod:`sw.training.train`: the training (PyTorch, not needed for anything else).
"""
