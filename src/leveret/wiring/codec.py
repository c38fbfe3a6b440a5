"""The codec of one app: every serializer and compression known here, and the app's limits."""

from dataclasses import replace
from typing import TypeVar

from leveret.config.settings import Settings
from leveret.logic.codec import Codec, Limits, ResultFormat
from leveret.logic.compression import Compression, Compressions, builtin_compressions
from leveret.logic.serializers import Serializer, Serializers, builtin_serializers
from leveret.wiring import parts

_PartT = TypeVar("_PartT")


def build_codec(settings: Settings) -> Codec:
    """Installed serializers and compressions win over built-in ones of the same name."""
    serializers = {serializer.name: serializer for serializer in builtin_serializers()}
    serializers.update({serializer.name: serializer for serializer in _installed("serializers", Serializer)})
    for name in (settings.task_serializer, settings.result_serializer):
        if ":" in name:
            serializers[name] = replace(parts.load("serializers", name), name=name)
    compressions = [*builtin_compressions(), *_installed("compressions", Compression)]
    return Codec(
        Serializers(serializers.values()),
        Compressions(compressions),
        Limits(message_bytes=settings.message_max_bytes, result_bytes=settings.message_max_bytes),
        accept=frozenset(settings.accept_content),
        results=ResultFormat(
            serializer=settings.result_serializer,
            compression=settings.result_compression,
            accept=settings.result_accept_content,
        ),
        shows_arguments=settings.shows_arguments,
    )


def _installed(kind: str, type_: type[_PartT]) -> list[_PartT]:
    found = [parts.load(kind, part.name) for part in parts.installed() if part.kind == kind]
    return [part for part in found if isinstance(part, type_)]
