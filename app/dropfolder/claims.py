"""Who works on which prompt file, when several watchers share one folder, over a network file system too.

A claim is a rename of `X.txt` to `X.txt.claimed-by-HOST-ID`: of several who try, exactly one finds the source
still there (rename(2) is atomic, on NFS as well), and everybody can see who has it. Each watcher touches one
heartbeat file, `.watcher-HOST-ID`; a claim whose heartbeat stands still is taken over by the same rename.
Ages are measured against a file this watcher just touched, so that the hosts' clocks need not agree.
"""

import os
import re
import secrets
import socket
from pathlib import Path

from app.dropfolder.prompt_file import PromptName, parse_claim, parse_name

HEARTBEAT_PREFIX = ".watcher-"
TEMPORARY_PREFIX = ".atelier-"


class Claims:
    """The claims of one watcher in one folder. Used by the watcher's own threads; each call is atomic on disk."""

    def __init__(self, folder: Path, *, dead_after_s: float) -> None:
        host = re.sub(r"[^A-Za-z0-9.]+", "-", socket.gethostname())[:60] or "host"
        self.claimant = f"{host}-{secrets.token_hex(4)}"
        self._folder = folder
        self._dead_after_s = dead_after_s
        self._heartbeat = folder / f"{HEARTBEAT_PREFIX}{self.claimant}"

    def beat(self) -> None:
        """Show the other watchers that this one lives. The time is the file system's, not this machine's."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        heartbeat = os.open(self._heartbeat, flags, 0o644)
        try:
            os.utime(heartbeat)
        finally:
            os.close(heartbeat)

    def stop(self) -> None:
        """Take the heartbeat away: what is still claimed is free for the others at once."""
        self._heartbeat.unlink(missing_ok=True)

    def waiting(self) -> list[PromptName]:
        """The prompt files nobody has claimed, oldest first. Names only: files may vanish any moment.

        A new file under the name of one that is being worked on waits for that one's end: both have one answer.
        """
        found, claimed = [], {name.stem for name, _, _ in self._claimed()}
        for entry in os.scandir(self._folder):
            name = parse_name(entry.name)
            if name and name.stem not in claimed and not entry.is_dir(follow_symlinks=False):
                try:
                    found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name, name))
                except OSError:  # gone meanwhile, or unreadable: that one alone waits
                    continue
        return [name for _, _, name in sorted(found, key=lambda item: item[:2])]

    def take(self, name: PromptName) -> Path | None:
        """Claim a waiting prompt file. None if another watcher was faster."""
        return self._rename(name.prompt, name)

    def mine(self) -> list[tuple[PromptName, Path]]:
        """What this watcher has claimed and not answered yet."""
        return [(name, path) for name, claimant, path in self._claimed() if claimant == self.claimant]

    def take_over_from_the_dead(self) -> list[tuple[PromptName, Path]]:
        """Claim what dead watchers left behind, and remove their heartbeats."""
        self.beat()
        now = os.lstat(self._heartbeat).st_mtime
        taken = []
        for name, claimant, path in self._claimed():
            if claimant != self.claimant and self._is_dead(claimant, now):
                own = self._rename(path.name, name)
                if own:
                    taken.append((name, own))
        for entry in os.scandir(self._folder):
            if entry.name.startswith((HEARTBEAT_PREFIX, TEMPORARY_PREFIX)):
                self._sweep(entry, now)
        return taken

    def _claimed(self) -> list[tuple[PromptName, str, Path]]:
        """All claims in the folder: prompt, claimant, file."""
        found = []
        for entry in os.scandir(self._folder):
            claim = parse_claim(entry.name)
            if claim and not entry.is_dir(follow_symlinks=False):
                found.append((*claim, Path(entry.path)))
        return found

    def _rename(self, source: str, name: PromptName) -> Path | None:
        target = self._folder / name.claim(self.claimant)
        try:
            os.rename(self._folder / source, target)
        except FileNotFoundError:
            return None
        return target

    def _is_dead(self, claimant: str, now: float) -> bool:
        try:
            beat = os.lstat(self._folder / f"{HEARTBEAT_PREFIX}{claimant}").st_mtime
        except FileNotFoundError:
            return True
        return now - beat > self._dead_after_s

    def _sweep(self, entry: os.DirEntry[str], now: float) -> None:
        """Remove heartbeats and half-written answers of watchers that ended long ago."""
        try:
            if now - entry.stat(follow_symlinks=False).st_mtime > 10 * self._dead_after_s:
                os.unlink(entry.path)
        except OSError:  # gone meanwhile, or not to be removed (a folder of this name): it harms nobody
            return
