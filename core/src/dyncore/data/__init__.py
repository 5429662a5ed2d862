"""Data sets, preprocessing, augmentation and loading. Imports nothing else of dyncore."""

from dyncore.data._augmentation import Augmentation, CropFlip, RandomResizedCropFlip
from dyncore.data._batch import Batch
from dyncore.data._dataset import Dataset
from dyncore.data._errors import DataFileError
from dyncore.data._file import FileSplit
from dyncore.data._load import load_dataset
from dyncore.data._loader import Loader
from dyncore.data._memory import MemorySplit
from dyncore.data._part import Part
from dyncore.data._plan import mix as mix_seed
from dyncore.data._preprocessing import Preprocessing
from dyncore.data._sketch import Recognition, check_sketch, sketch
from dyncore.data._split import Split
from dyncore.data._superclasses import superclass_names, superclasses
from dyncore.data._torchvision import transforms_v2

__all__ = [
    "Augmentation",
    "Batch",
    "CropFlip",
    "DataFileError",
    "Dataset",
    "FileSplit",
    "Loader",
    "MemorySplit",
    "Part",
    "Preprocessing",
    "RandomResizedCropFlip",
    "Recognition",
    "Split",
    "check_sketch",
    "load_dataset",
    "mix_seed",
    "sketch",
    "superclass_names",
    "superclasses",
    "transforms_v2",
]
