"""Scores one sensor: started once per sensor, with local paths in the environment."""

import os
import pickle
import sys

import pandas


def main() -> None:
    sensor = {name.removeprefix("SCORING_KEY_").lower(): value
              for name, value in sorted(os.environ.items()) if name.startswith("SCORING_KEY_")}
    # A pickle runs what it holds: unpickle only what your own training has written.
    with open(os.environ["SCORING_MODEL"], "rb") as file:
        model = pickle.load(file)
    readings = pandas.read_csv(os.environ["SCORING_INPUT"])
    values = readings[["Value"]].to_numpy()
    print(f"{sensor}: {len(readings)} readings from {readings.iloc[0, 0]} to {readings.iloc[-1, 0]}", flush=True)

    # scikit-learn says -1 for an anomaly and 1 for a normal reading; we write 1 and 0.
    readings["score"] = model.decision_function(values)
    readings["prediction"] = (model.predict(values) < 0).astype(int)
    readings.to_csv(os.environ["SCORING_OUTPUT"], index=False)
    print(f"{sensor}: {readings['prediction'].sum()} anomalies", flush=True)


if __name__ == "__main__":
    sys.exit(main())
