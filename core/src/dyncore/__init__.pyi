"""What dyncore exports, for type checkers and for ``lazy_loader``."""

from . import adopt as adopt
from . import backbones as backbones
from . import blocks as blocks
from . import calibration as calibration
from . import cascade as cascade
from . import cost as cost
from . import data as data
from . import engine as engine
from . import gating as gating
from . import hub as hub
from . import loop as loop
from . import network as network
from . import parts as parts
from . import registry as registry
from . import weights as weights
from .adopt import AdoptError as AdoptError
from .adopt import make_dynamic as make_dynamic
from .calibration import calibrate as calibrate
from .cascade import Cascade as Cascade
from .cascade import from_pretrained as from_pretrained
from .cost import CostTable as CostTable
from .cost import Profile as Profile
from .cost import cost_table as cost_table
from .data import DataFileError as DataFileError
from .engine import Engine as Engine
from .gating import Decision as Decision
from .gating import ExecutionPath as ExecutionPath
from .hub import HubError as HubError
from .hub import ModelFileError as ModelFileError
from .loop import evaluate as evaluate
from .loop import objective as objective
from .network import Dial as Dial
from .network import DynamicConfig as DynamicConfig
from .network import DynamicNetwork as DynamicNetwork
from .network import ModelInfo as ModelInfo
from .network import Output as Output
from .network import run_skipped as run_skipped
from .network import transforms as transforms
from .parts import RegistryError as RegistryError
from .registry import Method as Method
from .registry import create_model as create_model
from .registry import list_methods as list_methods
from .registry import list_models as list_models
from .weights import load_static as load_static

__version__: str
