"""Float networks to int8 ``.tflite`` files.

- :mod:`sw.quantize.weights`: float weights, and folding of batch normalisation;
- :mod:`sw.quantize.states`: weights of Keras and PyTorch networks;
- :mod:`sw.quantize.arithmetic`: sums that are the same on every processor;
- :mod:`sw.quantize.reference`: the float network in NumPy;
- :mod:`sw.quantize.calibrate`: ranges of activations;
- :mod:`sw.quantize.layer`: integers of one layer;
- :mod:`sw.quantize.export`: the file;
- :mod:`sw.quantize.fit`: what to change where a board's compiler refuses;
- :mod:`sw.quantize.flatbuffer`: the file format;
- :mod:`sw.quantize.accuracy`: what quantisation costs.

``python -m sw.quantize`` does all of it.
"""
