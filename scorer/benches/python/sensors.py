"""Makes sensors: for each a pickled pipeline fitted to points of its own, and an hour of readings; sensors.py FOLDER COUNT."""

import os
import pickle
import sys

import numpy
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from threadpoolctl import threadpool_limits

folder, count = sys.argv[1], int(sys.argv[2])
for name in ["models", "data"]:
    os.makedirs(f"{folder}/{name}")
times = [f"2026-01-01 00:{second // 60:02}:{second % 60:02}" for second in range(0, 3_600, 5)]
random = numpy.random.default_rng(1)
least = count
with threadpool_limits(1):
    for sensor in range(count):
        level = random.uniform(10, 100)
        points = random.normal(level, level / 20, size=(1_000, 1))
        pipeline = make_pipeline(StandardScaler(), OneClassSVM(gamma="scale", nu=0.11)).fit(points)
        least = min(least, len(pipeline[-1].support_))
        with open(f"{folder}/models/{sensor}.pkl", "wb") as file:
            pickle.dump(pipeline, file)
        values = random.normal(level, level / 20, size=len(times))
        with open(f"{folder}/data/{sensor}.csv", "w") as file:
            file.write("TS,Value\n")
            file.writelines(f"{at},{value:.3f}\n" for at, value in zip(times, values))
with open(f"{folder}/made", "w") as file:
    file.write(str(least))
