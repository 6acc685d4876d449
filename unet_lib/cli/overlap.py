"""Reading, computing and writing at the same time, for commands that go through many files."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Content = TypeVar("Content")
Result = TypeVar("Result")


def overlapped(
    items: Iterable[Item],
    read: Callable[[Item], Content],
    compute: Callable[[Item, Content], Result],
    write: Callable[[Item, Result], None],
) -> Iterator[ValueError | None]:
    """For each item in turn None, or the ValueError that it met; any other error ends it all.

    While `compute` runs, in the caller's thread, the next item is read and the last one written,
    each in a thread of its own. After an error the write that has begun is finished.

    >>> list(overlapped("ab", str.upper, lambda _, content: content * 2, lambda _, x: print(x)))
    AA
    BB
    [None, None]
    """
    items = list(items)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        contents = _one_ahead(reader.submit(read, item) for item in items)

        def outcomes() -> Iterator[Future[None]]:
            for item, content in zip(items, contents, strict=True):
                try:
                    yield writer.submit(write, item, compute(item, content.result()))
                except ValueError as error:
                    failed: Future[None] = Future()
                    failed.set_exception(error)
                    yield failed

        for outcome in _one_ahead(outcomes()):
            try:
                outcome.result()
                yield None
            except ValueError as error:
                yield error


def _one_ahead(futures: Iterable[Future[Result]]) -> Iterator[Future[Result]]:
    """The same, each when the one after it has begun."""
    waiting: deque[Future[Result]] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > 1:
            yield waiting.popleft()
    yield from waiting
