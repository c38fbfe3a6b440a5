"""`celery.canvas`."""

from leveret.client.canvas.chains import chain
from leveret.client.canvas.chords import chord
from leveret.client.canvas.groups import chunks, group, xmap, xstarmap
from leveret.client.canvas.stamping import StampingVisitor
from leveret.client.signature import Signature, maybe_signature, signature

# Celery's other names of the same: the types that its `chain(...)` and `chord(...)` make, and those from before 3.0.
_chain, _chord, subtask, maybe_subtask = chain, chord, signature, maybe_signature

__all__ = [
    "Signature",
    "StampingVisitor",
    "_chain",
    "_chord",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "maybe_subtask",
    "signature",
    "subtask",
    "xmap",
    "xstarmap",
]
