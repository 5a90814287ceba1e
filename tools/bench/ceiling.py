"""For orientation, without goals: what the source and sink cost alone, dpdk-testpmd, and whatever OTHER names.

Each against the bare loop on the frames and routes of ip4-1k. `floor` is the bare loop that only receives and
sends: subtract it from all others and the router's part is left."""
import os

from measure import Books, Side, Void, alternate, warm
from programs import Bare, Other, Testpmd
from device import Device
from rows import Comparison, Result, bare_devices, repeat

FLOWS = 2048


class Ceiling:
    rows = {"floor": None, "testpmd-io": None, "testpmd-mac": None} | ({"other": None} if os.environ.get("OTHER") else {})

    def run(self, place, wanted, pairs, say):
        results = {name: Result(name, None, of=name.split("-")[0], to="bare") for name in wanted}
        table = Comparison(4, 1000, {"ip4": (FLOWS, None)})
        table.make(place, ["ip4"])
        for name, result in results.items():
            repeat(1, {name: result}, say, lambda name=name, result=result: self.pair(place, table.frames, name, result))
        return results

    def start(self, place, frames, name):
        devices = Device(place.folder, "o", 0, frames.path), [Device(place.folder, "o", 1)]
        program = {"floor": Bare, "other": Other}.get(name, Testpmd)(place, *devices)
        try:
            if name == "floor":
                program.start(4, f"{place.folder}/routes", "--rxtx")
            elif name == "other":
                program.start(os.environ["OTHER"])
            else:
                program.start(name.split("-")[1])
        except BaseException:
            program.end()
            raise
        return program

    def pair(self, place, frames, name, result):
        bare, other = Bare(place, *bare_devices(place, frames.path)), self.start(place, frames, name)
        try:
            bare.start(4, f"{place.folder}/routes")
            sides = [Side(p.name, p, span=frames.sets["ip4"]) for p in (other, bare)]
            warm(sides)
            books = Books(other, None)
            books.open()
            alternate(sides, 4)
            try:
                books.close()
            except Void as e:
                if name != "other":
                    raise
                result.notes = [str(e)]  # a router may say things of its own
        finally:
            bare.end()
            other.end()
        a, b = (side.cost for side in sides)
        result.add(a.cycles / b.cycles, a.cycles, b.cycles, a.vector)
