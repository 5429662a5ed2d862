import sys
from pathlib import Path

# The checks' own processes import broken_parts.py by its name, as they do an installed package.
sys.path.append(str(Path(__file__).parent / "outside"))
