"""Contract of every stream: what is offered stays, as it is, until it is taken."""

from amaranth.hdl import Value

from hw.proofs.bench import Bench

__all__ = ["claim_stream"]


def claim_stream(bench: Bench, name: str, stream, *, payload=None, dropped=0):
    """Claim that a stream keeps to the contract of valid and ready.

    Parameters
    ----------
    bench : Bench
    name : str
        Of the stream, in the claims.
    stream : stream interface
        Of the block that offers.
    payload : Value, optional
        What has to stay as it is; all of the payload if left out.
    dropped : Value
        In such a cycle everything may be forgotten.
    """
    value = Value.cast(stream.payload if payload is None else payload)
    waits = bench.past(stream.valid & ~stream.ready & ~Value.cast(dropped))
    bench.claim(f"{name}_valid_stays", ~waits | stream.valid)
    bench.claim(f"{name}_payload_stays", ~waits | (value == bench.past(value)))
