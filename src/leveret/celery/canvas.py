"""`celery.canvas`."""

from leveret.client.canvas.chains import chain
from leveret.client.canvas.chords import chord
from leveret.client.canvas.groups import chunks, group, xmap, xstarmap
from leveret.client.canvas.stamping import StampingVisitor
from leveret.client.signature import Signature, maybe_signature, signature

__all__ = [
    "Signature",
    "StampingVisitor",
    "chain",
    "chord",
    "chunks",
    "group",
    "maybe_signature",
    "signature",
    "xmap",
    "xstarmap",
]
