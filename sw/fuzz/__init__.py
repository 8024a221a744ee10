"""Random networks and damaged files, judged against TensorFlow Lite's reference kernels."""
