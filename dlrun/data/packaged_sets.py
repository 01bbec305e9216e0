"""The data sets that come with dlrun; `datasets/NAME.md` is the card of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PackagedSet:
    """What `dlrun list` shows of a set, and the target that it has by default."""

    description: str
    target: str
    task: Literal["classification", "regression"]


PACKAGED = {
    "blood_fat": PackagedSet("25 people: weight and age, and the fat in the blood", "blood_fat", "regression"),
    "breast_cancer": PackagedSet(
        "569 cell samples, 30 measures of their nuclei: malignant or benign", "diagnosis", "classification"
    ),
    "diabetes": PackagedSet(
        "442 patients, 10 measures: how far the disease went on within a year", "progression", "regression"
    ),
    "digits": PackagedSet("1797 handwritten digits of 8 × 8 pixels", "digit", "classification"),
    "iris": PackagedSet("150 flowers of three species, 4 measures", "species", "classification"),
    "wine": PackagedSet("178 wines of three growers, 13 chemical measures", "cultivar", "classification"),
    "xor": PackagedSet("the four rows of exclusive or", "output", "classification"),
}
