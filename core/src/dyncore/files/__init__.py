"""Files: complete before they get their names, JSON read strictly, names that do no harm."""

from dyncore.files._cache import cache_folder
from dyncore.files._json import MAX_BYTES, parse_json
from dyncore.files._names import check_folder_name, printable
from dyncore.files._replacing import replacing

__all__ = ["MAX_BYTES", "cache_folder", "check_folder_name", "parse_json", "printable", "replacing"]
