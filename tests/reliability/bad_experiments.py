"""Experiment files that must be refused."""

from __future__ import annotations

import os
from pathlib import Path

from reliability.cases import IRIS, Bad, below, experiment

WHOLE = "should be a whole number"
LEVELS = "too deep in each other"


def hundred_megabytes(path: Path) -> None:
    """A file with nothing in it but its size."""
    path.touch()
    os.truncate(path, 100_000_000)


EXPERIMENTS = [
    # -- what is no experiment
    Bad(name="empty", arguments=("train", "e.toml"), files={"e.toml": ""}, says=("e.toml", "empty", "should hold")),
    Bad(name="blank", arguments=("train", "e.toml"), files={"e.toml": "\n \n"}, says=("e.toml", "should hold")),
    Bad(name="no data", arguments=("train", "e.toml"), files={"e.toml": "seed = 1\n"}, says=("data.source: missing",)),
    Bad(
        name="Latin-1",
        arguments=("train", "e.toml"),
        files={"e.toml": 'name = "é"\n'.encode("latin-1")},
        says=("e.toml: line 1", "0xe9", "should be UTF-8"),
    ),
    Bad(
        name="UTF-16",
        arguments=("train", "e.toml"),
        files={"e.toml": IRIS.encode("utf-16")},
        says=("e.toml: line 1", "0xff", "should be UTF-8"),
    ),
    Bad(name="binary", arguments=("train", "e.toml"), files={"e.toml": bytes(range(256))}, says=("e.toml", "UTF-8")),
    Bad(
        name="a NUL",
        arguments=("train", "e.toml"),
        files={"e.toml": "seed = \0 1\n"},
        says=("e.toml: line 1, column 8", "not valid TOML"),
    ),
    Bad(
        name="a folder",
        arguments=("train", "e.toml"),
        files={"e.toml": lambda path: path.mkdir()},
        says=("e.toml", "is a folder", "should be an experiment file"),
    ),
    Bad(
        name="a FIFO",
        arguments=("train", "e.toml"),
        files={"e.toml": os.mkfifo},
        says=("e.toml", "is a pipe", "save the experiment"),
    ),
    Bad(
        name="a device that never ends",
        arguments=("train", "/dev/zero"),
        says=("/dev/zero", "a device", "save the experiment"),
    ),
    Bad(
        name="a broken link",
        arguments=("train", "e.toml"),
        files={"e.toml": lambda path: path.symlink_to("nothing")},
        says=("e.toml", "no such file", "should be an experiment file"),
    ),
    Bad(
        name="a link to itself",
        arguments=("train", "e.toml"),
        files={"e.toml": lambda path: path.symlink_to("e.toml")},
        says=("e.toml", "symbolic links", "should be a readable file"),
    ),
    Bad(
        name="100 MB",
        arguments=("train", "e.toml"),
        files={"e.toml": hundred_megabytes},
        says=("e.toml", "100000000 bytes", "at most 1000000"),
    ),
    Bad(
        name="JSON", arguments=("train", "e.toml"), files={"e.toml": '{"data": {}}'}, says=("line 1", "not valid TOML")
    ),
    Bad(name="YAML", arguments=("train", "e.toml"), files={"e.toml": "data:\n  source: iris\n"}, says=("line 1",)),
    # -- syntax
    experiment("no value", "seed =", "line 1, column 7", "not valid TOML"),
    experiment("two equals signs", "seed == 1", "line 1, column 7", "not valid TOML"),
    experiment("a key twice", "seed = 1\nseed = 2", "line 2", "not valid TOML", "the key seed is given twice"),
    experiment("an open list", "model.hidden = [1, 2", "line 2", "not valid TOML"),
    experiment("an open text", 'name = "a', "line 1", "not valid TOML", "closing quote"),
    experiment("a table twice", '[data]\nsource = "a"', "line 3", "not valid TOML"),
    experiment("an impossible date", "seed = 1979-13-27", "line 1", "not valid TOML"),
    experiment("a lone surrogate", 'name = "\\ud800"', "line 1", "not valid TOML"),
    experiment("a control character", 'name = "\x1b"', "line 1", r"'\x1b'"),
    # -- bombs
    experiment("lists in lists", "model.hidden = " + "[" * 100_000, LEVELS, "should be"),
    experiment("tables in tables", "x = " + "{a=" * 3000 + "1" + "}" * 3000, LEVELS, "should be"),
    experiment("a key of 100 000 parts", ".".join("a" * 100_000) + " = 1", "line 1", "more than 50 parts", "such as"),
    experiment("a quoted key of 5000 parts", ".".join(['"a b"'] * 5000) + " = 1", "line 1", "more than 50 parts"),
    below("a table of 50 000 parts", "[" + ".".join("a" * 50_000) + "]", "line 3", "more than 50 parts", "such as"),
    experiment("a key of 900 000 letters", "k" * 900_000 + " = 1", "unknown key", "an experiment has name, seed"),
    experiment("20 000 keys", "\n".join(f"k{n} = 1" for n in range(20_000)), "problems and perhaps more", "k0 = 1"),
    experiment("400 000 numbers", "model.hidden = [" + "1," * 400_000 + "]", "model.hidden", "one per hidden layer"),
    experiment("a number of 5000 digits", "seed = " + "9" * 5000, "line 1", "5000 digits", "at most 19"),
    experiment("a number of 5000 hexadecimal digits", "seed = 0x" + "f" * 5000, "seed = 0xffff", WHOLE),
    # -- misspelt
    experiment("a misspelt key", "optimizer.lerning_rate = 1", "optimizer.lerning_rate = 1", "optimizer.learning_rate"),
    experiment("a misspelt table", "optimiser.name = 'adam'", "optimiser", "nearest known one is optimizer"),
    experiment("a key of another table", "training.learning_rate = 1", "nearest known one is optimizer.learning_rate"),
    experiment("a dash for _", "optimizer.learning-rate = 1", "nearest known one is optimizer.learning_rate"),
    experiment(
        "a key with a control character", '"a\\u001b[2J" = 1', r'"a\u001b[2J" = 1', "an experiment has name, seed"
    ),
    experiment("a misspelt choice", 'optimizer.name = "adm"', 'optimizer.name = "adm"', '"adam"'),
    experiment("a misspelt decay", 'optimizer.decay.name = "inverse"', '"inverse_time"'),
    experiment("a misspelt activation", 'model.activation = "rely"', 'model.activation = "rely"', '"relu"'),
    experiment("a misspelt task", 'task = "classify"', 'task = "classify"', '"classification"'),
    # -- types
    experiment("a text for a number", 'optimizer.learning_rate = "fast"', 'learning_rate = "fast"', "a number > 0"),
    experiment("a truth value for a number", "seed = true", "seed = true", WHOLE),
    experiment("a number for a truth value", "model.bias = 1", "model.bias = 1", "true or false"),
    experiment("a fraction for a whole number", "training.epochs = 1.5", "training.epochs = 1.5", WHOLE),
    experiment("a date for a number", "seed = 1979-05-27", "seed = 1979-05-27", WHOLE),
    experiment("a time for a number", "optimizer.beta1 = 07:32:00", "optimizer.beta1 = 07:32:00", "a number"),
    experiment("a number for a table", "model = 5", "model = 5", "should be a table"),
    experiment("a list for a table", "model = [5]", "model = [5]", "should be a table"),
    experiment("a table for a number", "seed = {a = 1}", "seed = {a = 1}", WHOLE),
    experiment("a number for a list", "model.hidden = 5", "model.hidden = 5", "should be a list"),
    experiment("a list in a list", "model.hidden = [[1]]", "model.hidden = [[1]]", "should be a list"),
    experiment("texts in a list of numbers", 'model.hidden = ["a"]', 'model.hidden = ["a"]', "should be a list"),
    experiment("a list for a text", "name = ['a']", 'name = ["a"]', "letters"),
    # -- ranges
    experiment("seed -1", "seed = -1", "seed = -1", "from 0 to"),
    experiment("a seed of 65 bits", "seed = 18446744073709551616", "seed = 18446744073709551616", "from 0 to"),
    experiment("learning rate 0", "optimizer.learning_rate = 0", "optimizer.learning_rate = 0", "a number > 0"),
    experiment("learning rate -1", "optimizer.learning_rate = -1", "optimizer.learning_rate = -1", "a number > 0"),
    experiment("learning rate nan", "optimizer.learning_rate = nan", "learning_rate = nan", "should be finite"),
    experiment("learning rate inf", "optimizer.learning_rate = inf", "learning_rate = inf", "should be finite"),
    experiment("learning rate 1e400", "optimizer.learning_rate = 1e400", "learning_rate = inf", "should be finite"),
    experiment("beta1 = 1", "optimizer.beta1 = 1.0", "optimizer.beta1 = 1.0", "≥ 0 and < 1"),
    experiment("epsilon 0", "optimizer.epsilon = 0.0", "optimizer.epsilon = 0.0", "> 0"),
    experiment("batch 0", "training.batch_size = 0", "training.batch_size = 0", "from 1 to"),
    experiment("batch -5", "training.batch_size = -5", "training.batch_size = -5", "from 1 to"),
    experiment("batch 1e11", "training.batch_size = 100000000000", "batch_size = 100000000000", "to 1000000000"),
    experiment("batch of a word", 'training.batch_size = "ful"', 'training.batch_size = "ful"', 'or "full"'),
    experiment("epochs -1", "training.epochs = -1", "training.epochs = -1", "from 0 to"),
    experiment("epochs 1e13", "training.epochs = 10000000000000", "10000000000000", "from 0 to"),
    experiment("patience 0", "training.early_stopping.patience = 0", "patience = 0", "from 1 to"),
    experiment("a layer of 0", "model.hidden = [3, 0]", "model.hidden = [3, 0]", "from 1 to"),
    experiment("a layer of a million", "model.hidden = [1000000]", "model.hidden = [1000000]", "from 1 to 100000"),
    experiment("2000 layers", f"model.hidden = {[1] * 2000}", "model.hidden", "one per hidden layer"),
    experiment("keep_prob 0", "model.keep_prob = 0.0", "model.keep_prob = 0.0", "> 0 and ≤ 1"),
    experiment("keep_prob 1.5", "model.keep_prob = 1.5", "model.keep_prob = 1.5", "> 0 and ≤ 1"),
    experiment("l2 -1", "regularization.l2 = -1", "regularization.l2 = -1", "≥ 0"),
    experiment("degree 100", 'model.feature_map = {name = "polynomial", degree = 100}', "degree = 100", "from 1 to 20"),
    experiment("an empty name", 'name = ""', 'name = ""', "letters"),
    experiment("a long name", f'name = "{"n" * 65}"', 'name = "nnn', "1 to 64"),
    experiment("no manual rates", 'optimizer.decay.name = "manual"', "optimizer.decay.values", "needs a table"),
    experiment(
        "epoch 0 of manual rates",
        'optimizer.decay = {name = "manual", values = {0 = 0.1}}',
        "optimizer.decay.values",
        "epochs (≥ 1)",
    ),
    below("shares above 1", "[data.split]\ntrain = 0.9\ntest = 0.9", "1.8", "should sum to 1"),
    below("a negative share", "[data.split]\ntrain = 1.2\ntest = -0.2", "data.split.test = -0.2", "from 0 to 1"),
    below("no training rows", "[data.split]\ntest = 1.0", "data.split.train", "> 0 and ≤ 1"),
    below("a share that is no number", "[data.split]\ntrain = nan\ntest = 0.5", "data.split.train = nan", "finite"),
    # -- keys that do not go together
    experiment(
        "keep_prob for other layers", "model.keep_prob = [0.5, 0.5]\nmodel.hidden = [3]", "length 2", "length 1"
    ),
    experiment("a loss of the other task", 'task = "regression"\nmodel.loss = "cross_entropy"', "model.loss", "huber"),
    experiment(
        "a baseline of the other task", 'task = "classification"\nmodel.kind = "mean"', "model.kind", "majority"
    ),
    experiment("weight decay without adamw", "optimizer.weight_decay = 0.1", "weight_decay = 0.1", '"adamw"'),
    experiment("a key of another decay", "optimizer.decay.rate = 1.0", "optimizer.decay.rate", "takes no other key"),
    below(
        "stopping without a dev part", "[data.split]\ntrain = 1.0\n[training.early_stopping]", "dev part", "left out"
    ),
    below("a feature twice", 'features = ["a", "a"]', "data.features", 'names "a" twice'.replace('"', "'")),
    below("the target as a feature", 'features = ["species"]\ntarget = "species"', "data.features", "should not"),
    below("no feature", "features = []", "data.features = []", "one or more"),
    Bad(
        name="rows of a packaged set",
        arguments=("train", "e.toml"),
        files={"e.toml": IRIS + "rows = 5\n"},
        says=("data.rows = 5", "'iris'", "leave it out"),
    ),
    # -- spaces
    below("an unknown range", "[tune.space]\n'optimizer.beta1' = {unifrm = [0, 1]}", "unifrm", '"uniform"'),
    below("a range upside down", "[tune.space]\n'optimizer.beta1' = {uniform = [1, 0]}", "low < high"),
    below("a range of one number", "[tune.space]\n'optimizer.beta1' = {uniform = [1]}", "two numbers"),
    below("a range of infinity", "[tune.space]\n'optimizer.beta1' = {uniform = [0, inf]}", "finite"),
    below("a range outside its key", "[tune.space]\n'optimizer.beta1' = {uniform = [0, 5]}", "does not fit"),
    below("a space over no key", "[tune.space]\n'optimizer.beta3' = {uniform = [0, 0.5]}", "optimizer.beta"),
    below("a space over the name", "[tune.space]\nname = {choice = ['a', 'b']}", "cannot be varied"),
    below(
        "100 000 choices",
        f"[tune.space]\nseed = {{choice = {list(range(100_000))}}}",
        "tune.space.seed",
        "at most 1000 values",
    ),
]
