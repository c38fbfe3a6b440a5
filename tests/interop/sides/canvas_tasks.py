"""Tasks that make compositions of their own."""

from typing import Any

import celery

import leveret

WORDS: dict[str, Any] = {"celery": celery, "leveret": leveret}


def define_canvas(app: Any, side: str) -> None:
    words = WORDS[side]

    def add(queue: str, *args: int) -> Any:
        return app.signature("interop.add", args=args, queue=queue)

    @app.task(name="interop.twice", bind=True)
    def twice(self: Any, number: int) -> int:
        if not self.request.retries:
            raise self.retry(countdown=0)
        return 2 * number

    @app.task(name="interop.firsts")
    def firsts(lists: list[list[Any]]) -> list[Any]:
        return [one[0] for one in lists]

    @app.task(name="interop.replaced", bind=True)
    def replaced(self: Any, kind: str, queue: str) -> Any:
        total = app.signature("interop.total", queue=queue)
        numbers = [add(queue, number, 1) for number in (1, 2, 3)]
        return self.replace(
            {
                "task": lambda: add(queue, 1, 2),
                "chain": lambda: words.chain(add(queue, 1, 2), add(queue, 2)),
                "group": lambda: words.group(numbers),
                "chord": lambda: words.chord(numbers, total),
            }[kind]()
        )

    @app.task(name="interop.adding", bind=True)
    def adding(self: Any, numbers: list[int], queue: str) -> int:
        for number in numbers:
            self.add_to_chord(add(queue, number, 1))
        return 0

    @app.task(name="interop.replaced_body", bind=True)
    def replaced_body(self: Any, values: list[int], queue: str) -> Any:
        return self.replace(add(queue, sum(values), 1))
