"""Makes one-class SVMs of readings with few distinct values, which often score exactly 0, with what scikit-learn says about
these readings.

    python zeros.py NAME FOLDER         the few files that are kept in the repository
    python zeros.py NAME FOLDER SEED    more of them, from other data

NAME goes into the files' names. Works with scikit-learn 0.19 and newer.
"""
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import OneClassSVM

from kept import arguments, write

name, folder, seed = arguments()
rng = np.random.RandomState(5 if seed is None else seed)


def constant(count, features, value, other):
    rows = np.full((count, features), value)
    rows[0] = other
    return rows


cases = {}
for nu in (0.01, 0.05, 0.3, 0.5, 0.9):
    for kind, rows in (
        ("outlier", constant(100, 1, 21.7, 21.8)),
        ("outlier2", constant(60, 2, 4.2, 9.1)),
        ("constant", np.full((40, 1), 21.7)),
        ("binary", (np.arange(80) % 5 == 0).astype(float).reshape(-1, 1)),
    ):
        cases["{}_{}".format(kind, nu)] = (make_pipeline(StandardScaler(), OneClassSVM(nu=nu, gamma="auto")), rows)
if seed is not None:
    cases = {}
    for number in range(60):
        features = int(rng.choice([1, 1, 2, 3, 6]))
        levels = np.round(rng.randn(int(rng.randint(1, 5)), features) * 10 ** rng.randint(-1, 4) + rng.choice([0, 21.7, 1013.2]), 1)
        rows = levels[rng.choice(len(levels), int(rng.randint(20, 200)), p=rng.dirichlet([0.3] * len(levels)))]
        kernel = ["rbf", "rbf", "rbf", "linear", "poly", "sigmoid"][rng.randint(6)]
        svm = OneClassSVM(kernel=kernel, nu=float(rng.choice([0.01, 0.05, 0.1, 0.25, 0.5, 0.9])), gamma=float(rng.choice([0.01, 0.5, 1.0, 30.0])))
        scaler = [StandardScaler(), MinMaxScaler()][rng.randint(2)]
        cases["{}_{}".format(kernel, number)] = (make_pipeline(scaler, svm) if rng.rand() < 0.8 or kernel in ("poly", "linear") else svm, rows)

for model, rows in cases.values():
    model.fit(rows)
write(name, folder, cases, lambda case: 0.1)
