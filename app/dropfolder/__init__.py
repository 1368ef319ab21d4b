"""The drop folder: prompt files in, PNG or error files out. A client of the image service like any other.

`prompt_file` knows names and texts, `claims` who works on which file, `watcher` does the work.
"""

from app.dropfolder.watcher import Watcher

__all__ = ["Watcher"]
