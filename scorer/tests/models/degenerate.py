"""Fits one-class SVMs over a wide range of gamma, and tells of each what becomes of readings that it has not seen.

    python degenerate.py FOLDER SEED

Needs scikit-learn and skl2onnx.
"""
import json
import os
import pickle
import sys

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

folder, rng = sys.argv[1], np.random.RandomState(int(sys.argv[2]))


def cloud(n, d):
    return rng.normal(size=(n, d))


def line(n, d):
    return rng.normal(size=(n, 1)) @ np.ones((1, d)) + 0.05 * rng.normal(size=(n, d))


def clusters(n, d):
    return rng.normal(size=(n, d)) * 0.1 + rng.randint(0, 4, size=(n, 1)) * 3


GAMMAS = ["scale", 1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1e3]
told = []


def fit(readings, d, n, nu, gamma):
    model = make_pipeline(StandardScaler(), OneClassSVM(gamma=gamma, nu=nu)).fit(readings(n, d))
    outside = float((model.predict(readings(1000, d)) == -1).mean())
    files = ["{}.pkl".format(len(told))]
    with open(os.path.join(folder, files[0]), "wb") as out:
        pickle.dump(model, out)
    # ONNX has 32 bits for it.
    if gamma in (1e-30, 1e30):
        files.append("{}.onnx".format(len(told)))
        with open(os.path.join(folder, files[1]), "wb") as out:
            onnx = to_onnx(model, initial_types=[("X", DoubleTensorType([None, d]))], target_opset=17)
            out.write(onnx.SerializeToString())
    what = "{}(n={}, d={}), nu={}, gamma={}".format(readings.__name__, n, d, nu, gamma)
    told.append({"what": what, "files": files, "n": n, "nu": nu, "gamma": 0.0 if gamma == "scale" else gamma, "outside": outside})


for readings in (cloud, line, clusters):
    for d in (1, 3, 10):
        for nu in (0.01, 0.1, 0.5):
            for n in (10, 20, 50, 200, 1000):
                for gamma in GAMMAS:
                    fit(readings, d, n, nu, gamma)
            for gamma in (1e-300, 1e-30, 1e30, 1e300):
                fit(readings, d, 200, nu, gamma)
for gamma in GAMMAS:
    fit(cloud, 2, 5000, 0.05, gamma)
with open(os.path.join(folder, "told.json"), "w") as out:
    json.dump(told, out)
