"""`[data]` and `[data.split]`: which table, which columns, which rows serve for what."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dlrun.config.section import Allowed, Count, NonNegative, Section, Seed, Share, Text, as_tuple, fault

# Keys about rare things, and the value that leaves all as it is.
_RARE_KEYS = {
    "delimiter": "auto",
    "decimal": "auto",
    "dates": "expand",
    "missing_target": "error",
}  # and what leaves all as it is
_PARTS = ("train", "dev", "test")


class SplitConfig(Section):
    """Shares of the rows for training, choosing and the final test; a part may be 0, training may not."""

    train: Annotated[Share, Allowed("a number > 0 and ≤ 1")] = Field(
        default=0.6, description="share of the rows to fit on"
    )
    dev: Share = Field(default=0.2, description="share of the rows to choose by, as early stopping does")
    test: Share = Field(default=0.2, description="share of the rows for the one figure at the end")
    stratify: bool = Field(
        default=True,
        description="keep each class's share in every part (quantile bins of the target in regression)",
    )

    @model_validator(mode="before")
    @classmethod
    def _left_out_parts_are_zero(cls, given: Any) -> Any:
        if isinstance(given, dict) and any(part in given for part in _PARTS):
            return {"train": 0.0, "dev": 0.0, "test": 0.0} | given
        return given

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> SplitConfig:
        total = math.fsum((self.train, self.dev, self.test))
        if abs(total - 1) > 1e-9:
            raise fault(
                (
                    (),
                    f"train = {self.train!r}, dev = {self.dev!r}, test = {self.test!r} sum to {total:.12g}; "
                    "should sum to 1 (where one is given, those left out are 0), as in "
                    "data.split={train=0.7, dev=0.15, test=0.15}",
                )
            )
        if self.train == 0:  # after the sum, which says more where train is left out
            raise fault((("train",), "should be a number > 0 and ≤ 1"))
        return self


class AugmentConfig(Section):
    """What is done to training rows each time they are seen; all other rows stay as they are."""

    noise: NonNegative = Field(
        default=0.0,
        description="standard deviation of normal noise on the numeric features, in scaled units",
    )
    mirror: Count | None = Field(
        default=None,
        description="the row is a picture of so many pixels a line, and is mirrored left to right every other time",
    )


_Pixels = Annotated[int, Field(ge=1, le=4096)]


class ImageConfig(Section):
    """Rows that are pictures: those of a folder of images, or columns that are pixels."""

    size: (
        Annotated[tuple[_Pixels, _Pixels], as_tuple, Allowed("a list of height and width, each from 1 to 4096")] | None
    ) = Field(
        default=None, description="height and width, to which a folder's pictures are brought; left out: as they are"
    )
    channels: Literal[1, 3] | None = Field(
        default=None, description="1 for grey, 3 for red, green and blue; left out: 3 for a folder, 1 for columns"
    )

    @model_validator(mode="after")
    def _says_something(self) -> ImageConfig:
        if self.size is None and self.channels is None:
            raise fault(((), "should have a size, channels, or both, as in {size = [8, 8], channels = 1}"))
        return self


class DataConfig(Section):
    """The table and what is done to it before training."""

    source: Text = Field(
        description="a packaged set, a generator, or a path: .csv, .tsv (these also as .gz, .bz2, .zip), .parquet, "
        ".npz or .npy, or a folder of images with a folder a class, relative to the experiment file "
        "(a name with an ending or a slash is a path)"
    )
    target: Text | None = Field(
        default=None, description="the column to predict; packaged sets and generators know theirs"
    )
    features: (
        Annotated[
            tuple[Text, ...],
            as_tuple,
            Field(min_length=1),
            Allowed("a list of one or more column names in quotes"),
        ]
        | None
    ) = Field(default=None, description="the columns to predict from; left out: all but target, group and exclude")
    exclude: (
        Annotated[
            tuple[Text, ...],
            as_tuple,
            Field(min_length=1),
            Allowed("a list of one or more column names in quotes"),
        ]
        | None
    ) = Field(default=None, description="columns not to use; features says the same the other way round")
    group: Text | None = Field(default=None, description="a column whose equal values stay in the same part or fold")
    missing: Literal["error", "mean", "drop"] = Field(
        default="error",
        description="empty cells: refuse, fill with the mean of the training rows, or drop the row",
    )
    missing_target: Literal["error", "drop"] = Field(
        default="error", description="rows without a target: refuse, or drop the row; none is ever filled in"
    )
    dates: Literal["expand", "error"] = Field(
        default="expand",
        description="columns of dates: into numbers (NAME.year, .month, .day, .weekday, with times .hour), or refuse",
    )
    normalize: Literal["standard", "minmax", "none"] = Field(
        default="standard",
        description="numeric columns: mean 0 and deviation 1, 0 to 1, or unchanged; fitted on training rows",
    )
    normalize_target: bool | None = Field(
        default=None,
        description="regression: train on the target with mean 0 and deviation 1 (of the training rows) and answer "
        'in its own units; left out: unless normalize = "none"',
    )
    rows: Count | None = Field(default=None, description="generators: how many rows to draw")
    noise: NonNegative | None = Field(default=None, description="generators: how far points stray")
    seed: Seed | None = Field(
        default=None, description="generators: the seed of the draw; left out: the experiment's seed"
    )
    delimiter: Annotated[
        Literal["auto", ",", ";", "\t", "|"], Allowed('one of "auto", ",", ";", "\\t" (a tab), or a vertical bar')
    ] = Field(
        default="auto", description="of a table in text: what stands between its fields; auto: found out, and told"
    )
    decimal: Literal["auto", ".", ","] = Field(
        default="auto", description="of a table in text: the decimal mark; auto: found out, and told"
    )
    image: ImageConfig | None = Field(default=None, description="the rows are pictures")
    stream: bool | None = Field(
        default=None,
        description=".npy and .parquet: leave the rows in the file and read each batch when it is needed; "
        "left out: for tables of more than 256 MB as numbers",
    )
    augment: AugmentConfig | None = Field(default=None, description="data augmentation of training rows")
    split: SplitConfig = Field(default=SplitConfig(), description="shares of the rows")

    def applicable(self) -> frozenset[str]:
        """All keys, but those about rare things where they say nothing."""
        silent = {key for key, plain in _RARE_KEYS.items() if getattr(self, key) == plain}
        return frozenset(type(self).model_fields) - silent

    @model_validator(mode="after")
    def _columns_play_one_part(self) -> DataConfig:
        problems = []
        features = self.features or ()
        twice = sorted({name for name in features if features.count(name) > 1})
        if twice:
            problems.append((("features",), f"names {twice[0]!r} twice; should name a column once"))
        if self.target is not None and self.target in features:
            problems.append((("features",), f"holds {self.target!r}, which is the target; should not"))
        excluded = self.exclude or ()
        if excluded and features:
            problems.append((("exclude",), "stands beside data.features, which names the columns; should be left out"))
        if self.target is not None and self.target in excluded:
            problems.append((("exclude",), f"holds {self.target!r}, which is the target; should not"))
        if self.group is not None and self.group in excluded:
            problems.append((("exclude",), f"holds {self.group!r}, which is data.group; should not"))
        if self.group is not None and self.group == self.target:
            problems.append((("group",), "is the target too; should be another column"))
        if problems:
            raise fault(*problems)
        return self
