"""Makes what a process is compared with: a pickled pipeline and a file of readings; process.py FOLDER ROWS FEATURES."""

import pickle
import sys

import numpy
import pandas
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

folder, rows, features = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random = numpy.random.default_rng(1)
pipeline = make_pipeline(StandardScaler(), OneClassSVM(gamma="scale", nu=0.1))
pipeline.fit(random.normal(20, 5, size=(1_000, features)))
with open(f"{folder}/model.pkl", "wb") as file:
    pickle.dump(pipeline, file)
times = pandas.date_range("2026-01-01", periods=rows, freq="5s").strftime("%Y-%m-%d %H:%M:%S")
readings = pandas.DataFrame(random.normal(20, 5, size=(rows, features)), columns=[f"f{i}" for i in range(features)])
readings.insert(0, "ts", times)
readings.to_csv(f"{folder}/readings.csv", index=False)
