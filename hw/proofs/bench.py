"""Bench of a proof: a block, its free inputs, what is assumed of them and claimed of it."""

from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Module, Signal, Value

from hw.proofs.sources import Sources

__all__ = ["CLAIM", "COVER", "Bench", "Block"]

CLAIM = "claim_"
COVER = "cover_"


class Block:
    """A block that was elaborated by hand: its own signals can be had by their names.

    Parameters
    ----------
    component : Component
    module : Module
        What it was elaborated to.
    """

    def __init__(self, component, module: Module):
        self.component = component
        self._module = module

    def __getattr__(self, name):
        return getattr(self.component, name)

    def local(self, name: str):
        """Return a signal that only the block knows.

        Raises
        ------
        LookupError
            If it has none or several of that name.
        """
        # Amaranth has no public way to a module's own signals.
        found = [s for s in self._module._driving if getattr(s, "name", None) == name]
        if len(found) != 1:
            raise LookupError(f"{type(self.component).__name__} has {len(found)} signals {name!r}")
        return found[0]

    def submodule(self, name: str):
        """Return a part of the block that was not elaborated yet."""
        return self._module._named_submodules[name][0]

    def state(self, *names: str):
        """Return whether its state machine is in one of the states."""
        fsm = self._module._generated["fsm"]
        for name in names:
            if name not in fsm.encoding:
                raise LookupError(f"{type(self.component).__name__} has no state {name!r}")
        signal = fsm._data["signal"]
        return Value.cast(signal).matches(*(fsm.encoding[name] for name in names))


class Bench:
    """What a harness is built on.

    Parameters
    ----------
    sources : Sources

    Attributes
    ----------
    m : Module
        For the harness's own logic.
    """

    def __init__(self, sources: Sources):
        self.sources = sources
        self.m = Module()
        self.claims: list[str] = []
        self.covers: list[str] = []
        self.guided: Signal | None = None
        self._ports: list[Signal] = []

    def block(self, name: str, module: str, make):
        """Add a block.

        Parameters
        ----------
        name : str
        module : str
            Where it is from, such as ``hw.program.ring``.
        make : callable
            Takes that module, returns the component.

        Returns
        -------
        Block
        """
        component = make(self.sources.get(module))
        inner = component.elaborate(None)
        # It is: by hand.
        component._MustUse__used = True
        self.m.submodules[name] = inner
        return Block(component, inner)

    def free(self, name: str, shape=1) -> Signal:
        """Return a signal that is anything in each cycle."""
        signal = Signal(shape, name=name)
        self._ports.append(signal)
        return signal

    def fixed(self, name: str, shape=1) -> Signal:
        """Return a signal that is anything, but always the same from reset on."""
        value = self.free(name, shape)
        kept = Signal(shape)
        first = Signal(init=1)
        self.m.d.sync += first.eq(0)
        with self.m.If(first):
            self.m.d.sync += kept.eq(value)
        self.assume(first | (value == kept))
        return value

    def show(self, name: str, value) -> Signal:
        """Return a value as a signal that traces show."""
        signal = Signal(Value.cast(value).shape(), name=name)
        self.m.d.comb += signal.eq(value)
        self._ports.append(signal)
        return signal

    def assume(self, condition):
        """Leave out traces without this."""
        self.m.d.comb += Assume(condition)

    def guide(self, condition):
        """Look for covers and faults only where this holds: they may be far, and hard to find.

        Proofs know nothing of it.
        """
        if self.guided is None:
            self.guided = self.free("guided")
        self.assume(~self.guided | condition)

    def claim(self, name: str, condition):
        """Claim that this always holds."""
        self.claims.append(name)
        signal = self.show(CLAIM + name, Value.cast(condition).bool())
        self.m.d.comb += Assert(signal)

    def cover(self, name: str, condition):
        """Demand that a trace leads here."""
        self.covers.append(name)
        self.show(COVER + name, Value.cast(condition).bool())

    def past(self, value, *, init: int = 0) -> Signal:
        """Return a value as it was in the cycle before."""
        signal = Signal(Value.cast(value).shape(), init=init)
        self.m.d.sync += signal.eq(value)
        return signal

    def rtlil(self) -> str:
        """Return the design, its top ``top``."""
        return str(rtlil.convert(self.m, name="top", ports=self._ports, emit_src=False))
