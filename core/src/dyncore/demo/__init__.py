"""A page on which people try a model: what one image needs of it, and what that takes."""

from dyncore.demo._ask import Answer, Cost, Demonstration, RanBlock
from dyncore.demo._page import demo_page
from dyncore.demo._space import write_space

__all__ = ["Answer", "Cost", "Demonstration", "RanBlock", "demo_page", "write_space"]
