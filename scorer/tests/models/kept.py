"""What zeros.py and ties.py share: what they are told, and how each model is kept beside what scikit-learn says of readings."""
import json
import os
import sys

import numpy as np
import sklearn

try:
    import joblib
except ImportError:
    from sklearn.externals import joblib


def arguments():
    """NAME, FOLDER, and SEED or None."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None


def write(name, folder, cases, shift):
    """Writes fitted models, and what they say of their readings and of these moved by shift(case)."""
    expected = {"sklearn": sklearn.__version__, "numpy": np.__version__, "cases": {}}
    for case, (model, rows) in sorted(cases.items()):
        rows = np.unique(rows, axis=0)
        rows = np.vstack([rows, rows + shift(case)])
        file = "{}_{}.joblib".format(name, case)
        joblib.dump(model, os.path.join(folder, file), compress=("zlib", 9))
        expected["cases"][case] = {
            "files": [file],
            # As texts, for their last bits.
            "rows": [[repr(x) for x in row] for row in rows.tolist()],
            "decisions": [float(decision) for decision in model.decision_function(rows).ravel()],
            "predictions": [int(prediction) for prediction in model.predict(rows)],
        }
    with open(os.path.join(folder, "{}.json".format(name)), "w") as out:
        json.dump(expected, out, sort_keys=True)
