"""Makes models of readings that come again and again, where scores and distances tie, with what scikit-learn says about
these readings: constant, binary, whole and rounded ones.

    python ties.py NAME FOLDER         the few files that are kept in the repository
    python ties.py NAME FOLDER SEED    more of them, from other data

NAME goes into the files' names. Works with scikit-learn 0.19 and newer.
"""
import numpy as np
import sklearn
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kept import arguments, write

name, folder, seed = arguments()
version = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
rng = np.random.RandomState(3 if seed is None else seed)
n = 90 if seed is None else int(rng.randint(100, 250))
data = {
    "whole": np.round(rng.randn(n, 1) * 3),
    "whole2": np.round(rng.randn(n, 2) * 2),
    "binary": rng.randint(0, 2, (n, 3)).astype(float),
    "rounded": np.round(20 + rng.randn(n, 2), 1),
}
constant = {
    "constant": np.full((256, 1), 4.2),
    "zeros": np.zeros((50, 1)),
    "constants": np.full((100, 2), 7.0),
}
forest = dict(n_estimators=10 if seed is None else 100, random_state=0)
cases = {}
for kind, rows in sorted(constant.items()):
    cases["forest_" + kind] = (IsolationForest(random_state=0).fit(rows), rows[:1])
    cases["forest_contaminated_" + kind] = (IsolationForest(contamination=0.1, **forest).fit(rows), rows[:1])
for kind, rows in sorted(data.items()):
    cases["forest_" + kind] = (IsolationForest(contamination=0.1, **forest).fit(rows), rows)
    if version < (0, 20):
        continue
    factor = dict(novelty=True, contamination=0.1, leaf_size=5 if seed is None else int(rng.randint(3, 40)))
    factor["n_neighbors"] = 6 if seed is None else int(rng.randint(2, 30))
    for algorithm in ("kd_tree", "ball_tree", "brute"):
        # Before 1.1, brute took numpy's argpartition; and its distances of rounded readings have rounding errors.
        if algorithm == "brute" and (version < (1, 1) or kind == "rounded"):
            continue
        cases["factor_{}_{}".format(algorithm, kind)] = (LocalOutlierFactor(algorithm=algorithm, **factor).fit(rows), rows)
    if seed is not None:
        for metric in ("manhattan", "chebyshev"):
            for algorithm in ("kd_tree", "ball_tree"):
                model = LocalOutlierFactor(metric=metric, algorithm=algorithm, **factor).fit(rows)
                cases["factor_{}_{}_{}".format(algorithm, metric, kind)] = (model, rows)
        cases["factor_scaled_" + kind] = (make_pipeline(StandardScaler(), LocalOutlierFactor(**factor)).fit(rows), rows)

write(name, folder, cases, lambda case: 0.1 if "rounded" in case else 1.0)
