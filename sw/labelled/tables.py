"""Score as text of at most 80 columns, and in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common.terminal import printable
from sw.labelled.folder import Folder
from sw.labelled.score import Answer, Score

__all__ = ["CONFUSED", "lines", "score_json"]

CONFUSED = 20
"""Classes that a table of confusions is printed for; JSON has all."""
WIDTH = 80
NAME = 24
"""Columns of a class's number and name."""
ELSEWHERE = "other"


def _right(answers: Sequence[Answer]) -> int:
    return sum(answer.right for answer in answers)


def _near(answers: Sequence[Answer]) -> int:
    return sum(answer.near for answer in answers)


def _name(number: int, labels: Sequence[str], width: int = NAME) -> str:
    label = f" {labels[number]}" if number < len(labels) else ""
    text = printable(f"{number}{label}")
    return f"{text if len(text) <= width else text[: width - 1] + '…':{width}}"


def _row(name: str, answers: Sequence[Answer], ranked: bool) -> str:
    count = len(answers)
    text = f"{name}{count:9,}{_right(answers):9,}{_right(answers) / count:10.1%}"
    return f"{text}{_near(answers) / count:10.1%}" if ranked else text


def lines(score: Score, folder: Folder, labels: Sequence[str]) -> list[str]:
    """Return what is printed of a score: classes, all of them, confusions, what was passed over.

    Parameters
    ----------
    score : Score
    folder : Folder
    labels : sequence of str
        Names of the classes, as far as they are known.
    """
    head = f"{'class':{NAME}}{'images':>9}{'right':>9}{'accuracy':>10}"
    text = [f"{head}{'top-5':>10}" if score.ranked else head]
    text += [_row(_name(truth, labels), score.of(truth), score.ranked) for truth in score.truths]
    text += [_row(f"{'all':{NAME}}", score.answers, score.ranked), ""]
    text += _confusions(score, labels)
    if folder.others:
        text.append(f"{folder.others:,} files are no pictures by their names, and left out")
    return text


def _confusions(score: Score, labels: Sequence[str]) -> list[str]:
    """Return true classes as rows, classes found as columns, in pieces where they are many."""
    truths, confusion = score.truths, score.confusion
    if len(truths) > CONFUSED:
        return [f"confusions of {len(truths):,} classes: too many to print, --json has them"]
    columns = [str(truth) for truth in truths]
    counts = {truth: [confusion[truth, found] for found in truths] for truth in truths}
    if any(found not in truths for _, found in confusion):
        columns.append(ELSEWHERE)
        for truth, row in counts.items():
            row.append(len(score.of(truth)) - sum(row))
    cells = [*columns, *(str(count) for row in counts.values() for count in row)]
    width = 1 + max(map(len, cells))
    piece = (WIDTH - NAME) // width
    text = []
    for first in range(0, len(columns), piece):
        part = slice(first, first + piece)
        text.append(f"{'true class, found as':{NAME}}" + _cells(columns[part], width))
        for truth, row in counts.items():
            text.append(_name(truth, labels) + _cells([str(n) for n in row[part]], width))
        text.append("")
    return text


def _cells(values: Sequence[str], width: int) -> str:
    return "".join(f"{value:>{width}}" for value in values)


def score_json(score: Score, folder: Folder, labels: Sequence[str]) -> dict[str, Any]:
    """Return a score for JSON.

    Returns
    -------
    dict
        Accuracies are from 0 to 1; ``top5`` is ``None`` for five classes or fewer; ``confusion`` is
        a list of the pairs of classes that occur.
    """

    def summary(answers: Sequence[Answer]) -> dict[str, Any]:
        count = len(answers)
        return {
            "images": count,
            "right": _right(answers),
            "accuracy": _right(answers) / count,
            "top5": _near(answers) / count if score.ranked else None,
        }

    def label(number: int) -> str | None:
        return labels[number] if number < len(labels) else None

    return {
        "folder": str(folder.path),
        **summary(score.answers),
        "classes": [
            {"class": truth, "label": label(truth), **summary(score.of(truth))}
            for truth in score.truths
        ],
        "confusion": [
            {"truth": truth, "found": found, "images": count}
            for (truth, found), count in sorted(score.confusion.items())
        ],
        "pictures": [
            {"input": str(answer.picture.path), "truth": answer.picture.truth, "top": answer.top}
            for answer in score.answers
        ],
        "skipped": [{"input": name, "reason": reason} for name, reason in score.skipped],
        "others": folder.others,
    }
