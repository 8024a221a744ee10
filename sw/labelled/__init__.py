"""Accuracy of a network on a folder of pictures whose classes are known."""

from sw.labelled.folder import Folder, Picture, class_count, open_folder
from sw.labelled.score import Answer, Score, evaluate
from sw.labelled.tables import lines, score_json

__all__ = [
    "Answer", "Folder", "Picture", "Score", "class_count", "evaluate", "lines", "open_folder",
    "score_json",
]
