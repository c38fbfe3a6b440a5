"""`celery.canvas`."""

from leveret.client.canvas import chain, chord, chunks, group
from leveret.client.signature import Signature, maybe_signature, signature

__all__ = ["Signature", "chain", "chord", "chunks", "group", "maybe_signature", "signature"]
