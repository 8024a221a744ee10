"""One component in the Amaranth simulator, cycle by cycle, with a watchdog."""

import operator

from amaranth.sim import Simulator

WATCHDOG = 20_000


class BlockBench:
    """A component, and a count of cycles; a bench that does not come to an end fails.

    A scenario sets inputs and looks at outputs of the same cycle, then ticks.
    """

    def __init__(self, dut, *, limit=WATCHDOG):
        self.dut = dut
        self.limit = limit
        self.cycle = 0

    def run(self, scenario):
        async def testbench(ctx):
            self.ctx = ctx
            await scenario(self)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6, if_exists=True)
        simulator.add_testbench(testbench)
        simulator.run()

    def set(self, **inputs):
        for name, value in inputs.items():
            self.ctx.set(self.signal(name), value)

    def get(self, name):
        return self.ctx.get(self.signal(name))

    def signal(self, name):
        """Return a member of the component; two underscores stand for a dot."""
        return operator.attrgetter(name.replace("__", "."))(self.dut)

    async def tick(self, cycles=1):
        for _ in range(cycles):
            await self.ctx.tick()
            self.cycle += 1
            assert self.cycle < self.limit, "the bench does not come to an end"

    async def pulse(self, **inputs):
        """Set inputs for one cycle; then clear them."""
        self.set(**inputs)
        await self.tick()
        self.set(**dict.fromkeys(inputs, 0))
