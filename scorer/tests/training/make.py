"""Makes sklearn.json in this folder: what scikit-learn's own solver finds for small problems.

    python make.py     in this folder, with scikit-learn
"""
import json

import numpy as np
from sklearn.svm import OneClassSVM

rng = np.random.default_rng(11)
normal = rng.normal(size=(120, 3))
one = rng.normal(size=(200, 1))
cases = {
    "normal": (normal, 1 / 3, 0.1),
    "small nu": (normal, 1 / 3, 0.01),
    "nu for less than one row": (normal[:60], 1 / 3, 0.005),
    "large nu": (normal, 1 / 3, 0.7),
    "narrow kernel": (normal, 30.0, 0.1),
    "wide kernel": (normal, 1e-3, 0.1),
    "one feature": (one, 1.0, 0.1),
    "rounded, so with duplicates": (one.round(1), 1.0, 0.1),
    "a feature that never changes": (np.hstack([one, np.zeros_like(one)]), 0.5, 0.2),
    "outliers": (np.vstack([one, [[40.0], [41.0], [-60.0]]]), 0.2, 0.05),
    "a walk": (np.cumsum(one, axis=0) / 5, 0.5, 0.1),
    "two levels": (np.sign(one) * 5 + one.round(2), 0.5, 0.1),
}
found = {}
for name, (rows, gamma, nu) in cases.items():
    fit = OneClassSVM(gamma=gamma, nu=nu, shrinking=False).fit(rows)
    found[name] = {
        "n_features": rows.shape[1],
        "gamma": gamma,
        "nu": nu,
        "rows": rows.ravel().tolist(),
        "support": fit.support_.tolist(),
        "coefficients": fit.dual_coef_.ravel().tolist(),
        "offset": float(fit.offset_[0]),
    }
with open("sklearn.json", "w") as out:
    json.dump(found, out)
