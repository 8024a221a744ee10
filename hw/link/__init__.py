"""Link between host and core over a UART."""
