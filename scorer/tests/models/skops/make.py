"""Makes the skops files in this folder, with what scikit-learn itself says about a few readings.

    python make.py NAME     with the scikit-learn and skops to make them with; NAME goes into the files' names
"""
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import skops
import skops.io
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDOneClassSVM
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import OneClassSVM

name = sys.argv[1]
rng = np.random.default_rng(7)
one = rng.normal(50.0, 2.0, (40, 1))
three = rng.normal([10.0, 200.0, -3.0], [1.0, 20.0, 0.1], (40, 3))
named = pd.DataFrame(three, columns=["flow", "pressure", "heat"])


def svm(**parameters):
    return OneClassSVM(**{"nu": 0.1, **parameters})


cases = {
    "named": (make_pipeline(StandardScaler(), svm()), named),
    "fortran": (make_pipeline(StandardScaler(with_std=False), svm(gamma="auto")), np.asfortranarray(three)),
    "big_endian": (svm(gamma=0.5), one.astype(">f8")),
    "float32": (make_pipeline(MaxAbsScaler(), svm(kernel="sigmoid", gamma=0.1)), three.astype("f4")),
    "poly": (make_pipeline(MinMaxScaler(clip=True), svm(kernel="poly", degree=2, coef0=1.5)), three),
    "nested": (Pipeline([("a", "passthrough"), ("b", make_pipeline(MinMaxScaler(), RobustScaler())), ("c", svm(kernel="linear"))]), three),
}
columns = [("a", StandardScaler(), ["flow"]), ("b", MinMaxScaler(), slice("pressure", "heat"))]
holes = three.copy()
holes[::7, 1] = np.nan
cases.update({
    "forest": (IsolationForest(n_estimators=3, max_samples=16, max_features=2, random_state=1), named),
    "envelope": (make_pipeline(StandardScaler(), EllipticEnvelope(random_state=1)), three),
    "factor": (make_pipeline(StandardScaler(), LocalOutlierFactor(novelty=True, n_neighbors=5)), three),
    "sgd": (make_pipeline(StandardScaler(), SGDOneClassSVM(random_state=1)), three),
    "imputer": (make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), svm()), holes),
    "pca": (make_pipeline(StandardScaler(), PolynomialFeatures(2), PCA(3, whiten=True, random_state=1), svm()), three),
    "columns": (make_pipeline(ColumnTransformer(columns), svm()), named),
})
expected = {"sklearn": sklearn.__version__, "skops": skops.__version__, "cases": {}}
for case, (model, data) in cases.items():
    try:
        model.fit(data)
        file = f"{name}_{case}.skops"
        # As skops does by default, and compressed.
        compression = zipfile.ZIP_STORED if case == "big_endian" else zipfile.ZIP_DEFLATED
        skops.io.dump(model, file, compression=compression, compresslevel=9)
    except Exception as error:  # what this skops cannot save
        print(f"{case}: {type(error).__name__}: {error}"[:200])
        Path(file).unlink(missing_ok=True)
        continue
    whole = np.nan_to_num(np.asarray(data, dtype=float), nan=200.0)
    spread = whole.max(axis=0) - whole.min(axis=0)
    probe = rng.uniform(whole.min(axis=0) - spread / 3, whole.max(axis=0) + spread / 3, (10, whole.shape[1]))
    if isinstance(data, pd.DataFrame):
        rows = pd.DataFrame(probe, columns=data.columns)
    else:
        rows = probe
    expected["cases"][case] = {
        "files": [file],
        "rows": probe.tolist(),
        "decisions": model.decision_function(rows).ravel().tolist(),
        "predictions": model.predict(rows).tolist(),
    }
with open(f"{name}.json", "w") as out:
    json.dump(expected, out)
