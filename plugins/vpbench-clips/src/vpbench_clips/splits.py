"""Who belongs to which split. It is decided per recording, so that cuts of one video never land in two splits."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vpbench.errors import DataError

from .config import SPLITS, Config
from .recordings import Recording

_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True)
class Rule:
    """How splits are told."""

    of: Callable[
        [str, str, str | None], str | None
    ]  #: (source, name, split by names of arrays) -> split, None: in none
    said: str  #: in words


def rule(root: Path, config: Config, found: Sequence[Recording], unreadable: Iterable[str]) -> Rule:
    """The rule of a config for what was found. Raises DataError for lists that do not fit."""
    sources = dict.fromkeys([*(each.source for each in found), *unreadable])
    lists = _list_files(root)
    how = config.splits
    if how == "auto":
        if config.patterns:
            how = "shares"
        elif any(_folder_split(source) for source in sources):
            how = "folders"
        elif lists:
            how = "lists"
        elif all(each.named_split for each in found):
            how = "keys"
        else:
            how = "shares"
    match how:
        case "folders":
            if not any(map(_folder_split, sources)):
                raise DataError(f"{root} has no folder train, val or test with something in it: --set splits=shares")
            return Rule(lambda source, name, keyed: _folder_split(source), "by folder")
        case "lists":
            if not lists:
                raise DataError(f"{root} has no train.txt, val.txt, test.txt or splits.csv: --set splits=shares")
            return _by_lists(lists, sources)
        case "keys":
            return Rule(lambda source, name, keyed: keyed, "by the names of arrays")
        case "test":
            return Rule(lambda source, name, keyed: "test", "all is test")
    return Rule(lambda source, name, keyed: by_name(name, config), _shares_in_words(config))


def check_disjoint(splits: Mapping[str, Sequence[Recording]]) -> None:
    """Raise DataError where two splits hold the same content under different names."""
    seen: dict[str, tuple[str, Recording]] = {}
    for split, found in splits.items():
        for each in found:
            other, first = seen.setdefault(each.identity, (split, each))
            if other != split:
                raise DataError(
                    f"{first.path} ({other}) and {each.path} ({split}) are the same clip under two names: remove one, "
                    "no model may be trained on what it is tested with"
                )


# ------------------------------------------------------------------------------------------------------ folders, names


def _folder_split(source: str) -> str | None:
    parts = PurePosixPath(source).parts
    first = parts[0] if len(parts) > 1 else PurePosixPath(source).stem  # test/a.avi; test.npy; an image folder test
    return _FOLDERS.get(first)


def by_name(name: str, config: Config) -> str | None:
    """The split of a name: that of the pattern it matches, else one of the others in their shares.

    Raises DataError where two patterns match.
    """
    matched = [split for split, pattern in config.patterns.items() if pattern.search(name)]
    if len(matched) > 1:
        raise DataError(f"{name} is matched by {matched[0]}_if and {matched[1]}_if: a clip is in one split")
    if matched:
        return matched[0]
    rest = {split: share for split, share in zip(SPLITS, config.shares, strict=True) if split not in config.patterns}
    place = position(name) * sum(rest.values())
    for split in reversed(rest):  # test first: whether a clip is tested with depends on the share of no other split
        if place < rest[split]:
            return split
        place -= rest[split]
    return next((split for split, share in rest.items() if share), None)  # rounding; none is left where all were named


def position(name: str) -> float:
    """A number in [0, 1) that is a function of a name alone."""
    return int.from_bytes(hashlib.sha256(b"vpbench-clips/" + os.fsencode(name)).digest()[:6], "big") / 2**48


def _shares_in_words(config: Config) -> str:
    patterns = ", ".join(f"{split}_if={pattern.pattern}" for split, pattern in config.patterns.items())
    return patterns or f"by name in shares of {','.join(f'{share:g}' for share in config.shares)}"


# --------------------------------------------------------------------------------------------------------------- lists


def _list_files(root: Path) -> list[Path]:
    there = [root / f"{split}.txt" for split in SPLITS] + [root / "splits.csv"]
    return [path for path in there if path.is_file()]


def _by_lists(lists: Sequence[Path], sources: Iterable[str]) -> Rule:
    known: dict[str, str] = {}
    sources = list(sources)
    for source in sources:
        known[str(PurePosixPath(source).with_suffix(""))] = source
    known.update({source: source for source in sources})
    told: dict[str, tuple[str, str]] = {}  # source -> split, where it says so
    for path in lists:
        for line, name, split in _csv_lines(path) if path.suffix == ".csv" else _txt_lines(path):
            where = f"{path.name}, line {line}"
            if split not in _FOLDERS:
                raise DataError(f"{path}, line {line}: no split {split!r}: one of {', '.join(SPLITS)}")
            listed = known.get(name.removeprefix("./"))
            if listed is None:
                raise DataError(f"{path}, line {line}: there is no {name} in {path.parent}")
            before, first = told.setdefault(listed, (_FOLDERS[split], where))
            if before != _FOLDERS[split]:
                raise DataError(f"{path}, line {line}: {name} is in split {before} already, by {first}")
    return Rule(
        lambda source, name, keyed: told.get(source, (None, ""))[0],
        f"by {', '.join(path.name for path in lists)}",
    )


def _txt_lines(path: Path) -> Iterable[tuple[int, str, str]]:
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip(), path.stem


def _csv_lines(path: Path) -> Iterable[tuple[int, str, str]]:
    rows = csv.DictReader(_text(path).splitlines())
    if not {"name", "split"} <= set(rows.fieldnames or ()):
        raise DataError(f"{path} must begin with the line name,split")
    for row in rows:
        yield rows.line_num, (row["name"] or "").strip(), (row["split"] or "").strip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}): a list of names in UTF-8 is expected") from error
