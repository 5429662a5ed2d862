import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dyncore.kernels._pool import pool

FORMATS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


@pytest.mark.parametrize("memory_format", FORMATS.values(), ids=FORMATS)
@settings(deadline=None, max_examples=25)
@given(
    shape=st.tuples(*(st.integers(1, 5),) * 4),
    used=st.sampled_from(["map", "mean", "map mean"]),
    seed=st.integers(0, 2**31),
)
def test_gradients_are_those_of_a_mean_of_its_own(memory_format, shape, used, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    for_map = torch.randn(shape, generator=generator, dtype=torch.float64)
    for_mean = torch.randn(shape[:2], generator=generator, dtype=torch.float64)
    results = []
    for run in (pool, lambda x: (x, x.mean((2, 3)))):
        leaf = values.clone().to(memory_format=memory_format).requires_grad_()
        x, mean = run(leaf * 1)
        assert x.equal(values)
        terms = {"map": (x * for_map).sum(), "mean": (mean * for_mean).sum()}
        sum(terms[name] for name in used.split()).backward()
        results.append((mean.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)
