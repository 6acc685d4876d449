"""Checks for the splits of chapter 3: by group, and one stack in blocks with gaps."""

from itertools import pairwise

from unet_lib.course.exercises.harness import NotYet, about, ask, check, expect, kind, say
from unet_lib.course.exercises.values import items, numbers, whole


@check
def check_group_split(answer: object) -> None:
    """Checks a function (patients, share, seed) -> (training, validation) lists of indices.

    >>> check_group_split(lambda patients, share, seed: ([0, 1, 2, 3], [4, 5, 6, 7]))
    Not yet: 12 images went in, 4 are in neither part. Every image has its place.
    """
    patients = ["Ada", "Bo", "Ada", "Cy", "Dee", "Bo", "Ada", "Dee", "Cy", "Dee", "Bo", "Ada"]
    everybody = [f"patient {number:02}" for number in range(20) for _ in range(3)]
    splits = []
    cases = [(patients, 0.25, 0), (patients, 0.5, 1), (patients, 0.1, 2)]
    for names, share, seed in cases + [(everybody, 0.25, seed) for seed in range(6)]:
        splits.append(_parts(answer, names, share, seed))
        _judge_split(names, share, *splits[-1])
    seeded = any(split != splits[-1] for split in splits[3:])
    expect(seeded, "six seeds choose the same patients. Let seed decide who is drawn.")
    again = _parts(answer, everybody, 0.25, seed=5)
    told = "seed 5 twice gives two splits. Make a generator from seed, inside."
    expect(again == splits[-1], told)
    say(True, "no patient on both sides, every image in one part, and the seed repeats it.")


def _parts(answer: object, names: list[str], share: float, seed: int) -> list[list[int]]:
    """The two lists of indices that the reader's function returns."""
    found = ask(answer, list(names), share, seed)
    told = f"you return {kind(found)}. Return two lists of indices."
    parts = [numbers(part, told, one=whole) for part in items(found, told, 2)]
    for index in (*parts[0], *parts[1]):
        last = len(names) - 1
        expect(0 <= index <= last, f"there is no image {index}; indices go from 0 to {last}.")
    return [sorted(part) for part in parts]


def _judge_split(names: list[str], share: float, train: list[int], validation: list[int]) -> None:
    missing = len({*range(len(names))} - {*train, *validation})
    told = f"{len(names)} images went in, {missing} are in neither part."
    expect(not missing, f"{told} Every image has its place.")
    for index, next_one in pairwise(sorted(train + validation)):
        told = f"image {index} is there twice. Each goes to one part."
        expect(index != next_one, told)
    for name in sorted({names[i] for i in train} & {names[i] for i in validation}):
        cure = "Draw patients, not images."
        raise NotYet(f"{name} is on both sides: the score would measure memory. {cure}")
    everybody = len(set(names))
    drawn, wanted = len({names[i] for i in validation}), share * everybody
    told = f"{drawn} of {everybody} patients are in validation, about {wanted:g} were asked for"
    expect(abs(drawn - wanted) <= 1 and drawn and train, f"{told} (at least one).")


@check
def check_block_split(answer: object) -> None:
    """Checks a function (count, share, gap) -> training, validation, test: three runs of slices.

    >>> check_block_split(lambda count, *_: (range(70), range(70, 85), range(85, 100)))
    Not yet: 100 slices, share 0.15, gap 8: 0 slices lie between training and validation, ...
    """
    for count, share, gap in ((100, 0.15, 8), (60, 0.2, 3), (41, 0.1, 0)):
        found = ask(answer, count, share, gap)
        told = f"you return {kind(found)}. Return three lists of indices."
        parts = [numbers(part, told, one=whole) for part in items(found, told, 3)]
        with about(f"{count} slices, share {share}, gap {gap}: "):
            _judge_blocks(parts, count, round(share * count), gap)
    say(True, "three blocks of neighbors, and no slice has a near one in another block.")


def _judge_blocks(parts: list[list[int]], count: int, size: int, gap: int) -> None:
    blocks = dict(zip(("training", "validation", "test"), map(sorted, parts), strict=True))
    for name, part in blocks.items():
        expect(part, f"{name} is empty.")
        told = f"{name} goes from {part[0]} to {part[-1]}; slices have numbers 0 to {count - 1}."
        expect(part[0] >= 0 and part[-1] < count, told)
        together = part == list(range(part[0], part[-1] + 1))
        expect(together, f"{name} is no run of neighbors. Take slices that follow each other.")
    for (one, first), (other, second) in pairwise(blocks.items()):
        between = second[0] - first[-1] - 1
        told = f"{one} reaches into {other}, or stands behind it."
        expect(between >= 0, f"{told} The order is training, validation, test.")
        told = f"{between} slices lie between {one} and {other}, expected {gap}."
        expect(between == gap, told)
    for name in ("validation", "test"):
        told = f"{name} has {len(blocks[name])} slices, expected {size}, the share of all {count}."
        expect(len(blocks[name]) == size, told)
    used = blocks["training"][0] == 0 and blocks["test"][-1] == count - 1
    expect(used, "slices at the ends of the stack go unused.")
