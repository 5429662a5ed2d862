"""What a row of ``docs/compatibility.md`` is: a test with a ``situation``.

``@pytest.mark.situation("what people do")`` says that it works, and the test that the value is
right. With ``refused="message"`` the test does it, and it must end in an error with that message,
in which … stands for what varies. A module's docstring is its heading on the page, which
``benchmarks/page_compatibility.py`` reads from these files.
"""

import re
from collections.abc import Generator

import pytest

REFUSALS = (ValueError, RuntimeError, TypeError)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    situation = pyfuncitem.get_closest_marker("situation")
    message = situation.kwargs.get("refused") if situation else None
    if message is None:
        return (yield)
    with pytest.raises(REFUSALS, match=".*".join(map(re.escape, message.split("…")))):
        yield
    return True
