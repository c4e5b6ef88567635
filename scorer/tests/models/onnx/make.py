"""Makes the ONNX files in this folder, with what ONNX Runtime and scikit-learn say about a few readings.

    python make.py NAME FOLDER         the few files that are kept in the repository
    python make.py NAME FOLDER SEED    the same from other, and more, data

NAME goes into the files' names. Works with skl2onnx 1.7 and newer.
"""
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import skl2onnx
import sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from sklearn.compose import ColumnTransformer
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PolynomialFeatures, RobustScaler, StandardScaler
from sklearn.svm import OneClassSVM

warnings.filterwarnings("ignore")
name, folder = sys.argv[1], Path(sys.argv[2])
seed = int(sys.argv[3]) if len(sys.argv) > 3 else None
rng = np.random.RandomState(7 if seed is None else seed)
n = 24 if seed is None else int(rng.randint(40, 120))
# Steps of 1/64: numbers that are the same in 32 bits.
data = (rng.normal([10.0, 50.0, -3.0], [1.0, 10.0, 0.5], (n, 3)) * 64).round() / 64
named = pd.DataFrame(data, columns=["flow", "pressure", "heat"])
holes = np.where(rng.uniform(size=data.shape) < 0.1, np.nan, data)
whole = data.round()
tree = dict(n_estimators=3 if seed is None else 20, max_samples=8 if seed is None else 33, random_state=3)


def svm(**parameters):
    return OneClassSVM(**dict(dict(gamma=0.3, nu=0.15), **parameters))


def scaled(*steps):
    return make_pipeline(StandardScaler(), *steps)


# Model, training data, and what to convert with: type of the input, target_opset, options.
cases = {
    "svm_rbf": (scaled(svm()), data, {}),
    "svm_alone": (svm(gamma=0.02), data, {}),
    "svm_linear": (scaled(svm(kernel="linear")), data, {}),
    "svm_poly": (scaled(svm(kernel="poly", degree=3, coef0=0.5)), data, {}),
    "svm_sigmoid": (scaled(svm(kernel="sigmoid", gamma=0.05, coef0=0.1)), data, {}),
    "svm_double": (scaled(svm()), data, {"type": DoubleTensorType}),
    "svm_whole": (make_pipeline(MinMaxScaler(), svm()), whole, {"type": Int64TensorType}),
    "nostd": (make_pipeline(StandardScaler(with_std=False), svm(gamma=0.02)), data, {}),
    "nomean": (make_pipeline(StandardScaler(with_mean=False), svm()), data, {}),
    "plain": (make_pipeline(StandardScaler(with_mean=False, with_std=False), svm(gamma=0.02)), data, {}),
    "minmax": (make_pipeline(MinMaxScaler((-1, 2)), svm()), data, {}),
    "minmax_opset9": (make_pipeline(MinMaxScaler(), svm()), data, {"opset": 9}),
    "robust": (make_pipeline(RobustScaler(), svm()), data, {}),
    "maxabs": (make_pipeline(MaxAbsScaler(), svm(gamma=20.0)), data, {}),
    "maxabs_double": (make_pipeline(MaxAbsScaler(), svm(gamma=20.0)), data, {"type": DoubleTensorType}),
    "imputer": (make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), svm()), holes, {}),
    "pca": (scaled(PCA(2, random_state=0), svm()), data, {}),
    "pca_whiten": (make_pipeline(PCA(3, whiten=True, random_state=0), svm()), data, {}),
    "pca_double": (scaled(PCA(2, whiten=True, random_state=0), svm()), data, {"type": DoubleTensorType}),
    "poly": (scaled(PolynomialFeatures(3), svm(gamma=0.01)), data, {}),
    "poly_interactions": (scaled(PolynomialFeatures(2, interaction_only=True, include_bias=False), svm()), data, {}),
    "poly_opset11": (scaled(PolynomialFeatures(2), svm(gamma=0.05)), data, {"opset": 11}),
    "columns": (make_pipeline(ColumnTransformer([("a", StandardScaler(), [2, 0]), ("b", "passthrough", [1])]), svm(gamma=0.02)), data, {}),
    "columns_nested": (
        make_pipeline(
            ColumnTransformer([
                ("a", make_pipeline(SimpleImputer(), PolynomialFeatures(2, include_bias=False), StandardScaler()), [0, 2]),
                ("b", ColumnTransformer([("c", make_pipeline(SimpleImputer(), MinMaxScaler()), [1])], remainder="drop"), [0, 1]),
            ]),
            MaxAbsScaler(),
            svm(),
        ),
        holes,
        {},
    ),
    "columns_named": (
        make_pipeline(ColumnTransformer([("a", StandardScaler(), ["heat", "flow"]), ("b", RobustScaler(), ["pressure"])]), svm()),
        named,
        {},
    ),
    "columns_dropped": (make_pipeline(ColumnTransformer([("a", StandardScaler(), [2, 0])]), svm()), data, {}),
    "named": (scaled(svm()), named, {}),
    "forest": (IsolationForest(contamination=0.1, **tree), data, {"opset": (18, 3)}),
    "forest_scaled": (scaled(IsolationForest(**tree)), data, {"opset": (15, 2)}),
    "forest_bootstrap": (IsolationForest(bootstrap=True, **tree), data, {"opset": (15, 2), "options": {"score_samples": True}}),
    "factor": (LocalOutlierFactor(novelty=True, n_neighbors=4), data, {}),
    "factor_scaled": (scaled(LocalOutlierFactor(novelty=True, n_neighbors=1, contamination=0.2)), data, {}),
    "factor_manhattan": (LocalOutlierFactor(novelty=True, n_neighbors=3, metric="manhattan"), data, {}),
    "factor_minkowski": (scaled(LocalOutlierFactor(novelty=True, n_neighbors=3, p=3)), data, {}),
    "factor_double": (scaled(LocalOutlierFactor(novelty=True, n_neighbors=4)), data, {"type": DoubleTensorType}),
    # ONNX Runtime subtracts squares here, which takes digits from what lies far from 0.
    "factor_cdist": (scaled(LocalOutlierFactor(novelty=True, n_neighbors=4)), data, {"options": {"optim": "cdist"}}),
    "factor_opset9": (LocalOutlierFactor(novelty=True, n_neighbors=4), data, {"opset": 9}),
    # What skl2onnx or this reader does not know is told, and left out.
    "envelope": (EllipticEnvelope(random_state=0), data, {}),
    "forest_subset": (IsolationForest(max_features=2, **tree), data, {"opset": (15, 2)}),
    "imputer_number": (make_pipeline(SimpleImputer(missing_values=-999), svm()), data, {}),
}
try:
    # skl2onnx 1.10 clips to the range of the training data, so its files are not what scikit-learn does.
    if not skl2onnx.__version__.startswith("1.10."):
        cases["minmax_clip"] = (make_pipeline(MinMaxScaler(clip=True), svm()), data, {})
    from sklearn.linear_model import SGDOneClassSVM

    cases["sgd"] = (scaled(SGDOneClassSVM(nu=0.2, random_state=0)), data, {})
    cases["sgd_double"] = (scaled(SGDOneClassSVM(nu=0.2, average=True, random_state=0)), data, {"type": DoubleTensorType})
except (TypeError, ImportError):
    print("no SGDOneClassSVM, or no clip, in this scikit-learn")


def convert(model, trained, type=FloatTensorType, opset=None, options=None):
    if isinstance(trained, pd.DataFrame):
        inputs = [(column, type([None, 1])) for column in trained.columns]
    else:
        inputs = [("X", type([None, trained.shape[1]]))]
    arguments = {}
    if opset is not None:
        opset, ml = opset if isinstance(opset, tuple) else (opset, 1)
        # Old versions take one number.
        old = skl2onnx.__version__.startswith("1.7.")
        arguments["target_opset"] = opset if old else {"": opset, "ai.onnx.ml": ml}
    if options is not None:
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        arguments["options"] = {id(last): options}
    return skl2onnx.convert_sklearn(model, initial_types=inputs, **arguments)


def run(converted, rows, type):
    """The scores of ONNX Runtime, or none where it does not know an operator with such numbers."""
    number = {FloatTensorType: np.float32, DoubleTensorType: np.float64, Int64TensorType: np.int64}[type]
    try:
        session = onnxruntime.InferenceSession(converted.SerializeToString(), providers=["CPUExecutionProvider"])
        inputs = [i.name for i in session.get_inputs()]
        rows = rows.astype(number)
        feed = {"X": rows} if inputs == ["X"] else {column: rows[:, i : i + 1] for i, column in enumerate(inputs)}
        return [float(score) for score in session.run(["scores"], feed)[0].ravel()]
    except Exception as error:
        if "NOT_IMPLEMENTED" in str(error) or "INVALID_GRAPH" in str(error) or "Type Error" in str(error):
            return None
        raise


expected = {"skl2onnx": skl2onnx.__version__, "sklearn": sklearn.__version__, "onnxruntime": onnxruntime.__version__, "cases": {}}
for case, (model, trained, how) in sorted(cases.items()):
    model.fit(trained)
    try:
        converted = convert(model, trained, **how)
    except Exception as error:
        print("{}: {}: {}".format(case, type(error).__name__, " ".join(str(error).split())[:160]))
        continue
    converted.doc_string = ""
    spread = data.max(axis=0) - data.min(axis=0)
    probe = rng.uniform(data.min(axis=0) - spread / 3, data.max(axis=0) + spread / 3, (6 if seed is None else 60, 3))
    rows = probe.round() if trained is whole else (probe * 64).round() / 64
    if trained is holes:
        rows = np.where(rng.uniform(size=rows.shape) < 0.2, np.nan, rows)
    shown = pd.DataFrame(rows, columns=named.columns) if trained is named else rows
    file = "{}_{}.onnx".format(name, case)
    (folder / file).write_bytes(converted.SerializeToString())
    expected["cases"][case] = {
        "files": [file],
        "rows": [[None if np.isnan(x) else x for x in row] for row in rows.tolist()],
        "decisions": [float(decision) for decision in model.decision_function(shown).ravel()],
        "predictions": [int(prediction) for prediction in model.predict(shown).ravel()],
        "scores": run(converted, rows, how.get("type", FloatTensorType)),
    }
(folder / "{}.json".format(name)).write_text(json.dumps(expected, sort_keys=True))
