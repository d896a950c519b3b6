"""What the documentation says is what the program does."""

from pathlib import Path

from vpbench.errors import ExitCode

ROOT = Path(__file__).parents[1]


def test_every_exit_code_is_documented():
    rows = (ROOT / "docs" / "exit-codes.md").read_text().splitlines()
    documented = {int(row.split("|")[1]): row.split("|")[2].strip() for row in rows if row.startswith("| ") and row[2].isdigit()}
    assert documented == {code.value: code.name for code in ExitCode}
