"""Makes a model of every supported kind, with what scikit-learn itself says about a few readings.

    python estimators.py NAME FOLDER         the few files that are kept in the repository
    python estimators.py NAME FOLDER SEED    every kind in every file format, from other data

NAME goes into the files' names. Works with scikit-learn 0.19 and newer.
"""
import json
import os
import pickle
import sys

import numpy as np
import pandas as pd
import sklearn
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import OneClassSVM

try:
    import joblib
except ImportError:
    from sklearn.externals import joblib

name, folder = sys.argv[1], sys.argv[2]
seed = int(sys.argv[3]) if len(sys.argv) > 3 else None
version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
rng = np.random.RandomState(7 if seed is None else seed)
n = 30 if seed is None else int(rng.randint(40, 200))
data = rng.normal([10.0, 200.0, -3.0], [1.0, 20.0, 0.1], (n, 3))
frame = pd.DataFrame(data, columns=["flow", "pressure", "heat"])
holes = np.where(rng.uniform(size=data.shape) < 0.1, np.nan, data)
tree = dict(n_estimators=4 if seed is None else 20, max_samples=12 if seed is None else 30, random_state=3)
svm = dict(gamma=0.3, nu=0.15)


def edited(model, **attributes):
    """A fitted model with round numbers, so that a reading lies exactly on its boundary."""
    for attribute, value in attributes.items():
        setattr(model, attribute, value)
    return model


def at_boundary(model, row):
    return edited(model, offset_=model.score_samples(row)[0])


cases = {
    "svm_linear": (make_pipeline(StandardScaler(), OneClassSVM(kernel="linear", nu=0.2)).fit(data), []),
    "svm_poly": (make_pipeline(StandardScaler(), OneClassSVM(kernel="poly", degree=3, coef0=0.5, **svm)).fit(data), []),
    "svm_sigmoid": (make_pipeline(StandardScaler(), OneClassSVM(kernel="sigmoid", gamma=0.05, coef0=0.1, nu=0.2)).fit(data), []),
    "svm_single": (make_pipeline(StandardScaler(), OneClassSVM(**svm)).fit(data.astype(np.float32)), []),
    "robust": (make_pipeline(RobustScaler(), OneClassSVM(**svm)).fit(data), []),
    "robust_plain": (make_pipeline(RobustScaler(with_centering=False), OneClassSVM(gamma=0.01, nu=0.1)).fit(data), []),
    "minmax": (make_pipeline(MinMaxScaler((-1, 2)), OneClassSVM(**svm)).fit(data), []),
    "maxabs": (make_pipeline(MaxAbsScaler(), OneClassSVM(gamma=20.0, nu=0.1)).fit(data), []),
    "poly": (make_pipeline(StandardScaler(), PolynomialFeatures(3), OneClassSVM(gamma=0.01, nu=0.1)).fit(data), []),
    "poly_interactions": (
        make_pipeline(StandardScaler(), PolynomialFeatures(2, interaction_only=True, include_bias=False), OneClassSVM(**svm)).fit(data),
        [],
    ),
    "pca": (make_pipeline(StandardScaler(), PCA(2, random_state=0), OneClassSVM(**svm)).fit(data), []),
    "pca_whiten": (make_pipeline(PCA(3, whiten=True, random_state=0), OneClassSVM(**svm)).fit(data), []),
    "nested": (make_pipeline(make_pipeline(StandardScaler(), MinMaxScaler()), OneClassSVM(**svm)).fit(data), []),
    "forest": (IsolationForest(contamination=0.1, **tree).fit(data), []),
    "forest_subset": (make_pipeline(StandardScaler(), IsolationForest(max_features=2, contamination=0.2, **tree)).fit(data), []),
    "forest_bootstrap": (
        IsolationForest(bootstrap=True, n_estimators=3, max_samples=8, random_state=np.random.RandomState(1)).fit(data),
        [],
    ),
    "envelope": (EllipticEnvelope(contamination=0.1, random_state=0).fit(data), []),
    "envelope_scaled": (make_pipeline(StandardScaler(), EllipticEnvelope(random_state=0)).fit(data), []),
}
one = data[:, :1]
cases["svm_big_endian"] = (OneClassSVM(**svm).fit(one), [])
line = OneClassSVM(kernel="linear", nu=0.5).fit(np.array([[1.0], [2.0], [3.0], [4.0]]))
weights = np.ones((1, len(line.support_)))
rho = np.array([-float(line.support_vectors_.sum())])
line.__dict__.update(_dual_coef_=weights, dual_coef_=weights, _intercept_=rho, intercept_=rho)
cases["svm_boundary"] = (line, [[1.0], [1.0 + 2.0 ** -40], [1.0 - 2.0 ** -40]])
if version >= (0, 20):
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer

    for strategy in ("mean", "median", "most_frequent", "constant"):
        steps = (SimpleImputer(strategy=strategy), StandardScaler(), OneClassSVM(**svm))
        cases["imputer_" + strategy] = (make_pipeline(*steps).fit(holes), [[None, 205.0, -3.1], [10.5, None, None]])
    cases["imputer_number"] = (
        make_pipeline(SimpleImputer(missing_values=-999), StandardScaler(), OneClassSVM(**svm)).fit(data),
        [[-999.0, 205.0, -3.1]],
    )
    parts = [("a", StandardScaler(), [2, 0]), ("b", "passthrough", [1])]
    cases["columns"] = (make_pipeline(ColumnTransformer(parts), MinMaxScaler(), OneClassSVM(**svm)).fit(data), [])
    parts = [("a", make_pipeline(SimpleImputer(), StandardScaler(), PolynomialFeatures(2)), slice(0, 2))]
    cases["columns_remainder"] = (
        make_pipeline(ColumnTransformer(parts, remainder=RobustScaler()), OneClassSVM(**svm)).fit(data),
        [],
    )
    parts = [("a", MaxAbsScaler(), [True, False, True]), ("b", "drop", np.array([False, True, False]))]
    cases["columns_mask"] = (make_pipeline(ColumnTransformer(parts), OneClassSVM(gamma=5.0, nu=0.1)).fit(data), [])
    if seed is not None:
        for case, selected in (
            ("step", slice(0, 3, 2)),
            ("back", slice(2, None, -1)),
            ("back_to", slice(-1, -3, -1)),
            ("back_step", slice(50, None, -2)),
            ("past", slice(-50, 50, 1)),
            ("one", slice(-2, -1)),
        ):
            parts = [("a", StandardScaler(), selected), ("b", MinMaxScaler(), slice(0, 1))]
            cases["columns_slice_" + case] = (make_pipeline(ColumnTransformer(parts), OneClassSVM(**svm)).fit(data), [])
    factor = dict(novelty=True, n_neighbors=5)
    cases["factor"] = (make_pipeline(StandardScaler(), LocalOutlierFactor(contamination=0.1, **factor)).fit(data), [])
    cases["factor_manhattan"] = (LocalOutlierFactor(metric="manhattan", algorithm="ball_tree", **factor).fit(data), [])
    cases["factor_minkowski"] = (LocalOutlierFactor(p=3, algorithm="kd_tree", **factor).fit(data), [])
    cases["factor_p"] = (LocalOutlierFactor(metric="p", p=3, algorithm="kd_tree", **factor).fit(data), [])
    cases["factor_brute"] = (LocalOutlierFactor(metric="chebyshev", algorithm="brute", **factor).fit(data), [])
    grid = np.arange(12.0).reshape(-1, 1) ** 2
    cases["factor_boundary"] = (
        at_boundary(LocalOutlierFactor(novelty=True, n_neighbors=2).fit(grid), [[20.0]]),
        [[20.0], [21.0], [19.0], [500.0]],
    )
if version >= (0, 22):
    cases["forest_boundary"] = (at_boundary(IsolationForest(**tree).fit(data), data[:1]), data[:5].tolist())
    cases["envelope_boundary"] = (
        edited(EllipticEnvelope(random_state=0).fit(data[:, :2]), location_=np.zeros(2), precision_=np.eye(2), offset_=-25.0),
        [[3.0, 4.0], [-5.0, 0.0], [3.0, 4.0 + 2.0 ** -40], [3.0, 4.0 - 2.0 ** -40]],
    )
if version >= (0, 24):
    cases["minmax_clip"] = (make_pipeline(MinMaxScaler(clip=True), OneClassSVM(**svm)).fit(data), [])
if version >= (1, 0):
    from sklearn.compose import make_column_selector
    from sklearn.linear_model import SGDOneClassSVM

    cases["sgd"] = (make_pipeline(StandardScaler(), SGDOneClassSVM(nu=0.2, random_state=0)).fit(data), [])
    cases["sgd_average"] = (SGDOneClassSVM(nu=0.2, average=True, random_state=0).fit(data), [])
    cases["sgd_boundary"] = (
        edited(SGDOneClassSVM(random_state=0).fit(one), coef_=np.array([2.0]), offset_=np.array([1.0])),
        [[0.5], [0.5 + 2.0 ** -40], [0.5 - 2.0 ** -40]],
    )
    parts = [("a", StandardScaler(), ["heat", "flow"]), ("b", MinMaxScaler(), slice("pressure", "heat"))]
    cases["columns_named"] = (make_pipeline(ColumnTransformer(parts), OneClassSVM(**svm)).fit(frame), [])
    parts = [("a", RobustScaler(), make_column_selector(dtype_include=np.number))]
    cases["columns_selected"] = (make_pipeline(ColumnTransformer(parts), OneClassSVM(**svm)).fit(frame), [])
    cases["poly_range"] = (
        make_pipeline(StandardScaler(), PolynomialFeatures((2, 3), include_bias=False), OneClassSVM(gamma=0.01, nu=0.1)).fit(data),
        [],
    )

pickles = [protocol for protocol in (2, 3, 4, 5) if protocol <= pickle.HIGHEST_PROTOCOL]
# joblib has the others in Python 3 only.
compressions = [("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)][: 5 if sys.version_info > (3,) else 3]


def write(model, case, which):
    files = []
    for protocol in pickles:
        if which is None or which == protocol:
            files.append("{}_{}_p{}.pkl".format(name, case, protocol))
            with open(os.path.join(folder, files[-1]), "wb") as out:
                pickle.dump(model, out, protocol=protocol)
    if which is None or which == "joblib":
        files.append("{}_{}.joblib".format(name, case))
        joblib.dump(model, os.path.join(folder, files[-1]))
    for compression in compressions:
        if which is None or which == compression[0]:
            files.append("{}_{}.joblib.{}".format(name, case, compression[0]))
            joblib.dump(model, os.path.join(folder, files[-1]), compress=compression)
    return files


trained_on = {"svm_big_endian": one, "envelope_boundary": data[:, :2]}
for case, of in (("svm_boundary", [[1.0], [4.0]]), ("factor_boundary", [[0.0], [121.0]]), ("sgd_boundary", [[0.0], [1.0]])):
    trained_on[case] = np.array(of)
expected = {"sklearn": sklearn.__version__, "numpy": np.__version__, "cases": {}}
for i, (case, (model, extra)) in enumerate(sorted(cases.items())):
    few = pickles[-1:] + [2, "joblib", "zlib", "gzip", "bz2", "xz", "lzma"]
    trained = trained_on.get(case, data)
    spread = trained.max(axis=0) - trained.min(axis=0)
    probe = rng.uniform(trained.min(axis=0) - spread / 2, trained.max(axis=0) + spread / 2, (6 if seed is None else 40, trained.shape[1])).round(3)
    rows = np.array([[np.nan if x is None else x for x in row] for row in probe.tolist() + extra])
    shown = pd.DataFrame(rows, columns=frame.columns) if case in ("columns_named", "columns_selected") else rows
    decisions, predictions = model.decision_function(shown).ravel(), model.predict(shown).ravel()
    if case == "svm_big_endian":
        for attribute in ("support_vectors_", "_dual_coef_"):
            setattr(model, attribute, getattr(model, attribute).astype(">f8"))
    expected["cases"][case] = {
        "files": write(model, case, None if seed is not None else few[i % len(few)]),
        "rows": [[None if np.isnan(x) else x for x in row] for row in rows.tolist()],
        "decisions": [float(decision) for decision in decisions],
        "predictions": [int(prediction) for prediction in predictions],
    }
with open(os.path.join(folder, "{}.json".format(name)), "w") as out:
    json.dump(expected, out, sort_keys=True)
