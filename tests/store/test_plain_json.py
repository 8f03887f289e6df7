"""Values as JSON has them."""

import json
import math

import numpy as np

from movierec_engine.store.plain_json import plain_json


def test_what_json_does_not_have_becomes_null_and_numbers_of_numpy_pythons() -> None:
    found = plain_json({"a": [math.nan, 1.5, (np.float32(0.5), math.inf)], 7: {"n": np.int64(3), "none": None}})
    assert json.loads(json.dumps(found, allow_nan=False)) == {
        "a": [None, 1.5, [0.5, None]],
        "7": {"n": 3, "none": None},
    }
