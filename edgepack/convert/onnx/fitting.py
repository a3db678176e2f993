"""A linear head fitted on vectors: which class a vector is of; which texts they are of it does not know."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgepack.infra.extras import onnx_extra

INVERSE_STRENGTH = 30.0
"""scikit-learn's C. By all-MiniLM-L6-v2, fitted on 8 of BANKING77's training questions a class and asked 2,500 others
of them: 79.0 % right with C = 1, 81.9 % with 3, 83.3 to 83.8 % with 10 to 300. C = 1 is little for short vectors."""
_ITERATIONS = 1000  # 32 sufficed for 77 classes


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearHead:
    """A score for each class: `matrix` times a vector, and `bias`. Their softmax are probabilities."""

    matrix: npt.NDArray[np.float32]
    """(classes, width)"""
    bias: npt.NDArray[np.float32]


def fit_head(vectors: npt.NDArray[np.float32], answers: Sequence[str], labels: Sequence[str]) -> LinearHead:
    """Logistic regression by scikit-learn, classes in the order of `labels`, each of which is among the answers."""
    with onnx_extra():
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    order = {label: number for number, label in enumerate(labels)}
    classes = [order[answer] for answer in answers]
    assert set(classes) == set(order.values()), "the caller has examples of every label"
    with warnings.catch_warnings():
        # Where it stops early it is a little less than the best: no reason to stop a build.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=INVERSE_STRENGTH, max_iter=_ITERATIONS).fit(vectors.astype(np.float64), classes)
    matrix, bias = fitted.coef_, fitted.intercept_
    if len(labels) == 2:
        # Of two classes it gives the second's score over the first's.
        matrix, bias = np.concatenate([-matrix, matrix]) / 2, np.concatenate([-bias, bias]) / 2
    return LinearHead(matrix=matrix.astype(np.float32), bias=bias.astype(np.float32))


def head_of(matrix: npt.NDArray[np.float32]) -> LinearHead:
    """Without a bias."""
    return LinearHead(matrix=matrix, bias=np.zeros(len(matrix), np.float32))


def library() -> str:
    """Who fits."""
    with onnx_extra():
        import sklearn
    return f"scikit-learn {sklearn.__version__}"
