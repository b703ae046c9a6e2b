"""A sample, an instrument profile, and a controller."""

from dataclasses import replace
from typing import Annotated, ClassVar

from bluesky_stm.controllers import IDEAL, ControllerPart, Profile, SimulatedController
from bluesky_stm.parts import profiles, samples, setting
from bluesky_stm.surface import Au111, SamplePart, Surface


class Silver(SamplePart):
    """Ag(111): as Au(111), with a surface state just below the Fermi level."""

    name: str = "Ag(111)"
    onset: float = setting(-0.065, "eV", "Onset of the surface state, from the Fermi level.", lt=0)

    def build(self):
        """Return the sample as data."""
        gold = Au111().build()
        lattice = replace(gold.lattice, constant=0.289)
        return replace(gold, name=self.name, lattice=lattice, terrace={**gold.terrace, "onset": self.onset})


SHAKY = IDEAL.preset("shaky", "An ideal instrument on a floor that shakes.", z_white=0.002, current_white=0.0002)


class CabinController(SimulatedController):
    """A microscope that is not ours: here a simulated one does its work."""

    def describe(self):
        """Return what another manufacturer's controller may say of itself."""
        return {"name": self.name, "firmware": "4.2", "surface": self.surface.describe()}


class Cabin(ControllerPart):
    """A microscope in a cabin, with a protocol of its own."""

    leading: ClassVar[str] = "door"
    real: ClassVar[bool] = False
    same: ClassVar[tuple[str, ...]] = ("firmware", "surface")

    name: str = "cabin"
    door: str = setting("front", "", "Door by which one goes in.", min_length=1)
    sample: Annotated[SamplePart, samples] = setting("Ag(111)", "", "Sample in the cabin.", validate_default=True)
    profile: Annotated[Profile, profiles] = setting("shaky", "", "State of the cabin.", validate_default=True)
    seed: int = setting(0, "", "Seed of the surface and of the noise.", ge=0)

    def open(self):
        """Go in."""
        surface = Surface(self.sample, self.seed)
        return CabinController(surface, seed=self.seed, profile=self.profile, name=self.name)
