"""Program: the stream of records, from the flash to its destinations."""
