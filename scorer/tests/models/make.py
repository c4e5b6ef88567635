"""Makes the pickles in this folder, with what scikit-learn itself says about a few readings.

    python make.py NAME     with the scikit-learn to make them with; NAME goes into the files' names
"""
import json
import pickle
import sys

import joblib
import numpy as np
import pandas as pd
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

name = sys.argv[1]
rng = np.random.default_rng(7)
one = rng.normal(50.0, 2.0, (60, 1))
three = rng.normal([10.0, 200.0, -3.0], [1.0, 20.0, 0.1], (80, 3))


def pipeline(scaler=None, **svm):
    return Pipeline([("scaler", scaler or StandardScaler()), ("classifier", OneClassSVM(kernel="rbf", **svm))])


cases = {
    "one": (pipeline(gamma=0.01, nu=0.05), one),
    "scale": (pipeline(gamma="scale", nu=0.1), three),
    "auto": (pipeline(gamma="auto", nu=0.1), three),
    "unscaled": (OneClassSVM(kernel="rbf", gamma=0.5, nu=0.2), one),
    "nostd": (pipeline(StandardScaler(with_std=False), gamma=0.1, nu=0.1), three),
    "passthrough": (Pipeline([("a", "passthrough"), ("b", StandardScaler(with_mean=False)), ("c", OneClassSVM(gamma=1, nu=0.1))]), three),
    "named": (pipeline(gamma=0.2, nu=0.1), pd.DataFrame(three, columns=["flow", "pressure", "heat"])),
    "fortran": (pipeline(gamma=0.2, nu=0.1), np.asfortranarray(three)),
}
expected = {"sklearn": sklearn.__version__, "numpy": np.__version__, "cases": {}}
for case, (model, data) in cases.items():
    model.fit(data)
    data = np.asarray(data)
    spread = data.max(axis=0) - data.min(axis=0)
    probe = rng.uniform(data.min(axis=0) - spread, data.max(axis=0) + spread, (12, data.shape[1]))
    files = []
    for protocol in range(2, 6) if case in ("one", "named") else [4, 5]:
        files.append(f"{name}_{case}_p{protocol}.pkl")
        with open(files[-1], "wb") as out:
            pickle.dump(model, out, protocol=protocol)
    files.append(f"{name}_{case}.joblib")
    joblib.dump(model, files[-1])
    expected["cases"][case] = {
        "files": files,
        "rows": probe.tolist(),
        "decisions": model.decision_function(probe).ravel().tolist(),
        "predictions": model.predict(probe).tolist(),
    }
with open(f"{name}.json", "w") as out:
    json.dump(expected, out)
