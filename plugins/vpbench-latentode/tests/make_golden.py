"""Write golden/ anew for the weights that the spec names: ``python tests/make_golden.py``. Look at the diff then."""

from __future__ import annotations

import json

from test_golden import GOLDEN, SPEC, config_of, golden_path, prediction, times_of


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.glob("*.json"):
        path.unlink()
    for weights in SPEC.weights:
        content = {
            "sha256": weights.sha256,
            "times": times_of(weights),
            "block_means": prediction(weights, config_of(weights)).round(5).tolist(),
        }
        golden_path(weights).write_text(json.dumps(content) + "\n", encoding="utf-8")
        print(golden_path(weights))


if __name__ == "__main__":
    main()
