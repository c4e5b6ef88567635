"""Trains a one-class SVM for each sensor of a CSV, and writes models/model_{device}_{tag}."""

import pathlib
import pickle
import sys

import pandas
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM


def main(data: str, models: str) -> None:
    folder = pathlib.Path(models)
    folder.mkdir(parents=True, exist_ok=True)
    for (device, tag), readings in pandas.read_csv(data).groupby(["Device", "Tag"]):
        model = Pipeline([
            ("scaler", StandardScaler()),
            ("classifier", OneClassSVM(kernel="rbf", gamma="scale", nu=0.01)),
        ])
        model.fit(readings[["Value"]].to_numpy()[:5_000])
        (folder / f"model_{device}_{tag}").write_bytes(pickle.dumps(model))
        print(f"device {device}, tag {tag}: {len(readings)} readings", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: train.py sensor_data.csv models/")
    main(*sys.argv[1:])
