"""Input: layouts of the network's input in memory, and how its first layer reads them.

From the most memory and the fewest steps to the opposite:

- ``windows`` (*im2col*): all bytes of each window, one window behind the other;
- ``units``: for every column of windows and row of the image a few words, some bytes twice;
- ``pixels``: one or more whole words per pixel, as all other tensors lie in memory;
- ``rows``: the bytes of the image.
"""
