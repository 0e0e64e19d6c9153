import sys
from pathlib import Path

# The tiny pipeline is a module of its own, as TFX finds a step's code by its module's name.
sys.path.insert(0, str(Path(__file__).parent))
