"""Traces that the solver found: signals by cycle."""

import re
from dataclasses import dataclass

__all__ = ["Trace", "read_trace"]

DECLARATION = re.compile(r"\$var \w+ \d+ (\S+) (\S+?)(?: \[.*\])? \$end")


@dataclass(frozen=True)
class Trace:
    """Values of signals in the cycles from reset on.

    Attributes
    ----------
    signals : dict of str to list of int
        Each has a value for each cycle.
    """

    signals: dict[str, list[int]]

    @property
    def cycles(self) -> int:
        """How many there are."""
        return len(next(iter(self.signals.values()), []))

    @property
    def named(self) -> dict[str, list[int]]:
        """Signals that have a name in the sources; the tools make others."""
        return {name: values for name, values in self.signals.items()
                if not re.match(r"_|signal(_\d+)?$", name) and "[" not in name}

    def until(self, cycles: int) -> "Trace":
        """Return the first cycles alone."""
        return Trace({name: values[:cycles] for name, values in self.signals.items()})


def read_trace(text: str) -> Trace:
    """Return the trace in a value change dump as Yosys writes it, a change of time a cycle."""
    names = {key: name.removeprefix("\\") for key, name in DECLARATION.findall(text)}
    now = dict.fromkeys(names.values(), 0)
    signals: dict[str, list[int]] = {name: [] for name in now}
    began = False
    shown: set[str] = set()
    for line in text.split("$enddefinitions $end", 1)[-1].split("\n"):
        if line.startswith("#"):
            if began:
                for name, value in now.items():
                    signals[name].append(value)
            began = True
        elif line == "$end":
            # What stood before is the state at the beginning; only some of it is shown later on.
            shown.clear()
        elif match := re.match(r"b([01xz]+) (\S+)", line) or re.match(r"([01xz])(\S+)$", line):
            shown.add(names[match[2]])
            now[names[match[2]]] = int(re.sub("[xz]", "0", match[1]), 2)
    return Trace({name: values for name, values in signals.items() if name in shown})
