"""The contract: everything that hardware and software share, free of Amaranth."""
