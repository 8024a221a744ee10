"""Score of a network: what the golden model says of each picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from common import progress
from common.errors import InputError
from sw import golden, images
from sw.inference import Run
from sw.ir import Graph
from sw.labelled.folder import Folder, Picture
from sw.outputs.classes import TOP

__all__ = ["Answer", "Score", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Answer to a picture.

    Attributes
    ----------
    picture : Picture
    top : list of int
        Classes, best first: up to five.
    """

    picture: Picture
    top: list[int]

    @property
    def right(self) -> bool:
        """Whether the best class is the picture's."""
        return self.top[0] == self.picture.truth

    @property
    def near(self) -> bool:
        """Whether the picture's class is among the five best."""
        return self.picture.truth in self.top


@dataclass(kw_only=True)
class Score:
    """Answers to all pictures of a folder.

    Attributes
    ----------
    classes : int
        That the network tells apart.
    answers : list of Answer
    skipped : list of (str, str)
        Files that cannot be read, and why.
    """

    classes: int
    answers: list[Answer] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def truths(self) -> list[int]:
        """Classes that there are pictures of, by number."""
        return sorted({answer.picture.truth for answer in self.answers})

    @property
    def ranked(self) -> bool:
        """Whether the five best classes say more than the best one."""
        return self.classes > TOP and all(len(answer.top) == TOP for answer in self.answers)

    @property
    def confusion(self) -> Counter[tuple[int, int]]:
        """Pictures by (true class, class found)."""
        return Counter((answer.picture.truth, answer.top[0]) for answer in self.answers)

    def of(self, truth: int) -> list[Answer]:
        """Return the answers to the pictures of a class."""
        return [answer for answer in self.answers if answer.picture.truth == truth]


def evaluate(graph: Graph, folder: Folder, classes: int) -> Score:
    """Run the golden model on every picture of a folder.

    Parameters
    ----------
    graph : Graph
        A classifier (:func:`sw.labelled.class_count`).
    folder : Folder
    classes : int

    Raises
    ------
    InputError
        If no picture can be read.
    """
    score = Score(classes=classes)
    pictures = folder.pictures
    for picture in progress.each(
        pictures, "golden model", total=len(pictures), unit="pictures"
    ):
        try:
            x = images.load(picture.path, graph)
        except InputError as error:
            score.skipped.append((str(picture.path), str(error)))
            continue
        output = golden.run(graph, x)[graph.outputs[0]]
        top = Run(input=str(picture.path), outputs=[output]).top()
        score.answers.append(Answer(picture=picture, top=top))
    if not score.answers:
        raise InputError(f"{folder.path}: none of its pictures can be read: {score.skipped[0][1]}")
    return score
