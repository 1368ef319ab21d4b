"""What a process takes away from itself for good before it runs what it does not trust. Linux; elsewhere it says so.

`landlock` bounds which files it can reach, `calls` which of the kernel's calls it can make, `memory` how much it takes.
No libseccomp: Python has no kept binding that brings the library along, and what is needed of both is three calls.
"""

from app.confine.walls import Walls, missing, raise_walls

__all__ = ["Walls", "missing", "raise_walls"]
