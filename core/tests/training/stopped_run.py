"""``dyn train`` that gets a signal: executed by ``test_signals.py`` with these globals.

ARGUMENTS follow ``dyn train RECIPE``; SIGNAL comes while step AT is computed; ERRORS is the file of
what is printed to stderr; RANK, PROCESSES and PORT place this process among others.
"""

import faulthandler
import os
import sys
from typing import Any

os.environ["ACCELERATE_USE_CPU"] = "true"
if PROCESSES > 1:
    os.environ |= {
        "RANK": str(RANK),
        "LOCAL_RANK": str(RANK),
        "WORLD_SIZE": str(PROCESSES),
        "LOCAL_WORLD_SIZE": str(PROCESSES),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(PORT),
        "OMP_NUM_THREADS": "1",
    }
sys.stderr = open(ERRORS, "w")  # noqa: SIM115
faulthandler.dump_traceback_later(240, file=sys.stderr, exit=True)  # says where it hangs

import torch  # noqa: E402

from dyncore.cli import main  # noqa: E402
from dyncore.training import _trainer, _update  # noqa: E402


def interrupted(updater: _update.Updater, batch: Any, step: int) -> Any:
    """Like ``Updater.backward``; the signal comes before it ends."""
    result = backward(updater, batch, step)
    if step + 1 == AT and SIGNAL is not None:
        os.kill(os.getpid(), SIGNAL)
    return result


torch.set_num_threads(1)
backward, _update.Updater.backward = _update.Updater.backward, interrupted
_trainer.DISPLAY_EVERY = 1
sys.argv = ["dyn", "train", "vanilla-resnet20-digits-b0.5", *ARGUMENTS]
main()
