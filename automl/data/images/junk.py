"""What systems leave among the photos, and no user has put there: neither a class nor a sample."""

from __future__ import annotations

from automl.data.keys import normal_key

_NAMES = {
    # Network drives: Synology, QNAP, Samba, WD.
    "@eadir", "@tmp", "@sharesnap", "@sharebin", "@synoresource", "@synoeastream", "@__thumb", "@recycle",
    "@recently-snapshot", "@transcode", "#recycle", "#snapshot", "recycle.bin", "network trash folder",
    "temporary items",
    # Windows.
    "$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "thumbs.db", "ehthumbs.db",
    "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "zbthumbnail.info",
    # macOS, where what is not hidden comes out of a zip; Android, Linux, Python.
    "__macosx", "icon", "lost.dir", "lost+found", "__pycache__",
}  # fmt: skip
_ENDS = ("@synoeastream", "@synoresource")  # Synology keeps what else it knows of a file beside it


def is_junk(name: str) -> bool:
    """Whether a file or folder of this name is hidden or a system's own: `.DS_Store`, `@eaDir`, `$RECYCLE.BIN`."""
    key = normal_key(name).casefold()
    # macOS calls it 'Icon' with a carriage return, which a class of icons has not.
    return name.startswith(".") or (key in _NAMES and (key != "icon" or name != name.strip())) or key.endswith(_ENDS)
