"""Input: layouts of the network's input in memory, and how its first layer reads them."""
