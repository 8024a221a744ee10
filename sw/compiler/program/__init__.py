"""Program: the compiler's result as data, and files of it."""
