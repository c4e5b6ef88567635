"""Makes models with a PCA where rounding counts: fitted to readings of 32 bits, and whitened with a component of almost no
variance; with what scikit-learn says, and how far rounding may take it from that.

    python pca.py NAME FOLDER

NAME goes into the files' names. Works with scikit-learn 1.0 and newer.
"""
import json
import os
import pickle
import sys

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

name, folder = sys.argv[1], sys.argv[2]
rng = np.random.RandomState(11)
data = rng.normal([10.0, 200.0, -3.0], [1.0, 20.0, 0.1], (60, 3))
machine = dict(gamma=0.3, nu=0.15)


def beside(apart):
    """Two features, and their sum but for this deviation."""
    pairs = rng.normal([1.0, 2.0], [1.0, 0.5], (60, 2))
    return np.column_stack([pairs, pairs.sum(axis=1) + apart * rng.normal(size=60)])


def whitened():
    return make_pipeline(PCA(3, whiten=True, svd_solver="full"), OneClassSVM(**machine))


flat, flatter, level = beside(1e-4), beside(1e-8), beside(0.0)
cases = {
    # In 32 bits from the beginning to the end, or only as far as the fit goes.
    "single": (make_pipeline(StandardScaler(), PCA(2), OneClassSVM(**machine)).fit(data.astype(np.float32)), data, 1e-5),
    "single_raw": (make_pipeline(PCA(2), OneClassSVM(gamma=0.003, nu=0.15)).fit(data.astype(np.float32)), data, 1e-5),
    "whiten_single": (whitened().fit(data.astype(np.float32)), data, 1e-3),
    "whiten_flat": (whitened().fit(flat), flat, 1e-9),
    "whiten_flatter": (whitened().fit(flatter), flatter, 1e-6),
    # Without any variance, what is off the plane is infinitely far from it, and rounding decides about what is on it.
    "whiten_level": (whitened().fit(level), None, 1e-9),
}
expected = {"sklearn": sklearn.__version__, "numpy": np.__version__, "cases": {}}
for case, (model, on, tolerance) in sorted(cases.items()):
    rows = level[:8] + [0.0, 0.0, 0.1] if on is None else np.vstack([on[:12], on[:4] * 1.05])
    file = "{}_{}.pkl".format(name, case)
    with open(os.path.join(folder, file), "wb") as out:
        pickle.dump(model, out, protocol=4)
    expected["cases"][case] = {
        "files": [file],
        "rows": [[repr(x) for x in row] for row in rows.tolist()],
        "decisions": [float(decision) for decision in model.decision_function(rows)],
        "predictions": [int(prediction) for prediction in model.predict(rows)],
        "tolerance": tolerance,
    }
with open(os.path.join(folder, "{}.json".format(name)), "w") as out:
    json.dump(expected, out, sort_keys=True)
